"""A batch cut into parts, evaluated at the same time on the threads of mcx."""

import itertools

import mcx
from mcx.kernels.launch import on_threads

LEAST = 64  # samples of a part, so that its arithmetic outweighs the calls


def split(batch, most: int, threads: int | None = None):
    """Return a batch as a list of (share, part), the parts of nearly equal size.

    Parameters
    ----------
    batch : tuple of arrays or None
        Samples, along the first axis.
    most : int
        Samples of a part at most. There are as many parts as threads, or a multiple, but fewer
        where they would have less than 64 samples.
    threads : int, optional
        Default: those of mcx. With 1 the parts do not depend on the machine.

    Returns
    -------
    list of (float, tuple of arrays)
        Shares of the samples, which add up to 1.

    Examples
    --------
    >>> import numpy as np
    >>> [(share, len(part[0])) for share, part in split((np.zeros(63),), most=1000)]
    [(1.0, 63)]
    """
    samples = 0 if batch is None else len(batch[0])
    threads = threads or max(1, min(mcx.get_num_threads(), samples // LEAST))
    count = -(-samples // (most * threads)) * threads
    if count < 2:
        return [(1.0, batch)]
    ends = [samples * k // count for k in range(count + 1)]
    return [
        ((stop - start) / samples, tuple(array[start:stop] for array in batch))
        for start, stop in itertools.pairwise(ends)
    ]


def on_each(function, parts):
    """Return the results of a function of every part, computed at the same time.

    Examples
    --------
    >>> on_each(lambda part: part + 1, [1, 2, 3])
    [2, 3, 4]
    """
    results = [None] * len(parts)

    def run(start, stop):
        for k in range(start, stop):
            results[k] = function(parts[k])
        return 0

    on_threads(run, len(parts), 1, 2)
    return results


def weighted(shares, values):
    """Return the sum of numbers or arrays, each times its share.

    Examples
    --------
    >>> weighted([0.25, 0.75], [4.0, 8.0])
    7.0
    """
    if len(values) == 1:
        return values[0]
    return sum(share * value for share, value in zip(shares, values, strict=True))
