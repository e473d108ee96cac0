"""Flat states of what is made of parts: the names of a part's entries have its name in front."""


def nested(**parts) -> dict:
    """Return the flat dict of several: the entries of each, its name and a dot in front of theirs.

    Examples
    --------
    >>> nested(rhs={"steps": 3}, damping={"value": 0.5})
    {'rhs.steps': 3, 'damping.value': 0.5}
    """
    return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}


def entries(state: dict, name: str) -> dict:
    """Return the entries of one part of a flat dict, under their own names.

    Examples
    --------
    >>> entries({"steps": 7, "rhs.steps": 3}, "rhs")
    {'steps': 3}
    """
    prefix = f"{name}."
    return {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
