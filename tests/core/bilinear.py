"""Numbers as dictionaries of coefficients: products by the definition of the algebra alone.

A coefficient is known by its generators: the sorted (serial, exponents) of all factors whose
exponents are not zero. No product table, plane number or mask of mcx is used.
"""

import itertools

import numpy as np


def names_of(algebra):
    """Return the name of every plane; the oldest factor counts fastest."""
    choices = [[(f.serial, index) for index in f.indices] for f in reversed(algebra.factors)]
    return [
        tuple((serial, index) for serial, index in reversed(chosen) if any(index))
        for chosen in itertools.product(*choices)
    ]


def coefficients(x):
    """Return name -> coefficient of a number; a plain array is its own value."""
    if not hasattr(x, "algebra"):
        return {(): np.asarray(x)}
    return dict(zip(names_of(x.algebra), x._planes, strict=True))


def product(func, x, y):
    """Return name -> coefficient of func(x, y), bilinear, for two operands as `coefficients`."""
    algebras = [n.algebra for n in (x, y) if hasattr(n, "algebra")]
    sets = {f.serial: f.indices for algebra in algebras for f in algebra.factors}
    exact, out = algebras[0].exact, {}
    for (a, u), (b, v) in itertools.product(coefficients(x).items(), coefficients(y).items()):
        name, sign = _times(dict(a), dict(b), sets, exact)
        if name is not None:
            out[name] = out.get(name, 0) + sign * func(u, v)
    return out


def _times(a, b, sets, exact):
    total, sign = {}, 1
    for serial in {**a, **b}:
        if exact and serial in a and serial in b:
            sign = -sign  # i·i = −1
            continue
        none = (0,) * len(sets[serial][0])
        index = tuple(map(sum, zip(a.get(serial, none), b.get(serial, none), strict=True)))
        if index not in sets[serial]:
            return None, 0
        total[serial] = index
    return tuple(sorted(total.items())), sign
