"""Algorithm 1 of Shen et al. (2020) as printed, for comparison with `NewtonKrylov`.

Kept as printed: line 11 overwrites the full gradient by that of the batch, line 18 tests the
curvature against the absolute 1e-8, line 19 replaces it by 0.01 ‖p‖, line 21 takes α = ‖r‖/κ, line
30 scales an ascent direction by 1 + cos θ, and line 35 asks for η in [η̃/2, η̃]. κ = 0 exactly is
not caught there and divides by zero here.

Chosen where the print leaves it open: Δw̃ = 0; "small enough" is ‖r‖ ≤ tolerance ‖r₀‖ or `max_cg`
iterations; the losses of η are those of the batch; after 10 trials γ = 1e-6; p_j in line 19 and
r_j in line 25 are p_i and r_i.
"""

import math

import numpy as np

from mcx_optim.taylor_ratio import taylor_ratio

MAX_TRIALS = 10
LAST_GAMMA = 1e-6


def step(objective, w, batch, log, eta, max_cg, tolerance):
    """Return w after lines 3-50 for one batch, and the StepInfo (see `NewtonKrylov`)."""
    g = objective.full(w)[1]
    loss, batch_gradient = objective.value_and_grad(w, batch)
    log.note(loss=loss, gradient_norm=_norm(batch_gradient))
    if batch_gradient @ g < 0:
        return w, log.finish("skipped", "the batch gradient opposes the full gradient")
    g = batch_gradient
    delta = _krylov(objective, w, batch, g, max_cg, tolerance, log)
    if not delta.any():
        return w, log.finish("skipped", "CG ended before its first step")
    ascent = float(delta @ g)
    if ascent > 0:
        delta = (1 + ascent / (_norm(delta) * _norm(g))) * delta
    gamma, new_loss, ratio = _step_size(objective, w, batch, loss, g, delta, eta, log)
    log.note(gamma=gamma, new_loss=new_loss, eta=ratio if math.isfinite(ratio) else None)
    return w + gamma * delta, log.finish("accepted")


def _krylov(objective, w, batch, g, max_cg, tolerance, log):
    """Lines 10-28."""
    r = p = -g
    delta = 0 * g
    status, iterations = "CONVERGED", 0
    while _norm(r) > tolerance * _norm(g):
        if iterations == max_cg:
            status = "MAX_ITERATIONS"
            break
        iterations += 1
        kappa = objective.curvature(w, batch, p)
        if kappa < 0:
            status = "NEGATIVE_CURVATURE"
            break
        if 0 < kappa < 1e-8:
            kappa = 0.01 * _norm(p)
        if kappa == 0:
            raise ZeroDivisionError(
                "Algorithm 1, line 21: the curvature is exactly 0, which the print does not catch "
                "(no curvature along the gradient, as with a linear or ReLU model); use "
                "NewtonKrylov(literal=False)"
            )
        alpha = _norm(r) / kappa
        delta = delta + alpha * p
        q = objective.hvp(w, batch, p)
        previous, r = r, r - alpha * q
        beta = _norm(r) ** 2 / _norm(previous) ** 2
        p = r + beta * p
    log.note(
        cg_iterations=iterations,
        cg_status=status,
        cg_residual=_norm(r) / _norm(g) if _norm(g) else 0.0,
    )
    return delta


def _step_size(objective, w, batch, loss, g, delta, eta, log):
    """Lines 33-46; return γ, the loss and the Taylor ratio there."""
    slope, curvature = float(g @ delta), objective.curvature(w, batch, delta)

    def trial(gamma):
        with np.errstate(over="ignore", invalid="ignore"):  # a trial may be out of range
            new_loss = objective.loss(w + gamma * delta, batch)
        model = gamma * slope + gamma**2 * curvature / 2
        return new_loss, taylor_ratio(loss, new_loss, model)

    gamma, trials = 1.0, 1
    new_loss, ratio = trial(gamma)
    if ratio > 0.5 * eta:
        while not 0.5 * eta <= ratio <= eta:
            if trials == MAX_TRIALS:
                gamma = LAST_GAMMA
                new_loss, ratio = trial(gamma)
                break
            gamma *= 0.5 if ratio > eta else 1.5
            trials += 1
            new_loss, ratio = trial(gamma)
    log.note(slope=slope, predicted=slope + curvature / 2, trials=trials)
    return gamma, new_loss, ratio


def _norm(vector):
    return math.sqrt(float(vector @ vector))
