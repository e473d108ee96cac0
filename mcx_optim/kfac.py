"""K-FAC."""

import math

import numpy as np

from mcx_optim.first_order import FirstOrder
from mcx_optim.kronecker import Inverse, Kronecker
from mcx_optim.settings import fraction, integer, number, positive
from mcx_optim.state import entries, expect_setting, nested


class KFAC(FirstOrder):
    """Natural gradient steps with Kronecker factors in place of the Gauss-Newton matrix.

    With the gradient g of the batch and M of `Kronecker`, damped by λ,

    d = M⁻¹ g,  ν = min(1, √(κ / (lr² g·d))),  v ← μ v + ν d,  w ← w - lr v.

    ν bounds δᵀM δ of the step δ = -lr ν d, before momentum, by κ. Where the loss is the mean
    negative logarithm of a likelihood that is, to second order, twice the Kullback-Leibler
    divergence between the predictions before and after.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule of it: see `mcx_optim.schedules`. The default trains LeNet-5
        and a perceptron on `load_digits`. Far from the optimum κ sets the length of the step.
    momentum : float
        μ in [0, 1).
    damping : float
        λ, in units of the loss's second derivatives.
    decay : float
        Weight of the old factors against those of a new batch, in [0, 1).
    kl_clip : float
        κ; inf for steps of any size.
    factor_period : int
        The factors are seen in every step that is a multiple of it, and in steps 1, 2, 4, 8, ….
    inverse_period : int
        The factors are inverted in every step that is a multiple of it, itself a multiple of
        `factor_period`, and in steps 1, 2, 4, 8, ….
    most : int
        Rows or columns up to which a factor is a full matrix; of a larger one the diagonal is kept.
    seed : int
        Of the targets drawn for the factors.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    J. Martens and R. Grosse, "Optimizing neural networks with Kronecker-factored approximate
    curvature", ICML 2015: factors (section 3) of targets drawn once per sample, their averages and
    decay (section 5), block-diagonal inverse (4.2), every 20 steps (8), factored damping with what
    a regularizer adds (6.3). R. Grosse and J. Martens, "A Kronecker-factored approximate Fisher
    matrix for convolution layers", ICML 2016: `Conv2d`. ν: J. Ba, R. Grosse, J. Martens,
    "Distributed second-order optimization using Kronecker-factored approximations", ICLR 2017;
    g·d for the quadratic form and heavy-ball momentum are those of common implementations, as are
    λ and κ.

    Differs: learning rate, momentum and λ are constants, not chosen by the quadratic model and
    adapted (6.4, 6.5, 7). All samples of a batch make the factors, not in every step. The early
    steps that invert them are 1, 2, 4, …, not 1, 2, 3. Where ICML 2016 has Ω ⊗ Γ, the factors here
    are Ω/T and T Γ for T places, the same product, and the damping is the same. Biases are a row of
    the weight's matrix (homogeneous coordinate). Of parameters of other layers the squares of the
    drawn gradient are the curvature. See `Kronecker`.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> from mcx_optim import Objective
    >>> objective = Objective.of(Supervised(Sequential([Dense(1, 1)]), mean_squared_error))
    >>> X = np.linspace(-10.0, 10.0, 1001)[:, None]
    >>> optimizer = KFAC(lr=1.0, damping=1e-6, kl_clip=np.inf)
    >>> w, info = optimizer.step(objective, np.zeros(2), (X, 3 * X + 1))  # nearly a Newton step
    >>> bool(np.allclose(w, [3, 1], rtol=0.1)), info.outcome
    (True, 'accepted')
    """

    RUNNING = ("velocity",)

    def __init__(
        self,
        lr=0.03,
        momentum: float = 0.9,
        damping: float = 0.03,
        decay: float = 0.95,
        kl_clip: float = 0.01,
        factor_period: int = 5,
        inverse_period: int = 20,
        most: int = 2048,
        seed: int = 0,
    ):
        super().__init__(lr)
        self.momentum = fraction("momentum", momentum)
        self.damping = positive("damping", damping)
        self.kl_clip = number("kl_clip", kl_clip, "a positive number or inf", lambda x: x > 0)
        self.factor_period = integer("factor_period", factor_period, 1)
        self.inverse_period = integer("inverse_period", inverse_period, 1)
        if self.inverse_period % self.factor_period:
            raise ValueError(
                f"inverse_period: expected a multiple of factor_period {factor_period}, got "
                f"{inverse_period}; in between the factors to invert are the old ones"
            )
        self.seed = integer("seed", seed, 0)
        self._kronecker = Kronecker(decay, most)
        self.decay, self.most = self._kronecker.decay, self._kronecker.most
        self._inverse = None

    def _delta(self, rate, w, g):
        self._velocity = v = self.momentum * self._velocity + self._clipped(rate, g)
        return -rate * v

    def _prepare(self, objective, w, batch, log):
        """Let the factors see the batch, and invert them, where that is due in step t."""
        if self._due(self.factor_period):
            rng = np.random.default_rng([self.seed, self._t])
            self._kronecker.update(objective, w, batch, rng)
        if self._due(self.inverse_period):
            self._inverse = self._kronecker.damped(self.damping)
        log.note(damping=self.damping)

    def _clipped(self, rate, g):
        """Return ν d."""
        d = self._inverse @ g
        change = rate**2 * float(g @ d)
        return math.sqrt(self.kl_clip / change) * d if change > self.kl_clip else d

    def state_dict(self):
        """Return the step count, the velocity, the factors and the inverse in use."""
        state = super().state_dict()
        if self._t:
            parts = {"kronecker": self._kronecker, "inverse": self._inverse}
            state |= nested(**{name: each.state_dict() for name, each in parts.items()})
        return state

    def load_state_dict(self, state):
        """Restore what `state_dict` returned; raise ValueError if `most` was another."""
        expect_setting(self, "most", entries(state, "kronecker"))
        super().load_state_dict(state)
        self._kronecker, self._inverse = Kronecker(self.decay, self.most), None
        if self._t:
            self._kronecker.load_state_dict(entries(state, "kronecker"))
            self._inverse = Inverse.from_state(entries(state, "inverse"))

    def _due(self, period):
        """Return whether this step is a multiple of the period or a power of 2."""
        return self._t % period == 0 or self._t.bit_count() == 1
