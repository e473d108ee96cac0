"""The samples that an objective is a mean over: batches of them, and parts of batches."""

import mcx
from mcx_optim.parts import on_each, split
from mcx_optim.settings import integer


class Samples:
    """Data in rows, or none, and how a batch of them is evaluated.

    Parameters
    ----------
    data : tuple of arrays or None
        Arrays of equal length N. A batch is the tuple of their rows; without data it is None.
    chunk : int
        Most rows of one evaluation over all data, and of a part.
    separable : bool
        Whether batches are evaluated in parts, on the threads of mcx.

    Attributes
    ----------
    samples : int
        N; 1 without data.

    Raises
    ------
    TypeError
        If the data are not a tuple.
    ValueError
        If the arrays differ in length or are empty, or `chunk` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> data = Samples((np.arange(6), np.arange(6) % 2), chunk=4, separable=False)
    >>> data.rows([1, 3])
    (array([1, 3]), array([1, 1]))
    >>> [(len(batch[0]), round(share, 2)) for batch, share in data.chunks()]
    [(4, 0.67), (2, 0.33)]
    """

    def __init__(self, data, chunk: int, separable: bool):
        if data is not None and not isinstance(data, tuple):
            raise TypeError(
                f"data: expected a tuple of arrays such as (X, y), got {type(data).__name__}; for "
                "one array use (X,)"
            )
        if data is not None and len({len(part) for part in data}) != 1:
            lengths = ", ".join(str(len(part)) for part in data)
            raise ValueError(f"data: expected arrays of one length, got lengths ({lengths})")
        if data is not None and len(data[0]) == 0:
            raise ValueError("data: expected at least one sample, got none")
        self.data = data
        self.samples = 1 if data is None else len(data[0])
        self.chunk = integer("chunk", chunk, 1)
        self.separable = separable

    def rows(self, index):
        """Return the batch of the samples `index`; None where there are no data."""
        return None if self.data is None else tuple(part[index] for part in self.data)

    def sample(self, size, rng):
        """Return a batch of `size` different samples drawn by the generator `rng`."""
        if not 1 <= size <= self.samples:
            raise ValueError(f"size: expected 1 to {self.samples} samples, got {size}")
        return self.rows(rng.choice(self.samples, size, replace=False))

    def chunks(self):
        """Yield all data in batches, each with its share of the samples."""
        size = self.chunk * (mcx.get_num_threads() if self.separable else 1)
        for start in range(0, self.samples, size):
            stop = min(start + size, self.samples)
            yield self.rows(slice(start, stop)), (stop - start) / self.samples

    def parts(self, batch, most: int | None = None, threads: int | None = None):
        """Return a batch as a list of (share, part), see `parts.split`; whole if not separable."""
        return split(batch, most or self.chunk, threads) if self.separable else [(1.0, batch)]

    def on_parts(self, batch, function):
        """Return the shares of the parts of a batch, and the function of each part."""
        shares, parts = zip(*self.parts(batch), strict=True)
        return shares, on_each(function, parts)
