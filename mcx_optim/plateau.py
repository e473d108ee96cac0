"""Reduction of a setting where the training loss has stopped decreasing."""

import math

from mcx_optim.settings import fraction, integer, positive


class ReduceOnPlateau:
    """A number, multiplied by `factor` where a loss has stopped decreasing.

    That is after more than `patience` losses in a row that are not less than best - threshold
    |best|, with the last loss that was less as the best.

    Raises
    ------
    ValueError
        If the number is not positive or a setting is out of range.

    Examples
    --------
    >>> damping = ReduceOnPlateau(1.0, patience=1, threshold=0.0, factor=0.5)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     damping.update(loss)
    >>> damping.value
    0.5
    """

    def __init__(self, value: float, patience: int, threshold: float, factor: float):
        self.value = positive("damping", value)
        self.patience = integer("patience", patience, 0)
        self.threshold = fraction("threshold", threshold)
        self.factor = fraction("factor", factor, "(]")
        self._best = math.inf
        self._waited = 0

    def update(self, loss: float):
        """Take in the next loss."""
        least = min(self._best * (1 - self.threshold), self._best * (1 + self.threshold))
        if loss < least:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited > self.patience:
            self.value, self._waited = self.factor * self.value, 0

    def state_dict(self):
        """Return the number, the best loss and how many were not better."""
        return {"value": self.value, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self.value, self._best = float(state["value"]), float(state["best"])
        self._waited = int(state["waited"])
