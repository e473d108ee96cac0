"""Newton's method for the learning rates of groups of parameters."""

import numpy as np

from mcx_optim.cubic import minimize_cubic
from mcx_optim.errors import NonFiniteError
from mcx_optim.krylov import length
from mcx_optim.partition import Partition
from mcx_optim.plateau import ReduceOnPlateau
from mcx_optim.probe import check_point, describe
from mcx_optim.settings import at_least, fraction, integer
from mcx_optim.state import entries, expect_alike, nested
from mcx_optim.step_info import StepLog
from mcx_optim.summary import Summary
from mcx_optim.uniform_average import UniformAverage

PARTITIONS = {
    "single": lambda w, slots: Partition.single(w.size),
    "tensor": lambda w, slots: Partition.by_tensor(slots),
    "layer": lambda w, slots: Partition.by_layer(slots),
    "output": lambda w, slots: Partition.by_output(slots),
    "parameter": lambda w, slots: Partition.by_parameter(w.size),
}
"""Partitions by the names that `PartitionNewton` knows them by."""
SLOTLESS = ("single", "parameter")


class PartitionNewton:
    """Steps along the momentum of SGD, with learning rates of groups of parameters by Newton.

    The parameters are the union of S groups, u_s is the part of the direction u in group s, and
    η_s is the learning rate of the group: w ← w - λ₁ Σ_s η_s u_s. The loss as a function of η has
    the derivatives ḡ_s = u_s·g, H̄_st = u_sᵀ H u_t, a Hessian that leaves no interaction between
    groups out, and D_s³ = |∇³f[u_s, u_s, u_s]|: the *summary* (see `Summary`). Step t = 0, 1, …:

    1. u ← μ u + (1 - dampening) g with the gradient g of the batch; u = g at t = 0.
    2. Every `period` steps: the summary along u on a batch of its own; its mean with earlier ones,
       signs of the third derivatives included (`UniformAverage`); and with ḡ, H̄ and D of that mean
       η = argmin -ḡ·η + ½ ηᵀH̄η + λ_int/6 ‖Dη‖³ (`minimize_cubic`), which is a Newton step for
       λ_int = 0. Then rates ← ρ rates + (1 - ρ) η.
    3. w ← w - λ₁ Σ_s max(rates_s, 0) u_s.

    With λ₁ = 1, λ_int = 0, u = g, a summary every step and negative rates kept, one group makes it
    Cauchy's steepest descent, and one parameter a group Newton's method. A summary costs S Taylor
    expansions of order 2 of the gradient, about 5 S gradients of its batch.

    Defaults are the settings of the author's scripts where "Author's" stands below.

    Parameters
    ----------
    partition : Partition or {"single", "tensor", "layer", "output", "parameter"}
        The groups; by name they are made at the first step, from the `slots` of the objective.
        Author's, a group for every weight and every bias.
    damping : float
        λ₁ > 0 at the beginning. Author's for a deep MLP on CIFAR-10; 0.03 for an MLP on MNIST, 0.3
        for LeNet and VGG on CIFAR-10.
    regularization : float
        λ_int ≥ 0 of the cubic term. Author's; 3 for the deep MLP.
    momentum : float
        μ, in [0, 1). Author's.
    dampening : float
        In [0, 1), see 1. Author's; 0.9 in the example of his README.
    period : int
        Steps from one summary to the next. Author's.
    rate_momentum : float
        ρ, in [0, 1), his mom_lrs. Author's.
    remove_negative : bool
        Whether negative rates count as 0 in 3; `rates` itself keeps them. Author's.
    averaging : int
        Period of the mean, in summaries; 0: every summary alone. Author's.
    warmup : int
        Summaries before the first step that moves w. Author's.
    batch_size : int, optional
        Samples of the batches of the summaries; default, as the author's: as many as the batch of
        the step has. Without data in the objective the summary is of the same function.
    patience, threshold, factor : int, float, float
        λ₁ is multiplied by `factor`, in (0, 1], after more than `patience` epochs in a row whose
        training loss is not below 1 - `threshold` times the least one. Author's.
    seed : int
        Of the batches of the summaries.

    Attributes
    ----------
    partition : Partition or str
        The groups, made from a name at the first step.
    rates : (S,) array or None
        Learning rates before λ₁ and `remove_negative`; None before the first ones.
    average : Summary or None
        The mean of the summaries; None before the first one.
    damping : ReduceOnPlateau
        Its `value` is λ₁.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the partition is not one of the words.

    References
    ----------
    P. Wolinski, "Adapting Newton's method to neural networks through a summary of higher-order
    derivatives", arXiv:2312.03885, and its public code, github.com/p-wol/GroupedNewton: the loop
    of newton_summary_uniform_avg.py, the defaults of its scripts run_*_hydra.sh. Differs:

    - summaries come from Taylor expansions of the gradient, without automatic differentiation;
    - the first `warmup` steps take a summary each, where his take one every `period` steps and
      compute nothing in between; so does every step until rates were found;
    - the cubic model is minimized in another way, see `minimize_cubic`;
    - batches of summaries are drawn at random, not in turn;
    - the first η is not mixed with the rates 0 before it;
    - λ₁ changes at the end of an epoch, not at the next summary.

    Examples
    --------
    One parameter a group is Newton's method:

    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> A, b = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0])
    >>> objective = Objective(lambda w, batch: (w @ (A @ w) / 2 - w @ b, A @ w - b))
    >>> settings = {"damping": 1.0, "regularization": 0.0, "remove_negative": False, "warmup": 0}
    >>> newton = PartitionNewton("parameter", **settings)
    >>> w, info = newton.step(objective, np.zeros(2), None)
    >>> bool(np.allclose(A @ w, b)), info.outcome, newton.rates.round(3)
    (True, 'accepted', array([0.091, 0.318]))
    """

    def __init__(
        self,
        partition="tensor",
        damping: float = 0.1,
        regularization: float = 1.0,
        momentum: float = 0.9,
        dampening: float = 0.0,
        period: int = 10,
        rate_momentum: float = 0.0,
        remove_negative: bool = True,
        averaging: int = 3,
        warmup: int = 3,
        batch_size: int | None = None,
        patience: int = 2,
        threshold: float = 1e-4,
        factor: float = 0.5,
        seed: int = 0,
    ):
        named = isinstance(partition, str) and partition in PARTITIONS
        if not named and not isinstance(partition, Partition):
            words = ", ".join(map(repr, PARTITIONS))
            raise ValueError(
                f"partition: expected a Partition or one of {words}, got {partition!r}"
            )
        self.partition = partition
        self.damping = ReduceOnPlateau(damping, patience, threshold, factor)
        self.regularization = at_least("regularization", regularization, 0)
        self.momentum = fraction("momentum", momentum)
        self.dampening = fraction("dampening", dampening)
        self.period = integer("period", period, 1)
        self.rate_momentum = fraction("rate_momentum", rate_momentum)
        self.remove_negative = remove_negative
        self.warmup = integer("warmup", warmup, 0)
        self.batch_size = None if batch_size is None else integer("batch_size", batch_size, 1)
        self.seed = integer("seed", seed, 0)
        self.rates = None
        self._average = UniformAverage(integer("averaging", averaging, 0))
        self._direction = None  # u
        self._steps = 0

    @property
    def average(self):
        """The mean of the summaries as a `Summary`, or None."""
        rows = self._average.value
        return None if rows is None else Summary(rows[0], rows[1:-1], rows[-1])

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo.

        Raises
        ------
        NonFiniteError
            If the loss, the gradient or the summary at w is not finite.
        ValueError
            If the partition is not one of w, or its name needs slots that the objective lacks, or
            w is not like that of the steps before.
        """
        log = StepLog(objective)
        check_point(w)
        self._prepare(objective, w)
        loss, g = objective.value_and_grad(w, batch)
        expect_alike(self, w, self._direction)
        log.note(loss=loss, gradient_norm=length(g), damping=self.damping.value)
        u = g.copy()
        if self._direction is not None:
            u = self.momentum * self._direction + (1 - self.dampening) * g
        due = self.rates is None or (self._steps - self.warmup) % self.period == 0
        if due:
            self._average.update(self._summary(objective, w, batch, u, log))
        self._direction, self._steps = u, self._steps + 1
        if self._steps <= self.warmup:
            return w, log.finish("skipped", "warm-up: summaries are averaged before w moves")
        failure = self._update_rates() if due else None
        if self.rates is None:
            return w, log.finish("skipped", f"no learning rates yet: {failure}")
        rates = self.damping.value * self.rates
        if self.remove_negative:
            rates = np.maximum(rates, 0)
        if not rates.any():
            return w, log.finish("skipped", "no group has a positive learning rate")
        delta = -(self.partition.spread(rates, u) * u)
        log.note(slope=float(g @ delta))
        if due:
            model = self.average
            log.note(predicted=float(rates @ (model.curvature @ rates) / 2 - model.slope @ rates))
        if failure:
            return w + delta, log.finish("fallback", f"the learning rates before: {failure}")
        return w + delta, log.finish("accepted")

    def on_epoch(self, metrics):
        """Reduce λ₁ where the training loss has stopped decreasing."""
        self.damping.update(metrics["train_loss"])

    def state_dict(self):
        """Return what the next step depends on, as a flat dict."""
        state = {"steps": self._steps, "direction": self._direction, "rates": self.rates}
        state |= nested(**{name: part.state_dict() for name, part in self._parts().items()})
        return {name: value for name, value in state.items() if value is not None}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._steps = int(state["steps"])
        self._direction, self.rates = state.get("direction"), state.get("rates")
        for name, part in self._parts().items():
            part.load_state_dict(entries(state, name))

    def _parts(self):
        """Return the parts that have a state of their own."""
        return {"average": self._average, "damping": self.damping}

    def _prepare(self, objective, w):
        """Make the partition from its name, and check that it is one of w and of the state."""
        if isinstance(self.partition, str):
            if objective.slots is None and self.partition not in SLOTLESS:
                raise ValueError(
                    f"partition {self.partition!r}: expected an objective with slots, got one "
                    "without; make it by Objective.of(problem), or pass a Partition"
                )
            self.partition = PARTITIONS[self.partition](w, objective.slots)
        if self.partition.size != w.size:
            raise ValueError(
                f"partition: expected one of the {w.size} parameters in w, got one of "
                f"{self.partition.size}; use a new PartitionNewton for another objective"
            )
        average = self.average
        if average is not None and average.slope.size != self.partition.groups:
            raise ValueError(
                f"partition: expected {average.slope.size} groups as in the run that is continued, "
                f"got {self.partition.groups}; use the partition of that run"
            )

    def _summary(self, objective, w, batch, u, log):
        """Return the summary along u on a batch of its own, as rows ḡ, H̄ and ∇³f_sss (S+2, S)."""
        if objective.data is not None:
            rng = np.random.default_rng([self.seed, self._steps])
            batch = objective.sample(self.batch_size or len(batch[0]), rng)
        log.note(samples=1 if batch is None else len(batch[0]))
        summary = Summary.of(
            lambda direction: objective.taylor_gradient(w, batch, direction, order=2),
            u,
            self.partition,
        )
        for name in ("slope", "curvature", "third"):
            if not np.isfinite(getattr(summary, name)).all():
                raise NonFiniteError(
                    f"{name} of the summary is not finite on the batch {describe(batch)}: "
                    f"{objective.diagnose(w, batch)}; reduce damping or the scale of w"
                )
        return np.vstack([summary.slope, summary.curvature, summary.third])

    def _update_rates(self):
        """Minimize the cubic model of the average; return None, or why there is no minimum."""
        model = self.average
        third = np.cbrt(np.abs(model.third))
        step = minimize_cubic(model.curvature, model.slope, third, self.regularization)
        if step.eta is None:
            return step.status
        old = step.eta if self.rates is None else self.rates
        self.rates = self.rate_momentum * old + (1 - self.rate_momentum) * step.eta
        return None
