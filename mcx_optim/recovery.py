"""What `fit` does where the loss, the gradient or w is not finite."""

import copy

import numpy as np

from mcx_optim.errors import NonFiniteError
from mcx_optim.settings import word
from mcx_optim.state import entries, nested

DRAWN = ("drawn", "rhs.pass", "rhs.place")  # of a state: where the drawing has come to
OUTCOMES = {"raise": None, "skip": "skipped", "roll_back": "rolled back"}
"""The policies, and the outcome of a step that failed under each."""


class Recovery:
    """Keeps a good state of a run and goes back to it after a failure, to one w `limit` times.

    The policies differ in when a state is kept: "skip" after every step, so that a failed step is
    not taken; "roll_back" after every epoch, so that a failed step undoes those before it.

    Parameters
    ----------
    policy : {"raise", "skip", "roll_back"}
        "raise" never goes back.
    optimizer : optimizer
        Its state is kept and restored with w.
    limit : int
        How often the same w may be restored.

    Raises
    ------
    ValueError
        If there is no such policy.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import SGD
    >>> recovery = Recovery("skip", SGD(), limit=1)
    >>> recovery.keep(np.ones(2))
    >>> recovery.restore(NonFiniteError("loss is nan"))
    array([1., 1.])
    >>> recovery.restore(NonFiniteError("loss is nan"))
    Traceback (most recent call last):
        ...
    mcx_optim.errors.NonFiniteError: loss is nan. This was failure 2 from the same w, and ...
    """

    def __init__(self, policy: str, optimizer, limit: int):
        self.policy = word("on_nonfinite", policy, OUTCOMES)
        self.outcome = OUTCOMES[policy]
        self._optimizer = optimizer
        self._limit = limit
        self._restored = 0
        self._w = self._state = None

    def begin(self, w):
        """Keep the state at the beginning of a run, unless a checkpoint brought one."""
        if self._w is None:
            self.keep(w)

    def keep(self, w):
        """Make w and the present state of the optimizer the state to go back to."""
        if self.policy == "raise":
            return
        if self._w is None or not np.array_equal(w, self._w):
            self._restored = 0
        self._w, self._state = copy.deepcopy((w, self._optimizer.state_dict()))

    def restore(self, error):
        """Return the kept w after a failure and restore the optimizer.

        The drawing of samples goes on from where it is, lest the same ones fail again.

        Raises
        ------
        NonFiniteError
            `error` itself under "raise"; one that says so if the limit is reached.
        """
        if self.policy == "raise":
            raise error
        if self._restored == self._limit:
            raise NonFiniteError(
                f"{error}. This was failure {self._limit + 1} from the same w, and on_nonfinite="
                f"{self.policy!r} gives up after {self._limit}; reduce the learning rate, or start "
                "from another w"
            ) from error
        self._restored += 1
        w, state = copy.deepcopy((self._w, self._state))
        now = self._optimizer.state_dict()
        state |= {name: now[name] for name in DRAWN if name in state}
        self._optimizer.load_state_dict(state)
        return w

    def quiet(self):
        """Return a context in which NumPy does not warn of what this recovers from."""
        return np.errstate(**{} if self.policy == "raise" else {"all": "ignore"})

    def state_dict(self):
        """Return the kept state as a flat dict; empty under "raise"."""
        if self.policy == "raise":
            return {}
        return {"restored": self._restored, "w": self._w} | nested(optimizer=self._state)

    def load_state_dict(self, state):
        """Restore what `state_dict` returned, under whatever policy; do nothing if it was empty."""
        if state:
            self._restored, self._w = int(state["restored"]), state["w"]
            self._state = entries(state, "optimizer")
