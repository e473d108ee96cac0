"""Any full-batch method on a function of one vector, in the manner of SciPy."""

import math
from collections.abc import Callable

import numpy as np

import mcx
from mcx_optim.lbfgs import LBFGS
from mcx_optim.newton import Newton
from mcx_optim.newton_krylov import NewtonKrylov
from mcx_optim.objective import Objective
from mcx_optim.settings import at_least, integer
from mcx_optim.trust_region import TrustRegion

METHODS = {
    "lbfgs": LBFGS,
    "newton": Newton,
    "newton_krylov": lambda: NewtonKrylov(max_cg=200),
    "trust_region": TrustRegion,
}
PATIENCE = 10  # steps without progress
SKIPPED = 5  # steps that one counts as which predicts a change and leaves w in place
ROUNDING = 1000  # eps: what a predicted decrease must exceed to be missed

MESSAGES = {
    0: "converged: the largest entry of the gradient is at most tol times that at w0",
    1: "the iteration limit was reached; raise max_iterations or loosen tol",
    2: "no further decrease is possible: what is predicted is within the rounding of f and w",
    3: (
        "no step decreases f as predicted; check grad against mcx.gradient, whether f is smooth, "
        "or loosen tol"
    ),
    4: "the callback raised StopIteration",
}
"""Why `minimize` ended, by status. Only 0 and 2 are a success."""


def minimize(
    f: Callable,
    w0,
    method="newton_krylov",
    *,
    grad: Callable | None = None,
    tol: float = 1e-8,
    max_iterations: int = 1000,
    callback: Callable | None = None,
):
    """Minimize a function of one vector by any full-batch method.

    The run ends

    0. where ‖g‖∞ ≤ tol ‖g₀‖∞, g₀ the gradient at w0: no unit of f or w matters;
    1. after `max_iterations` steps;
    2. where no decrease is left that f could show: in 10 steps f has not decreased by more than its
       rounding eps |f|, nor has ‖g‖∞ been halved, and the last model predicts a change of at most
       1000 eps (|f| + Σ|g_i w_i|), which the rounding of f and of w may make of f;
    3. after 10 such steps where it predicts more, or there is no model. Here and in 2 a step that
       is skipped, though it had a prediction, counts as 5, and one that is made without a look at f
       where it ends, as those of first order are, does not count; nor do the first steps of an
       optimizer with a `warmup`, so many as that says;
    4. where the callback raises StopIteration.

    Parameters
    ----------
    f : callable
        w (P,) -> a number, in NumPy syntax that works on Multicomplex w unless "lbfgs" runs with
        `grad`.
    w0 : array_like (P,)
        Start. float32 and float64 arrays, of the host or of a device, keep their type; anything
        else becomes float64. It is not changed. A w of another shape is for f to reshape.
    method : {"newton_krylov", "lbfgs", "trust_region", "newton"} or optimizer
        `NewtonKrylov` (with max_cg=200), `LBFGS`, `TrustRegion` and `Newton` with their defaults;
        or an object of any class with ``step(objective, w, None)``.
    grad : callable, optional
        w (P,) -> gradient (P,), in syntax that works on Multicomplex w as well. Default: by forward
        mode, `mcx.gradient`, which evaluates f on blocks of directions.
    tol : float
        Relative to the gradient at w0, at least 0.
    max_iterations : int
        Largest number of steps.
    callback : callable, optional
        Called with w, which is not to be written to, and the `StepInfo` after every step. It may
        raise StopIteration.

    Returns
    -------
    scipy.optimize.OptimizeResult
        x, fun, jac; nit; nfev, njev, nhev: how often f, its gradient and products Hp were
        evaluated; success, status (the number above) and message; and `steps`, the StepInfo of
        every step.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    NonFiniteError
        If f or its gradient is not finite at w0, or where a step ended. Along line searches, and
        within trust regions, it may be.
    TypeError, ValueError
        If a parameter is not as said, or grad returns something else.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim.minimize import minimize
    >>> def rosenbrock(w):
    ...     return 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2
    >>> result = minimize(rosenbrock, [-1.2, 1.0], method="trust_region")
    >>> result.x.round(8), result.success, result.status
    (array([1., 1.]), True, 0)
    """
    OptimizeResult = _optimize_result()
    tol = at_least("tol", tol, 0)
    max_iterations = integer("max_iterations", max_iterations, 1)
    optimizer = _optimizer(method)
    if np.iscomplexobj(w0):
        raise TypeError("w0: expected real numbers, got complex ones; minimize over both parts")
    w = w0.copy() if getattr(w0, "dtype", None) in (np.float32, np.float64) else np.array(w0, float)
    objective = _Function(f, grad)
    loss, g = objective.full(w)
    watch = _Watch(loss, g, tol, getattr(optimizer, "warmup", 0))
    steps = []
    while watch.status is None and len(steps) < max_iterations:
        w, info = optimizer.step(objective, w, None)
        steps.append(info)
        loss, g = objective.full(w)
        watch.see(w, loss, g, info)
        if callback is not None:
            try:
                callback(w, info)
            except StopIteration:
                watch.status = 4
    status = 1 if watch.status is None else watch.status
    counts = objective.counts
    return OptimizeResult(
        x=w,
        fun=loss,
        jac=g,
        nit=len(steps),
        nfev=counts.loss + counts.gradient + counts.linearize + counts.curvature,
        njev=counts.gradient + counts.linearize,
        nhev=counts.hvp + counts.curvature,
        success=status in (0, 2),
        status=status,
        message=MESSAGES[status],
        steps=steps,
    )


class _Function(Objective):
    """A function without data. At the point where it was last evaluated its gradient is free.

    Once a method asks for a Hessian, gradients are recorded, so that a Hessian at the same point
    costs no second one.
    """

    def __init__(self, f, grad):
        grad = grad or (lambda w: mcx.gradient(f, w))

        def value_and_grad(w, batch):
            gradient = grad(w)
            if not hasattr(gradient, "shape"):
                raise TypeError(
                    f"grad: expected an array of shape {np.shape(w)}, got a "
                    f"{type(gradient).__name__}; use np.stack"
                )
            return f(w), gradient

        super().__init__(value_and_grad, lambda w, batch: f(w))
        self._evaluated = None  # (w, what was returned)
        self._records = False

    def value_and_grad(self, w, batch):
        """Return f(w) and its gradient."""
        if self._records:
            return self.linearize(w, batch)[:2]
        return self._once(super().value_and_grad, w, batch)

    def linearize(self, w, batch):
        """Return f(w), its gradient and p -> Hp."""
        if not self._records:
            self._records, self._evaluated = True, None
        return self._once(super().linearize, w, batch)

    def _once(self, evaluate, w, batch):
        if self._evaluated is None or not np.array_equal(self._evaluated[0], w):
            self._evaluated = None  # frees the recording before the next one is made
            self._evaluated = w, evaluate(w, batch)
        return self._evaluated[1]


class _Watch:
    """Decides when a run ends: `status` is then the reason."""

    def __init__(self, loss, g, tol, warmup):
        self._eps = float(np.finfo(g.dtype).eps)
        self._loss, self._largest = loss, _largest(g)
        self._target = tol * self._largest
        self._idle = -warmup
        self._predicted = math.inf
        self.status = 0 if self._largest <= self._target else None

    def see(self, w, loss, g, info):
        """Take note of the point where a step ended."""
        largest = _largest(g)
        progress = self._loss - loss > self._eps * abs(self._loss) or largest <= self._largest / 2
        self._loss = min(loss, self._loss)
        self._largest = min(largest, self._largest) if progress else self._largest
        self._idle = 0 if progress else self._idle + _idleness(info)
        if info.predicted is not None:
            self._predicted = abs(info.predicted)
        if largest <= self._target:
            self.status = 0
        elif self._idle >= PATIENCE:
            with np.errstate(over="ignore"):
                rounding = self._eps * (abs(loss) + float(np.sum(np.abs(g * w))))
            self.status = 2 if self._predicted <= ROUNDING * rounding < math.inf else 3


def _idleness(info):
    """Return as how many steps without progress one counts."""
    if info.outcome == "skipped":
        return 1 if info.predicted is None else SKIPPED
    return 0 if info.new_tracked_loss is None else 1


def _largest(g):
    return float(np.max(np.abs(g)))


def _optimizer(method):
    """Return the optimizer of a name, or the object itself."""
    if isinstance(method, str) and method in METHODS:
        return METHODS[method]()
    if not hasattr(method, "step") or isinstance(method, type):
        names = ", ".join(map(repr, METHODS))
        raise ValueError(
            f"method: expected one of {names}, or an optimizer such as TrustRegion(), got "
            f"{method!r}"
        )
    return method


def _optimize_result():
    """Return the class of SciPy's results."""
    try:
        from scipy.optimize import OptimizeResult
    except ImportError as error:
        raise ImportError(
            "minimize: expected SciPy, whose OptimizeResult it returns, got none; pip install "
            "scipy. The optimizers do without: call their step, or fit"
        ) from error
    return OptimizeResult
