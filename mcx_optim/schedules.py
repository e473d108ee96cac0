"""Learning rates that change from step to step.

A schedule is a callable from the number t = 0, 1, … of a step to its learning rate; those here are
dataclasses, and a user's own function will do. An optimizer takes one wherever it takes a number as
`lr`, and counts its steps in its state, so that a resumed run goes on in the middle of a schedule.
An epoch has ⌈N / batch size⌉ steps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mcx_optim.settings import fraction, integer, number, positive


def rate_or_schedule(lr):
    """Return `lr`, checked to be a positive number or what may be a schedule."""
    if callable(lr) and not isinstance(lr, type):
        return lr
    return positive("lr", lr, "; or pass a schedule, such as Cosine(lr=0.1, steps=1000)")


def learning_rate(lr, t: int) -> float:
    """Return the learning rate of step t, of a number or of a schedule.

    Raises
    ------
    ValueError
        Unless it is a finite number of at least 0.

    Examples
    --------
    >>> learning_rate(0.1, 7), learning_rate(lambda t: 1 / (1 + t), 7)
    (0.1, 0.125)
    """
    rate, source = (lr(t), f" from the schedule {lr!r}") if callable(lr) else (lr, "")
    expected = f"a number of at least 0 at step {t}"
    return number("lr", rate, expected, lambda x: 0 <= x < math.inf, source)


@dataclass(frozen=True)
class Constant:
    """The same learning rate at every step, as is a plain number.

    Parameters
    ----------
    lr : float
        Learning rate.

    Raises
    ------
    ValueError
        If it is not positive.

    Examples
    --------
    >>> Constant(0.1)(7)
    0.1
    """

    lr: float

    def __post_init__(self):
        positive("lr", self.lr)

    def __call__(self, t: int) -> float:
        """Return the learning rate of step t."""
        return self.lr


@dataclass(frozen=True)
class StepDecay:
    """A learning rate that is multiplied by a factor every so many steps.

    η_t = lr · factor^⌊t / period⌋

    Parameters
    ----------
    lr : float
        Learning rate of the first `period` steps.
    period : int
        Steps from one reduction to the next.
    factor : float
        In (0, 1].

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, for division
    by 10; theirs is where the error plateaus.

    Examples
    --------
    >>> schedule = StepDecay(lr=0.8, period=2, factor=0.5)
    >>> [schedule(t) for t in range(6)]
    [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    """

    lr: float
    period: int
    factor: float = 0.1

    def __post_init__(self):
        positive("lr", self.lr)
        integer("period", self.period, 1)
        fraction("factor", self.factor, "(]")

    def __call__(self, t: int) -> float:
        """Return the learning rate of step t."""
        return self.lr * self.factor ** (t // self.period)


@dataclass(frozen=True)
class Cosine:
    """A learning rate that falls along half a period of the cosine, and stays where it ends.

    η_t = final + ½ (lr - final) (1 + cos(π t / steps)) for t ≤ steps, then `final`.

    Parameters
    ----------
    lr : float
        Learning rate at t = 0.
    steps : int
        Steps of the run. The last one, t = steps - 1, has a rate just above `final`.
    final : float
        In [0, lr].

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017,
    equation 5, without restarts.

    Examples
    --------
    >>> schedule = Cosine(lr=0.1, steps=4)
    >>> [round(schedule(t), 4) for t in range(6)]
    [0.1, 0.0854, 0.05, 0.0146, 0.0, 0.0]
    """

    lr: float
    steps: int
    final: float = 0.0

    def __post_init__(self):
        lr = positive("lr", self.lr)
        integer("steps", self.steps, 1)
        number("final", self.final, f"a number in [0, lr = {lr}]", lambda x: 0 <= x <= lr)

    def __call__(self, t: int) -> float:
        """Return the learning rate of step t."""
        fraction = min(t / self.steps, 1.0)
        return self.final + (self.lr - self.final) / 2 * (1 + math.cos(math.pi * fraction))


@dataclass(frozen=True)
class Warmup:
    """A schedule whose first steps are shorter, in equal increments up to its own.

    η_t = min(1, (t + 1) / steps) · schedule(t)

    The schedule is not delayed: ``Warmup(Cosine(0.1, 1000), 50)`` ends with step 1000 as well.

    Parameters
    ----------
    schedule : float or callable
        Learning rate, or a schedule of it.
    steps : int
        Steps until the learning rate is that of the schedule.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD: Training ImageNet in 1 hour", arXiv:1706.02677,
    section 2.2, "gradual warmup". Differs: the first rate is lr / steps, as in He et al., "Bag of
    tricks for image classification with convolutional neural networks", CVPR 2019, section 3.1.

    Examples
    --------
    >>> schedule = Warmup(0.8, steps=4)
    >>> [round(schedule(t), 4) for t in range(6)]
    [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    """

    schedule: float | Callable[[int], float]
    steps: int

    def __post_init__(self):
        rate_or_schedule(self.schedule)
        integer("steps", self.steps, 1)

    def __call__(self, t: int) -> float:
        """Return the learning rate of step t."""
        return min(1.0, (t + 1) / self.steps) * learning_rate(self.schedule, t)
