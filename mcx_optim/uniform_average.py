"""A mean with a bounded memory in which all samples weigh the same."""

from mcx_optim.settings import integer


class UniformAverage:
    """Mean of the samples of the present period and of the one before it.

    Two means are kept, one a period, and the older is forgotten when a period begins. So the mean
    is over `period` + 1 to 2 `period` samples, or over all as long as they are fewer:

        mean = (n X + period X_last) / (n + period),  X the mean of the n samples of this period.

    Parameters
    ----------
    period : int
        Samples of a period; 0 for no averaging: the mean is the last sample.

    Raises
    ------
    ValueError
        If `period` is negative.

    References
    ----------
    P. Wolinski, "Adapting Newton's method to neural networks through a summary of higher-order
    derivatives", arXiv:2312.03885, in its public code, github.com/p-wol/GroupedNewton,
    newton_summary_uniform_avg.py. Differs: there both means take in every sample, the older one
    too, which is the same mean; and they are multiplied in place while they share memory with the
    sample, so that the first sample of a period counts as zero.

    Examples
    --------
    >>> average = UniformAverage(period=2)
    >>> [average.update(x) for x in (1.0, 3.0, 5.0, 7.0, 9.0)]
    [1.0, 2.0, 3.0, 4.0, 7.0]
    """

    def __init__(self, period: int):
        self.period = integer("period", period, 0)
        self._size = 0  # n
        self._mean = self._last = None

    @property
    def value(self):
        """The mean; None before the first sample."""
        if self._last is None:
            return self._mean
        weight = self._size / (self._size + self.period)
        return weight * self._mean + (1 - weight) * self._last

    def update(self, x):
        """Take in a sample, a number or an array, and return the mean."""
        if self._size and self._size >= self.period:
            self._last, self._size = self._mean, 0
        self._size += 1
        self._mean = x if self._size == 1 else self._mean + (x - self._mean) / self._size
        return self.value

    def state_dict(self):
        """Return the two means, and the number of samples of the present one."""
        state = {"size": self._size, "mean": self._mean, "last": self._last}
        return {name: value for name, value in state.items() if value is not None}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._size = int(state["size"])
        self._mean, self._last = state.get("mean"), state.get("last")
