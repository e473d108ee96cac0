"""The stochastic Newton-Krylov trainer: curvature x Krylov solver x globalization."""

import math

import numpy as np

from mcx_optim import algorithm1
from mcx_optim.damping import LevenbergMarquardt
from mcx_optim.direction import SOLVERS, Equation, escape, turned
from mcx_optim.gauss_newton import GaussNewton
from mcx_optim.gradients import GrowingSample, estimator
from mcx_optim.hessian import Hessian
from mcx_optim.kronecker import Kronecker
from mcx_optim.krylov import Status, length
from mcx_optim.probe import check_point
from mcx_optim.settings import fraction, integer, word
from mcx_optim.state import entries, expect_alike, expect_made_of, made_of, nested
from mcx_optim.step_info import StepLog
from mcx_optim.step_size import LINE_SEARCHES, step_size

CURVATURES = {"hessian": Hessian, "gauss_newton": GaussNewton}
NEGATIVE = ("follow", "stop", "absolute", "ignore")


class NewtonKrylov:
    """Newton steps A Δ = -b by a Krylov solver, with the curvature A of one batch.

    One step on batch j with loss f_j, gradient g_j and curvature A at w:

    1. b: the global gradient g, or an estimate of it (`rhs`). Where b is exact, skip the batch if
       g_j·b < 0 (`screening`).
    2. CG on (A + λI) Δ = -b until ‖r‖ ≤ min(tolerance, √(‖b‖/‖b₀‖)) ‖b‖, b₀ the first b of the
       run, or `max_cg` products. It ends early at a direction of negative curvature
       (`negative_curvature`).
    3. If Δ·b > 0, remove 1.1 times the component of Δ along b (`screening`).
    4. Skip unless b·Δ < 0 and E_Q = b·Δ + ½ΔᵀAΔ < 0. Choose γ, at most 1 unless E_Q falls without
       bound, by the Taylor ratio, at most `eta`, of the function φ whose gradient is b (see
       `mcx_optim.gradients.Estimate`): f_j, or f_j(v) + (b - g_j)·(v - w), or the loss of the
       sample that b is the gradient of.
    5. Where b is exact, halve γ until the loss of all data decreases by 1e-4 γ b·Δ.
    6. m ← μ m + γΔ with the `momentum` μ, and w ← w + m.

    All tests are relative: scaling the loss scales no step, save where A b = 0 leaves -b as the
    only direction. `info` tells what happened in every one of these, see `StepInfo`.

    The settings for convex problems and small data are the defaults: every step decreases the loss
    of all data. Those for large data are `NewtonKrylov.stochastic()`.

    Parameters
    ----------
    eta : float
        Bound η̃ of the Taylor ratio, in (0, 1); 0.01 to 0.2 work, larger ones far from the optimum.
    max_cg : int
        Largest number of products with A in a step.
    tolerance : float
        Largest relative residual of the Krylov solver, in (0, 1).
    rhs : {"global", "batch"} or estimator
        Right-hand side: the gradient over all data, exact every step; that of the batch; or an
        object of `mcx_optim.gradients`: `GrowingSample`, `VarianceReduced`, `MovingAverage`.
    screening : bool
        Whether to screen batches (1) and directions (3).
    negative_curvature : {"follow", "stop", "absolute", "ignore"}
        Whether to step along the direction of negative curvature that ends CG, which is what leaves
        saddles and plateaus, or to keep what was found before it, as the paper does; to take |A|
        instead of A in the Krylov space (`lanczos`); or to let CG go on, for comparison. A point
        where b = 0 is left along a direction of negative curvature, sought from a random vector.
    curvature : {"hessian", "gauss_newton"}
        A: indefinite and exact, or positive semidefinite and two thirds of the price.
    solver : {"cg", "cgls", "conjugate_residual", "minres"}
        CG, as above, or, for comparison, a solver that minimizes the residual: blind to negative
        curvature, so that Δ may lead uphill; with screening it is turned (3), without the batch is
        skipped (4). LSCG is "cgls"; `max_cg` bounds the products of all.
    preconditioner : Kronecker or Diagonal, optional
        Of CG, updated once a step.
    damping : float
        λ in the first step, in units of |bᵀAb|/bᵀb there, then adapted: see `LevenbergMarquardt`.
    momentum : float
        μ, in [0, 1). With it a step may increase the loss.
    averaging : float
        Decay of a mean of the iterates, in [0, 1), shorter at the beginning. With it the w returned
        is that mean, while the method goes on from its own iterate if it is given that w again.
    line_search : {"taylor", "jet", "armijo"}
        How γ is found (4): by trials, from a Taylor polynomial of order 4 along Δ, or, for
        comparison, by sufficient decrease of φ alone.
    warm_start : float
        Fraction of the last Δ that the solver starts from, in [0, 1).
    literal : bool
        Algorithm 1 as printed, for comparison: see `mcx_optim.algorithm1`. Uses `eta`, `max_cg`
        and `tolerance` only.
    seed : int
        Of what is random here: draws of the preconditioner, starts at points of zero gradient. A
        right-hand side has its own.

    Raises
    ------
    ValueError
        If a parameter is out of range or not one of the words above.

    References
    ----------
    Shen et al., "Second-order neural network training using complex-step directional derivative"
    (2020), Algorithm 1. Roosta-Khorasani and Mahoney, "Sub-sampled Newton methods" (2016), for
    the full gradient with a sub-sampled Hessian. Shamir, Srebro and Zhang, "Communication-efficient
    distributed optimization using an approximate Newton-type method" (2014), for the function of 4.

    Examples
    --------
    A convex quadratic takes one step:

    >>> import numpy as np
    >>> from mcx_optim import NewtonKrylov, Objective
    >>> A, b = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0])
    >>> objective = Objective(lambda w, batch: (w @ (A @ w) / 2 - w @ b, A @ w - b))
    >>> w, info = NewtonKrylov(tolerance=1e-12).step(objective, np.zeros(2), None)
    >>> bool(np.allclose(A @ w, b)), info.outcome, info.gamma, info.cg_status
    (True, 'accepted', 1.0, 'CONVERGED')
    """

    def __init__(
        self,
        eta: float = 0.05,
        max_cg: int = 20,
        tolerance: float = 0.1,
        rhs="global",
        screening: bool = True,
        negative_curvature: str = "follow",
        curvature: str = "hessian",
        solver: str = "cg",
        preconditioner=None,
        damping: float = 0.0,
        momentum: float = 0.0,
        averaging: float = 0.0,
        line_search: str = "taylor",
        warm_start: float = 0.0,
        literal: bool = False,
        seed: int = 0,
    ):
        self.eta = fraction("eta", eta, "()")
        self.max_cg = integer("max_cg", max_cg, 1)
        self.tolerance = fraction("tolerance", tolerance, "()")
        self.rhs = estimator(rhs)
        self.screening = screening
        self.negative_curvature = word("negative_curvature", negative_curvature, NEGATIVE)
        self.curvature = word("curvature", curvature, CURVATURES)
        self.solver = word("solver", solver, SOLVERS)
        if preconditioner is not None and (negative_curvature == "absolute" or solver != "cg"):
            raise ValueError(
                "preconditioner: expected None with negative_curvature='absolute', which takes the "
                "eigenvalues of A itself, and with solvers other than 'cg'; use 'follow' or 'stop'"
            )
        self.preconditioner = preconditioner
        self.damping = LevenbergMarquardt(damping)
        self.momentum = fraction("momentum", momentum)
        self.averaging = fraction("averaging", averaging)
        self.line_search = word("line_search", line_search, LINE_SEARCHES)
        self.warm_start = fraction("warm_start", warm_start)
        self.literal = literal
        self.seed = integer("seed", seed, 0)
        self._steps = self._moves = 0  # those taken, and those of them not skipped
        self._first_norm = None  # ‖b₀‖
        self._own = None  # the iterate, where w is a mean: (w returned, iterate)
        self._last = self._velocity = None  # Δ and m of the last step

    @classmethod
    def stochastic(cls, **settings):
        """Return the trainer with the settings for large data, or with others in their place.

        Gauss-Newton, preconditioned by Kronecker factors, one CG step from there; the gradient of a
        sample that grows; momentum and averaging. Meant for batches of a few hundred samples.
        """
        return cls(**(_stochastic(settings.get("seed", 0)) | settings))

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo.

        Raises
        ------
        NonFiniteError
            If the loss or the gradient at w is not finite.
        TypeError, ValueError
            If w is not a flat vector of float32 or float64, or not like that of the steps before,
            or the tolerance is below what its precision can reach.
        """
        check_point(w)
        log = StepLog(objective)
        eps = float(np.finfo(w.dtype).eps)
        if self.tolerance < 10 * eps:
            raise ValueError(
                f"tolerance: expected at least {10 * eps:.1g} for w of {w.dtype}, got "
                f"{self.tolerance}; use float64 or a larger tolerance"
            )
        if self.literal:
            return algorithm1.step(objective, w, batch, log, self.eta, self.max_cg, self.tolerance)
        mean, w = w, self._iterate(w)
        change, outcome = self._change(objective, w, batch, log)
        self._steps += 1
        if change is None:
            return mean, log.finish(*outcome)
        self._moves += 1
        if self.momentum:
            old = 0.0 if self._velocity is None else self.momentum * self._velocity
            self._velocity = change = old + change
        return self._averaged(mean, w + change), log.finish(*outcome)

    def on_epoch(self, metrics):
        """Do nothing: no setting changes between epochs."""

    def state_dict(self):
        """Return what the next step depends on, as a flat dict."""
        state = {"parts": made_of(self._parts()), "steps": self._steps, "moves": self._moves}
        vectors = {"first_norm": self._first_norm, "last": self._last, "velocity": self._velocity}
        if self._own is not None:
            vectors |= {"returned": self._own[0], "iterate": self._own[1]}
        state |= {name: value for name, value in vectors.items() if value is not None}
        state |= nested(**{name: part.state_dict() for name, part in self._parts().items()})
        return state

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        expect_made_of(self._parts(), state)
        self._steps, self._moves = int(state["steps"]), int(state["moves"])
        self._first_norm = float(state["first_norm"]) if "first_norm" in state else None
        self._last, self._velocity = state.get("last"), state.get("velocity")
        self._own = (state["returned"], state["iterate"]) if "iterate" in state else None
        for name, part in self._parts().items():
            part.load_state_dict(entries(state, name))

    def _parts(self):
        """Return the parts that have a state of their own."""
        parts = {"rhs": self.rhs, "damping": self.damping, "preconditioner": self.preconditioner}
        return {name: part for name, part in parts.items() if part is not None}

    def _change(self, objective, w, batch, log):
        """Return γΔ, None for a step that is skipped, and the outcome and its reason."""
        A = CURVATURES[self.curvature](objective, w, batch)
        expect_alike(self, w, self._last, self._velocity)
        estimate = self.rhs(objective, w, batch, A)
        b = estimate.gradient
        log.note(
            loss=A.loss,
            tracked_loss=estimate.loss,
            gradient_norm=length(b),
            samples=estimate.samples,
        )
        if self.screening and estimate.exact and float(A.gradient @ b) < 0:
            return None, ("skipped", "the batch gradient opposes the full gradient")
        direction = self._direction(objective, w, batch, A, b, log)
        if direction is None:
            return None, ("skipped", "the gradient is zero, and no negative curvature was found")
        log.note(slope=direction.slope, predicted=direction.predicted)
        if not (direction.slope <= 0 and direction.predicted < 0):
            return None, ("skipped", _why_not(direction, log.fields["cg_status"]))
        gamma, fits = step_size(self, objective, w, estimate, direction, log)
        self.damping.adapt(gamma, fits)
        if gamma == 0:
            return None, ("skipped", _too_small(direction, estimate, w))
        self._last = direction.delta
        outcome = ("accepted",) if fits else ("fallback", "no trial met the Taylor ratio")
        return gamma * direction.delta, outcome

    def _direction(self, objective, w, batch, A, b, log):
        """Solve (A + λI) Δ = -b and turn Δ against b."""
        norm = length(b)
        rng = np.random.default_rng([self.seed, self._steps])
        if norm == 0:
            return escape(A, w, self.max_cg, rng, log)
        if self._first_norm is None:
            self._first_norm = norm
        self.damping.begin(A, b)
        inverse = None
        if self.preconditioner is not None:
            self.preconditioner.update(objective, w, batch, rng)
            inverse = self.preconditioner.damped(self.damping.value)
        equation = Equation(
            A,
            b,
            self.damping.value,
            inverse,
            tolerance=min(self.tolerance, math.sqrt(norm / self._first_norm)),
            max_iterations=self.max_cg,
            negative=self.negative_curvature,
            solver=self.solver,
        )
        log.note(damping=self.damping.value)
        last = self._last if self.warm_start else None
        direction = equation.solve(None if last is None else self.warm_start * last, log)
        return turned(direction, A, b) if self.screening else direction

    def _iterate(self, w):
        """Return the iterate that belongs to a w that was returned, or w itself."""
        if self._own is not None and np.array_equal(self._own[0], w):
            return self._own[1]
        self._own = None
        return w

    def _averaged(self, mean, w):
        """Return the mean of the iterates, with the new one, w."""
        if not self.averaging:
            return w
        new = max(1 - self.averaging, 8 / (self._moves + 7))  # at first of an eighth of the steps
        mean = mean + new * (w - mean)
        self._own = mean.copy(), w
        return mean


def _stochastic(seed):
    """Return the settings of `NewtonKrylov.stochastic`, with new parts in their first state."""
    return {
        "eta": 0.5,
        "max_cg": 1,
        "rhs": GrowingSample(seed=seed),
        "screening": False,
        "curvature": "gauss_newton",
        "preconditioner": Kronecker(),
        "damping": 0.01,
        "momentum": 0.5,
        "averaging": 0.9,
    }


def _why_not(direction, status):
    """Return why a direction that does not decrease the model was found."""
    if not direction.delta.any() and status == Status.NON_FINITE.name:
        return "a product with the curvature was not finite"
    if not direction.delta.any():
        return "the solver met negative curvature at its first product, and stopped there"
    return "no direction that decreases the quadratic model"


def _too_small(direction, estimate, w):
    """Return why no step size decreases the loss."""
    noise = float(np.finfo(w.dtype).eps) * abs(estimate.loss)
    if math.isfinite(direction.predicted) and -direction.predicted <= 10 * noise:
        lost = "the predicted decrease is lost in the rounding of the loss"
        if direction.curvature < 0:
            return f"stalled: {lost}, on a plateau of negative curvature; try float64"
        return f"converged: {lost}"
    return "no step size decreases the tracked loss"
