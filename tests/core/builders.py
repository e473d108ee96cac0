"""Numbers with prescribed planes."""

import numpy as np

import mcx


def filled(planes, wrap=np.array, skip=0):
    """Return a number over units i_1 … i_n whose planes, by bit mask, are the given ones.

    The first `skip` units are left out: their planes must be zero.
    """
    order = len(planes).bit_length() - 1
    directions = [None if k < skip else wrap(planes[1 << k]) for k in range(order)]
    z = mcx.perturb(wrap(planes[0]), *directions)
    for place, units in enumerate(range(0, len(planes), 1 << skip)):
        z.planes[place] = wrap(planes[units])
    return z


def singletons(planes):
    """Return planes in which only the value and the single units are non-zero."""
    kept = np.zeros_like(planes)
    for units in range(len(planes)):
        if units.bit_count() <= 1:
            kept[units] = planes[units]
    return kept
