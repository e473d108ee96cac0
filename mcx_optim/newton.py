"""Newton's method with the whole Hessian, for small problems."""

import numpy as np

from mcx_optim.armijo import armijo
from mcx_optim.hessian import Hessian
from mcx_optim.krylov import length
from mcx_optim.probe import check_point
from mcx_optim.settings import integer
from mcx_optim.step_info import StepLog

MAX_TRIALS = 40
SWEEPS = 10  # each takes the square root of how far rows are from 1
TANGENT_BYTES = 1 << 27  # of a block of Hessian-vector products


class Newton:
    """Newton steps -D|DHD|⁻¹Dg with the matrix H of the batch, by Armijo backtracking from γ = 1.

    The diagonal matrix D makes the largest entry of every row of DHD about 1. |DHD| has the
    absolute values of its eigenvalues, with max |λ| in place of those up to P eps max |λ|, what
    rounding leaves of zero: along them the step is that of gradient descent.
    Where H is positive definite the step is -H⁻¹g; elsewhere it is a descent direction all the
    same, and leaves saddles by the directions of negative curvature, if g has any part in them. No
    step depends on the unit of the loss, or on those of the parameters.

    H takes P products and P² numbers, its eigenvectors about 10 P³ operations.

    Parameters
    ----------
    max_parameters : int
        Largest P that is not refused. The default takes seconds a step and some 100 MB.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    J. Greenstadt, "On the relative efficiencies of gradient methods", Math. Comp. 21 (1967), for
    |H|; D. Ruiz, "A scaling algorithm to equilibrate both rows and columns norms in matrices", RAL
    report 2001-034, for D; Nocedal and Wright, Numerical Optimization, 2nd ed., Algorithms 3.1
    (c = 1e-4, halves) and 3.2. Differs: where the predicted decrease is at most 10 eps |f|, the
    loss may increase by that: rounding decides there, and the last step is worth taking.

    Examples
    --------
    A saddle at 0, and minima at ±1:

    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> def value_and_grad(w, batch):
    ...     return np.sum(w**4 / 4 - w**2 / 2), w**3 - w
    >>> objective, optimizer = Objective(value_and_grad), Newton()
    >>> w = np.array([0.1, -2.0])
    >>> for _ in range(7):
    ...     w, info = optimizer.step(objective, w, None)
    >>> w.round(12), info.gamma
    (array([ 1., -1.]), 1.0)
    """

    def __init__(self, max_parameters: int = 2000):
        self.max_parameters = integer("max_parameters", max_parameters, 1)

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo.

        Raises
        ------
        NonFiniteError
            If the loss or the gradient at w is not finite.
        TypeError, ValueError
            If w is not a flat vector of float32 or float64, or longer than `max_parameters`.
        """
        check_point(w)
        if w.size > self.max_parameters:
            raise ValueError(
                f"Newton: expected at most {self.max_parameters} parameters, got {w.size}; use "
                "TrustRegion or NewtonKrylov, which need no matrix, or raise max_parameters"
            )
        log = StepLog(objective)
        H = Hessian(objective, w, batch)
        log.note(loss=H.loss, tracked_loss=H.loss, gradient_norm=length(H.gradient))
        if not H.gradient.any():
            return w, log.finish("skipped", "the gradient is zero")
        matrix = _dense(H)
        if not np.isfinite(matrix).all():
            return w, log.finish("skipped", "the Hessian is not finite")
        delta = _direction(matrix, H.gradient)
        slope = float(H.gradient @ delta)
        log.note(slope=slope, predicted=slope + float(delta @ (matrix @ delta)) / 2)
        gamma = _step_size(objective, w, batch, delta, log)
        if gamma == 0:
            return w, log.finish("skipped", "no step size decreases the loss")
        return w + gamma * delta, log.finish("accepted")

    def on_epoch(self, metrics):
        """Do nothing: no setting changes between epochs."""

    def state_dict(self):
        """Return an empty dict: steps do not depend on those before."""
        return {}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""


def _step_size(objective, w, batch, delta, log):
    """Return γ, or 0."""
    loss, slope, trials = log.fields["loss"], log.fields["slope"], 0

    def loss_at(gamma):
        nonlocal trials
        trials += 1
        return objective.loss(w + gamma * delta, batch)

    rounding = 10 * float(np.finfo(w.dtype).eps) * abs(loss)
    slack = rounding if -log.fields["predicted"] <= rounding else 0.0
    with np.errstate(all="ignore"):  # a trial may be out of range
        gamma, new_loss = armijo(loss_at, loss + slack, slope, max_trials=MAX_TRIALS)
    log.note(trials=trials, gamma=gamma)
    if gamma:
        log.note(new_loss=new_loss, new_tracked_loss=new_loss)
    return gamma


def _dense(H):
    """Return H (P, P), from blocks of products with rows of the identity."""
    P = H.gradient.size
    identity = np.zeros_like(H.gradient, shape=(P, P))
    np.fill_diagonal(identity, 1)
    rows = min(max(TANGENT_BYTES // max(H.nbytes, 1), 1), P)
    blocks = [H.block(identity[start : start + rows]) for start in range(0, P, rows)]
    return np.concatenate(blocks)


def _direction(matrix, g):
    """Return -D|DHD|⁻¹Dg; for H = 0 it is -g."""
    d = _equilibration(matrix)
    values, vectors = np.linalg.eigh(matrix * d[:, None] * d)
    values = np.abs(values)
    largest = float(np.max(values))
    if largest == 0:
        return -g
    floor = g.size * float(np.finfo(g.dtype).eps) * largest
    sizes = np.where(values > floor, values, largest)
    return -d * (vectors @ ((vectors.T @ (d * g)) / sizes))


def _equilibration(matrix):
    """Return the diagonal of D."""
    d = np.ones_like(matrix[0])
    for _ in range(SWEEPS):
        rows = np.max(np.abs(matrix * d[:, None] * d), axis=1)
        d = d / np.sqrt(np.where(rows > 0, rows, 1))
    return d
