"""Globalization of a Newton step: which γ, by which of the line searches."""

import math
from dataclasses import replace

import numpy as np

from mcx_optim.armijo import armijo
from mcx_optim.jet import jet_step
from mcx_optim.taylor_ratio import StepSize, taylor_ratio, taylor_ratio_step

ORDER = 4  # of the jet
MOST = 2.0**20  # γ where E_Q has no minimum


def step_size(settings, objective, w, estimate, direction, log):
    """Return γ, 0 if none will do, and whether it meets the Taylor ratio.

    Parameters
    ----------
    settings : NewtonKrylov
        Its `line_search` and `eta`.
    objective, w, estimate, direction, log
        Of the step, see `NewtonKrylov`.
    """
    delta, slope = direction.delta, direction.slope
    shift = slope - float(estimate.sample_gradient @ delta)

    def loss_at(gamma):
        return objective.loss(w + gamma * delta, estimate.sample) + gamma * shift

    with np.errstate(over="ignore", invalid="ignore"):  # a trial may be out of range
        search = LINE_SEARCHES[settings.line_search]
        size = search(settings, objective, w, estimate, direction, loss_at)
        gamma, new_tracked = size.gamma, size.loss
        if estimate.exact and gamma > 0:
            gamma, new_tracked = armijo(
                lambda gamma: objective.full_loss(w + gamma * delta),
                estimate.loss,
                slope,
                gamma=gamma,
            )
    log.note(trials=size.trials, gamma=gamma, new_tracked_loss=new_tracked)
    if gamma == size.gamma:
        eta = size.eta if math.isfinite(size.eta) else None
        log.note(new_loss=size.loss - gamma * shift, eta=eta)
    return gamma, size.accepted


def _taylor(settings, objective, w, estimate, direction, loss_at):
    return taylor_ratio_step(
        loss_at,
        estimate.sample_loss,
        direction.slope,
        direction.curvature,
        eta=settings.eta,
        eps=float(np.finfo(w.dtype).eps),
        most=_most(direction),
    )


def _jet(settings, objective, w, estimate, direction, loss_at):
    coefficients = objective.taylor(w, estimate.sample, direction.delta, ORDER)
    coefficients[1] = direction.slope
    size = jet_step(coefficients, eta=settings.eta, most=_most(direction))
    if size.gamma:
        loss, gamma = loss_at(size.gamma), size.gamma
        model = gamma * direction.slope + gamma**2 * direction.curvature / 2
        if loss < estimate.sample_loss:
            eta = taylor_ratio(estimate.sample_loss, loss, model)
            return replace(size, loss=loss, eta=eta, trials=1)
    found = _taylor(settings, objective, w, estimate, direction, loss_at)
    return replace(found, trials=found.trials + (size.gamma > 0))


def _armijo(settings, objective, w, estimate, direction, loss_at):
    trials = 0

    def counted(gamma):
        nonlocal trials
        trials += 1
        return loss_at(gamma)

    known = estimate.sample_loss, direction.slope
    gamma, loss = armijo(counted, *known, c=0.01, shrink=0.8, max_trials=40)
    return StepSize(gamma, loss, math.inf, trials, accepted=gamma > 0)


def _most(direction):
    """Return the largest γ: no more than 1 where E_Q has its minimum there."""
    return MOST if direction.curvature < 0 else 1.0


LINE_SEARCHES = {"taylor": _taylor, "jet": _jet, "armijo": _armijo}
"""Line searches by name; "armijo" is that of the paper's comparison, c = 0.01 and τ = 0.8."""
