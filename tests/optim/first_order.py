"""First-order methods as their formulas, written out: no class, no state but local names."""

import numpy as np

from mcx_optim import SGD, Adam
from mcx_optim.adagrad import AdaGrad
from mcx_optim.adamw import AdamW
from mcx_optim.rmsprop import RMSProp


def sgd(w, gradient, rates, momentum=0.9):
    """Return w after v ← μ v + g, w ← w - lr v."""
    v = 0.0
    for t, lr in enumerate(rates):
        v = momentum * v + gradient(w, t)
        w = w - lr * v
    return w


def nesterov(w, gradient, rates, momentum=0.9):
    """Return w after v ← μ v + g, w ← w - lr (g + μ v)."""
    v = 0.0
    for t, lr in enumerate(rates):
        g = gradient(w, t)
        v = momentum * v + g
        w = w - lr * (g + momentum * v)
    return w


def adagrad(w, gradient, rates, epsilon=1e-10):
    """Return w after G ← G + g², w ← w - lr g / (√G + ε)."""
    total = 0.0
    for t, lr in enumerate(rates):
        g = gradient(w, t)
        total = total + g * g
        w = w - lr * g / (np.sqrt(total) + epsilon)
    return w


def rmsprop(w, gradient, rates, decay=0.9, epsilon=1e-8, momentum=0.0):
    """Return w after r ← ρ r + (1-ρ) g², v ← μ v + g / (√r + ε), w ← w - lr v."""
    r = v = 0.0
    for t, lr in enumerate(rates):
        g = gradient(w, t)
        r = decay * r + (1 - decay) * g * g
        v = momentum * v + g / (np.sqrt(r) + epsilon)
        w = w - lr * v
    return w


def adamw(w, gradient, rates, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.01):
    """Return w after Algorithm 2 of Loshchilov and Hutter, λ times lr; λ = 0: of Kingma and Ba."""
    m = v = 0.0
    for t, lr in enumerate(rates, start=1):
        g = gradient(w, t - 1)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        w = w - lr * (m_hat / (np.sqrt(v_hat) + epsilon) + weight_decay * w)
    return w


def adam(w, gradient, rates, **settings):
    """Return w after Algorithm 1 of Kingma and Ba."""
    return adamw(w, gradient, rates, weight_decay=0.0, **settings)


METHODS = {
    "sgd": (SGD, sgd, 0.05, {}),
    "gradient-descent": (SGD, sgd, 0.2, {"momentum": 0.0}),
    "nesterov": (lambda lr, **s: SGD(lr, nesterov=True, **s), nesterov, 0.05, {"momentum": 0.8}),
    "adagrad": (AdaGrad, adagrad, 0.05, {}),
    "adagrad-epsilon": (AdaGrad, adagrad, 0.05, {"epsilon": 0.1}),
    "rmsprop": (RMSProp, rmsprop, 0.01, {}),
    "rmsprop-momentum": (
        RMSProp,
        rmsprop,
        0.005,
        {"decay": 0.95, "epsilon": 0.01, "momentum": 0.8},
    ),
    "adam": (Adam, adam, 0.01, {}),
    "adam-settings": (Adam, adam, 0.01, {"beta1": 0.8, "beta2": 0.99, "epsilon": 0.01}),
    "adamw": (AdamW, adamw, 0.01, {}),
    "adamw-settings": (AdamW, adamw, 0.02, {"beta2": 0.99, "epsilon": 0.01, "weight_decay": 0.3}),
}
"""Name -> (optimizer of lr and settings, its formula, lr, settings other than the default)."""


def make(name, lr=None):
    """Return the optimizer of that name, with its own learning rate or another."""
    optimizer, _, rate, settings = METHODS[name]
    return optimizer(rate if lr is None else lr, **settings)


def by_formula(name, w, gradient, rates):
    """Return w after one step a rate, with the gradient (w, t) -> g of step t."""
    _, formula, _, settings = METHODS[name]
    return formula(w, gradient, rates, **settings)
