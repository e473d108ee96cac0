"""Initial values of weights."""

import numpy as np


def glorot_uniform(rng, shape, fan_in, fan_out):
    """Draw weights from the uniform distribution that keeps variances level in both passes.

    W ~ U(−a, a) with a = √(6 / (fan_in + fan_out)).

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
    fan_in, fan_out : int
        Number of inputs that one output depends on, and of outputs that one input reaches.

    Returns
    -------
    ndarray of float64

    References
    ----------
    X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural
    networks, AISTATS 2010, eq. (16).

    Examples
    --------
    >>> weight = glorot_uniform(np.random.default_rng(0), (300, 100), 300, 100)
    >>> weight.shape, bool(abs(weight).max() <= (6 / 400) ** 0.5)
    ((300, 100), True)
    """
    bound = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape)
