"""What the methods of first order share: a step around a formula, its log and its state."""

import numpy as np

from mcx_optim.krylov import length
from mcx_optim.schedules import learning_rate, rate_or_schedule
from mcx_optim.state import expect_alike
from mcx_optim.step_info import StepLog


class FirstOrder:
    """Steps w ← w + Δ, where Δ depends on the gradient of the batch and on running vectors.

    A method lists the names of its running vectors in `RUNNING` and defines ``_delta(rate, w, g)``,
    which updates them and returns Δ. Each is an attribute, the name after an underscore, and zero
    before the first step. `_t` is the number of the step: 1 in the first one.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule: a function of the number t = 0, 1, … of the step, such as
        those of `mcx_optim.schedules`. It may be set between steps. A step that `fit` skips or
        rolls back does not count.

    Attributes
    ----------
    lr : float or callable

    Raises
    ------
    ValueError
        If it is neither a positive number nor callable.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> class SignDescent(FirstOrder):
    ...     def _delta(self, rate, w, g):
    ...         return -rate * np.sign(g)
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> w, info = SignDescent(lr=0.5).step(objective, np.array([2.0, -4.0]), None)
    >>> w, info.slope
    (array([ 1.5, -3.5]), -3.0)
    """

    RUNNING = ()

    def __init__(self, lr):
        self.lr = rate_or_schedule(lr)
        self._t = 0
        for name in self.RUNNING:
            setattr(self, f"_{name}", None)

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo.

        Raises
        ------
        NonFiniteError
            If the loss or the gradient at w is not finite.
        ValueError
            If w is not like that of the steps before, or a schedule returns no learning rate.
        """
        log = StepLog(objective)
        loss, g = objective.value_and_grad(w, batch)
        rate = learning_rate(self.lr, self._t)
        self._begin(w)
        self._t += 1
        self._prepare(objective, w, batch, log)
        delta = self._delta(rate, w, g)
        log.note(loss=loss, gradient_norm=length(g), slope=float(g @ delta))
        return w + delta, log.finish("accepted")

    def on_epoch(self, metrics):
        """Do nothing: schedules are of steps, not of epochs."""

    def state_dict(self):
        """Return the number of steps taken and the running vectors."""
        vectors = {name: getattr(self, f"_{name}") for name in self.RUNNING}
        return {"t": self._t} | {name: v for name, v in vectors.items() if v is not None}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._t = int(state.get("t", 0))
        for name in self.RUNNING:
            setattr(self, f"_{name}", state.get(name))

    def _prepare(self, objective, w, batch, log):
        """See what is needed of the batch beside its gradient: nothing."""

    def _begin(self, w):
        """Make the running vectors zero before the first step, and check them before others."""
        for name in self.RUNNING:
            vector = getattr(self, f"_{name}")
            expect_alike(self, w, vector)
            if vector is None:
                setattr(self, f"_{name}", np.zeros_like(w))
