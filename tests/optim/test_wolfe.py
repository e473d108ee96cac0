"""The strong Wolfe line search: its conditions, its trials on functions with known steps."""

import inspect
import math

import pytest

from mcx_optim import wolfe
from mcx_optim.wolfe import Trial, strong_wolfe


def along(phi, slope):
    """Return γ -> Trial, with the γ of its calls in `seen`."""

    def trial_at(gamma):
        trial_at.seen.append(gamma)
        return Trial(gamma, phi(gamma), slope(gamma))

    trial_at.seen = []
    return trial_at


def cubic(gamma):
    return gamma**3 / 3 - 4 * gamma


# φ, φ', first γ: those of Moré and Thuente (1994), equations 5.1 and 5.2, and others.
FUNCTIONS = {
    "rational": (
        lambda a: -a / (a * a + 2),
        lambda a: (a * a - 2) / (a * a + 2) ** 2,
    ),
    "steep": (
        lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
    ),
    "wavy": (
        lambda a: -a + 0.4 * math.sin(2 * a) + a * a / 20,
        lambda a: -1 + 0.8 * math.cos(2 * a) + a / 10,
    ),
    "valley": (
        lambda a: math.sqrt(1e-6 + (1 - a) ** 2) - 0.001 * a,
        lambda a: (a - 1) / math.sqrt(1e-6 + (1 - a) ** 2) - 0.001,
    ),
    "barrier": (
        lambda a: -math.log(3 - a) - 2 * a if a < 3 else math.nan,
        lambda a: 1 / (3 - a) - 2 if a < 3 else math.nan,
    ),
    "overflow": (
        lambda a: a - math.log(a + 0.1) * 9 if a < 50 else math.inf,
        lambda a: 1 - 9 / (a + 0.1) if a < 50 else math.nan,
    ),
}


def check_conditions(search, phi, slope, first, c1, c2):
    """Raise AssertionError unless the search ends where both conditions hold."""
    trial, met, trials = search(
        along(phi, slope), Trial(0.0, phi(0.0), slope(0.0)), gamma=first, c1=c1, c2=c2
    )
    assert met
    assert trials <= 20
    assert trial.gamma > 0
    assert (trial.loss, trial.slope) == (phi(trial.gamma), slope(trial.gamma))
    assert trial.loss <= phi(0.0) + c1 * trial.gamma * slope(0.0)
    assert abs(trial.slope) <= -c2 * slope(0.0)


def check_search(search):
    """Raise AssertionError unless `search` is a strong Wolfe line search by cubics."""
    for phi, slope in FUNCTIONS.values():
        for first in (1e-3, 1.0, 1e3):
            for c1, c2 in ((1e-4, 0.9), (1e-3, 0.1), (0.1, 0.2)):
                check_conditions(search, phi, slope, first, c1, c2)
    # A cubic is known after one trial, whether it grows or shrinks the step: minimum at 2.
    for first in (0.5, 5.0):
        at = along(cubic, lambda gamma: gamma**2 - 4)
        trial, met, _ = search(at, at(0.0), gamma=first, c2=1e-3)
        assert met
        assert trial.gamma == pytest.approx(2, rel=1e-12)
        assert len(at.seen) == 3


def test_conditions_hold():
    check_search(strong_wolfe)


@pytest.mark.parametrize(
    ("correct", "planted"),
    [
        ("abs(trial.slope) <= -c2", "trial.slope <= -c2"),  # weak Wolfe, and the wrong sign
        ("c1 * trial.gamma * start.slope", "c1 * trial.gamma * -start.slope"),
        ("trial.slope * way >= 0", "trial.slope * way < 0"),
        ("high = low\n", "low = high\n"),
        ("- 3 * (b.loss", "+ 3 * (b.loss"),
        ("root - middle", "root + middle"),
        ("math.copysign(unit * math.sqrt(square), width)", "unit * math.sqrt(square)"),
        ("low.gamma + INNER * width", "high.gamma - INNER * width"),
    ],
)
def test_planted_errors_are_caught(correct, planted):
    source = inspect.getsource(wolfe)
    assert source.count(correct) == 1
    namespace = {"__name__": "mcx_optim.wolfe"}
    exec(source.replace(correct, planted), namespace)
    with pytest.raises((AssertionError, IndexError, ZeroDivisionError, AttributeError)):
        check_search(namespace["strong_wolfe"])


def test_growth_is_bounded():
    at = along(lambda gamma: -gamma, lambda gamma: -1.0)  # never flat: no end
    trial, met, trials = strong_wolfe(at, at(0.0), max_trials=5)
    assert (met, trials) == (False, 5)
    assert at.seen == [0, 1, 10, 100, 1000, 10000]
    assert trial.gamma == 10000


def test_without_decrease_the_start_is_returned():
    at = along(lambda gamma: gamma, lambda gamma: -1.0)  # a wrong slope
    start = at(0.0)
    trial, met, trials = strong_wolfe(at, start, max_trials=7)
    assert trial is start
    assert (met, trials) == (False, 7)


def test_rounding_of_the_loss_decides_nothing():
    """1 + 1e-17 γ² is 1: the slopes find the minimum that the values cannot."""
    at = along(lambda gamma: 1.0 + 1e-17 * (gamma - 1) ** 2, lambda gamma: 2e-17 * (gamma - 1))
    start = at(0.0)
    assert strong_wolfe(at, start, gamma=0.9, c1=0.4)[1:] == (True, 1)  # within eps of 1
    noisy = along(lambda gamma: 1.0 + 2e-16 * (gamma > 0), lambda gamma: 2e-17 * (gamma - 1))
    assert not strong_wolfe(noisy, start, gamma=0.9)[1]
    trial, met, trials = strong_wolfe(noisy, start, gamma=0.9, noise=1e-15)
    assert (trial.gamma, met, trials) == (0.9, True, 1)
    worse = along(lambda gamma: 1.0 + 1e-14 * (gamma > 0), lambda gamma: 2e-17 * (gamma - 1))
    assert not strong_wolfe(worse, start, gamma=0.9, noise=1e-15)[1]
    steps = along(
        lambda gamma: 1.0 + 2e-16 * (gamma > 0), lambda gamma: math.copysign(1.99e-17, gamma - 0.5)
    )
    assert strong_wolfe(steps, start, gamma=0.9, c1=0.1, c2=0.999, noise=1e-15)[0].gamma < 0.5
