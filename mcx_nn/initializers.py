"""Initial values of weights.

Every initialiser is a function of (rng, shape, fan_in, fan_out), the number of inputs that one
output depends on and of outputs that one input reaches, and returns an ndarray of float64. All
randomness comes from the `numpy.random.Generator` it is given.
"""

from math import prod, sqrt

import numpy as np


def glorot_uniform(rng, shape, fan_in, fan_out):
    """Draw weights from the uniform distribution that keeps variances level in both passes.

    W ~ U(−a, a) with a = √(6 / (fan_in + fan_out)), of variance 2 / (fan_in + fan_out).

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
    bound = sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape)


def glorot_normal(rng, shape, fan_in, fan_out):
    """Draw weights from the normal distribution that keeps variances level in both passes.

    W ~ N(0, 2 / (fan_in + fan_out)); arguments, result and source as for `glorot_uniform`
    (eq. (12) of the paper fixes the variance).

    Examples
    --------
    >>> weight = glorot_normal(np.random.default_rng(0), (300, 100), 300, 100)
    >>> print(f"{weight.std() * 200**0.5:.2f}")
    1.00
    """
    return rng.normal(0, sqrt(2 / (fan_in + fan_out)), shape)


def lecun_normal(rng, shape, fan_in, fan_out):
    """Draw weights from the normal distribution that keeps variances level forward.

    W ~ N(0, 1 / fan_in); arguments and result as for `glorot_uniform`.

    References
    ----------
    Y. LeCun, L. Bottou, G. B. Orr, K.-R. Müller, Efficient BackProp, in Neural Networks: Tricks of
    the Trade, LNCS 1524 (1998), eq. (16).

    Examples
    --------
    >>> weight = lecun_normal(np.random.default_rng(0), (300, 100), 300, 100)
    >>> print(f"{weight.std() * 300**0.5:.2f}")
    1.00
    """
    return rng.normal(0, sqrt(1 / fan_in), shape)


def he_uniform(rng, shape, fan_in, fan_out):
    """Draw weights from the uniform distribution that keeps variances level under rectifiers.

    W ~ U(−a, a) with a = √(6 / fan_in), of the variance of `he_normal`; arguments, result and
    source as there.

    Examples
    --------
    >>> weight = he_uniform(np.random.default_rng(0), (300, 100), 300, 100)
    >>> weight.shape, bool(abs(weight).max() <= (6 / 300) ** 0.5)
    ((300, 100), True)
    """
    bound = sqrt(6 / fan_in)
    return rng.uniform(-bound, bound, shape)


def he_normal(rng, shape, fan_in, fan_out):
    """Draw weights from the normal distribution that keeps variances level under rectifiers.

    W ~ N(0, 2 / fan_in)

    Parameters
    ----------
    rng, shape, fan_in, fan_out
        As for `glorot_uniform`; fan_out plays no part.

    Returns
    -------
    ndarray of float64

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, Delving deep into rectifiers, ICCV 2015, eq. (10).

    Examples
    --------
    >>> weight = he_normal(np.random.default_rng(0), (300, 100), 300, 100)
    >>> print(f"{weight.std() * 150**0.5:.2f}")
    1.00
    """
    return rng.normal(0, sqrt(2 / fan_in), shape)


def orthogonal(rng, shape, fan_in, fan_out, gain=1.0):
    """Draw weights whose columns, or rows where those are fewer, are orthogonal of length `gain`.

    W = gain · Q of a normal matrix Z = Q R with R's diagonal positive, which makes Q uniformly
    distributed. A kernel (kH, kW, C, O) is taken as the matrix (kH·kW·C, O).

    Parameters
    ----------
    rng, shape, fan_in, fan_out
        As for `glorot_uniform`; the fans play no part.
    gain : float
        The singular values. Give another than 1 by `functools.partial(orthogonal, gain=2.0)`.

    Returns
    -------
    ndarray of float64

    References
    ----------
    A. M. Saxe, J. L. McClelland, S. Ganguli, Exact solutions to the nonlinear dynamics of learning
    in deep linear neural networks, ICLR 2014, section 3. F. Mezzadri, How to generate random
    matrices from the classical compact groups, Notices of the AMS 54 (2007): the sign of R.

    Examples
    --------
    >>> weight = orthogonal(np.random.default_rng(0), (5, 3), 5, 3)
    >>> bool(np.allclose(weight.T @ weight, np.eye(3)))
    True
    """
    rows, columns = prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q = gain * q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T).reshape(shape)
