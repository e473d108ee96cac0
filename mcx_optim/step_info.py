"""The log of one step."""

import time
from dataclasses import asdict, dataclass, field

from mcx_optim.counts import Counts


@dataclass(frozen=True)
class StepInfo:
    """What happened in one step of an optimizer; None where the method has no such quantity.

    Attributes
    ----------
    outcome : str
        "accepted", "fallback" (a step, but not the one that the method asks for), "skipped"
        (w unchanged) or, by `fit`, "rolled back" (w as it was at the end of the last epoch).
    reason : str or None
        Why the step was skipped, rolled back or a fallback.
    loss, new_loss : float
        Loss of the batch before and after the step.
    tracked_loss, new_tracked_loss : float
        Loss that the step must decrease: of all data if its gradient is the right-hand side.
    gradient_norm : float
        ‖g‖ of the right-hand side.
    samples : int
        Samples of the function whose loss the step size was chosen by.
    damping : float
        λ.
    slope : float
        g·Δ of that gradient and the direction Δ.
    predicted : float
        E_Q = g·Δ + ½ ΔᵀHΔ, the predicted change at γ = 1.
    eta : float
        Taylor ratio at the step; None if it was not evaluated at this γ.
    gamma : float
        Step size: w + γΔ, before momentum and averaging, as are the new losses.
    trials : int
        Trial evaluations of the batch loss for the step size.
    cg_iterations : int
        Hessian-vector products of the Krylov solver.
    cg_status : str
        Name of the `Status` with which the solver stopped.
    cg_residual : float
        ‖r‖/‖b‖ where it stopped.
    counts : Counts
        Evaluations in this step, in samples.
    seconds : float
        Duration of the step.
    """

    outcome: str
    reason: str | None = None
    loss: float | None = None
    new_loss: float | None = None
    tracked_loss: float | None = None
    new_tracked_loss: float | None = None
    gradient_norm: float | None = None
    samples: int | None = None
    damping: float | None = None
    slope: float | None = None
    predicted: float | None = None
    eta: float | None = None
    gamma: float | None = None
    trials: int | None = None
    cg_iterations: int | None = None
    cg_status: str | None = None
    cg_residual: float | None = None
    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0

    def to_dict(self) -> dict:
        """Return the fields as numbers, strings and one nested dict."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict) -> "StepInfo":
        """Return the StepInfo of which `to_dict` returned `fields`."""
        return cls(**(fields | {"counts": Counts(**fields["counts"])}))


class StepLog:
    """Collects the fields of one StepInfo while the step runs, with its cost and duration."""

    def __init__(self, objective):
        self._objective = objective
        self._counts = objective.counts
        self._start = time.perf_counter()
        self.fields = {}

    def note(self, **fields):
        """Add or replace fields of the StepInfo."""
        self.fields |= fields

    def finish(self, outcome, reason=None):
        """Return the StepInfo."""
        return StepInfo(
            outcome,
            reason,
            **self.fields,
            counts=self._objective.counts - self._counts,
            seconds=time.perf_counter() - self._start,
        )
