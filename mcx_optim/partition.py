"""Partition of the parameters into groups."""

from math import prod

import numpy as np


class Partition:
    """The parameters w (P,) as S groups that do not overlap and leave no parameter out.

    I_{S:P} is the matrix (S, P) whose entry (s, p) is 1 where parameter p is in group s, else 0;
    I_{P:S} is its transpose.

    Parameters
    ----------
    labels : array (P,) of int
        Group of every parameter, from 0 to S-1.
    names : sequence of S str, optional
        What the groups are called; default: their numbers.

    Attributes
    ----------
    labels : ndarray (P,) of int
    names : tuple of S str
    size, groups : int
        P and S.

    Raises
    ------
    ValueError
        If labels are not integers along one axis, a group is empty, or there are not S names.

    Examples
    --------
    >>> slots = {"0.weight": (slice(0, 6), (3, 2)), "0.bias": (slice(6, 8), (2,))}
    >>> Partition.by_output(slots).labels
    array([0, 1, 0, 1, 0, 1, 0, 1])
    >>> partition = Partition.by_tensor(slots)
    >>> partition
    Partition(8 parameters in 2 groups: 0.weight 6, 0.bias 2)
    >>> partition.sums(np.arange(8.0))
    array([15., 13.])

    References
    ----------
    P. Wolinski, "Adapting Newton's method to neural networks through a summary of higher-order
    derivatives", arXiv:2312.03885.
    """

    def __init__(self, labels, names=None):
        labels = np.asarray(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or not labels.size:
            raise ValueError(
                "labels: expected integers, one for every parameter, of shape (P,), got shape "
                f"{labels.shape} of {labels.dtype}"
            )
        least, most = int(labels.min()), int(labels.max())
        filled = np.unique(labels).size
        if least != 0 or filled != most + 1:
            raise ValueError(
                f"labels: expected every number from 0 to {most} to occur, got {filled} different "
                f"ones from {least} to {most}; np.unique(labels, return_inverse=True)[1] numbers "
                "the groups without gaps"
            )
        names = tuple(map(str, range(filled) if names is None else names))
        if len(names) != filled:
            raise ValueError(f"names: expected {filled}, one for every group, got {len(names)}")
        self.labels = labels.astype(np.intp)
        self.labels.flags.writeable = False
        self.names = names
        self.size, self.groups = labels.size, filled

    @classmethod
    def single(cls, size: int) -> "Partition":
        """Return one group of all P parameters."""
        return cls(np.zeros(size, np.intp), ["all"])

    @classmethod
    def by_parameter(cls, size: int) -> "Partition":
        """Return P groups of one parameter each."""
        return cls(np.arange(size))

    @classmethod
    def by_tensor(cls, slots: dict) -> "Partition":
        """Return a group for every entry of slots: a weight, or a bias.

        Parameters
        ----------
        slots : dict
            Name -> (slice of w, shape), as `Objective.slots`.

        Raises
        ------
        ValueError
            If the slices are not all of w, each of the size of its shape.
        """
        return cls._labelled(slots, lambda name, shape: [name])

    @classmethod
    def by_layer(cls, slots: dict) -> "Partition":
        """Return a group for every layer: the entries alike up to the last dot of their names.

        Parameters and errors as those of `by_tensor`.
        """
        return cls._labelled(slots, lambda name, shape: [_layer(name)])

    @classmethod
    def by_output(cls, slots: dict) -> "Partition":
        """Return a group for every output unit of every layer, its bias included.

        Output units are counted by the last axis of a weight and of a bias.

        Parameters and errors as those of `by_tensor`.
        """

        def units(name, shape):
            return [f"{_layer(name)}[{unit}]" for unit in range(prod(shape[-1:]))]

        return cls._labelled(slots, units)

    @classmethod
    def _labelled(cls, slots, names_along):
        """Return the groups of equal names, where names_along(name, shape) are along the last axis.

        One name stands for all of an entry.
        """
        labels = np.empty(_size_of(slots), np.intp)
        numbers: dict[str, int] = {}
        for name, (place, shape) in slots.items():
            own = [numbers.setdefault(each, len(numbers)) for each in names_along(name, shape)]
            labels[place] = np.broadcast_to(own, shape or (1,)).reshape(-1)
        return cls(labels, numbers)

    def sums(self, v):
        """Return I_{S:P} v (S,) of float64: the sums over the groups of v (P,)."""
        self._expect_size("v", v)
        totals = np.bincount(np.asarray(self.labels, like=v), v, self.groups)
        return np.array(totals.tolist())

    def restrict(self, u, group: int):
        """Return u (P,) with zeros outside the group."""
        self._expect_size("u", u)
        if not 0 <= group < self.groups:
            raise ValueError(f"group: expected 0 to {self.groups - 1}, got {group}")
        return np.where(np.asarray(self.labels == group, like=u), u, np.zeros_like(u))

    def spread(self, values, like):
        """Return I_{P:S} values (P,): values (S,) repeated over the groups, as `like` is."""
        if np.shape(values) != (self.groups,):
            raise ValueError(f"values: expected shape ({self.groups},), got {np.shape(values)}")
        return np.asarray(np.asarray(values)[self.labels], dtype=like.dtype, like=like)

    def __repr__(self):
        sizes = np.bincount(self.labels).tolist()
        parts = [f"{name} {size}" for name, size in zip(self.names, sizes, strict=True)]
        if len(parts) > 8:
            parts[4:-3] = ["…"]
        groups = "1 group" if self.groups == 1 else f"{self.groups} groups"
        return f"Partition({self.size} parameters in {groups}: {', '.join(parts)})"

    def _expect_size(self, name, v):
        if np.shape(v) != (self.size,):
            raise ValueError(f"{name}: expected shape ({self.size},), got {np.shape(v)}")


def _layer(name):
    return name.rpartition(".")[0]


def _size_of(slots):
    """Return P, checked: the slices of the slots cover w once, each of the size of its shape."""
    size = sum(prod(shape) for _, shape in slots.values())
    covered = np.zeros(size, bool)
    for name, (place, shape) in slots.items():
        if len(covered[place]) != prod(shape):
            raise ValueError(
                f"slots: {name!r}: expected a slice of {prod(shape)} numbers of w, as its shape "
                f"{shape} has, got {len(covered[place])} within the {size} of all shapes"
            )
        covered[place] = True
    if not size or not covered.all():  # no slice can overlap others without a gap
        raise ValueError(
            f"slots: expected slices that cover w once, got {np.count_nonzero(covered)} of {size} "
            "numbers covered; pass the slots of the objective as they are"
        )
    return size
