"""States of optimizers: those of parts in one flat dict, and whether a state is one of this run.

The names of a part's entries have its name in front.
"""


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


def made_of(parts: dict) -> str:
    """Return which parts these are, by name and class.

    Examples
    --------
    >>> made_of({"rhs": 1, "preconditioner": 0.5})
    'rhs int, preconditioner float'
    """
    return ", ".join(f"{name} {type(part).__name__}" for name, part in parts.items())


def expect_made_of(parts: dict, state: dict):
    """Raise ValueError unless the entry "parts" of a state names these parts."""
    if str(state.get("parts")) != made_of(parts):
        raise ValueError(
            f"load_state_dict: expected the state of a trainer with {made_of(parts)}, got one with "
            f"{state.get('parts')}; make the trainer with the settings of the saved one"
        )


def expect_setting(optimizer, name: str, state: dict):
    """Raise ValueError if a state tells that it was made with another value of a setting.

    Examples
    --------
    >>> from mcx_optim import Shampoo
    >>> expect_setting(Shampoo(most=100), "most", {"most": 768})
    Traceback (most recent call last):
        ...
    ValueError: load_state_dict: expected the state of a Shampoo with most=100, got one with ...
    """
    own = getattr(optimizer, name)
    if state.get(name, own) != own:
        maker = type(optimizer).__name__
        raise ValueError(
            f"load_state_dict: expected the state of a {maker} with {name}={own}, got one with "
            f"{name}={state[name]}; make it by {maker}({name}={state[name]})"
        )


def expect_alike(optimizer, w, *vectors):
    """Raise ValueError unless w is like vectors of steps before; None is no such vector."""
    for vector in vectors:
        if vector is not None and (vector.shape, vector.dtype) != (w.shape, w.dtype):
            raise ValueError(
                f"w: expected shape {vector.shape} and dtype {vector.dtype} as in the steps "
                f"before, got {w.shape} and {w.dtype}; use a new {type(optimizer).__name__} for "
                "another w"
            )
