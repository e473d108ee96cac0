"""Interpolation, differences, phases and special functions of the numpy namespace."""

from __future__ import annotations

import math

import numpy as np

from mcx.dispatch import positional, register, value_of
from mcx.errors import UnsupportedFunctionError
from mcx.nested import stacked
from mcx.verbs import Analytic, Composed


def as_array(x):
    """Return an argument as a number or a plain array; a sequence of numbers is stacked."""
    return x if hasattr(x, "dtype") else stacked(x)


def _interp(x, xp, fp, left=None, right=None, period=None):
    """fp_j + (x − xp_j)·slope: j is NumPy's, at the last knot with the slope before it."""
    x, xp, fp = (as_array(a) for a in (x, xp, fp))
    x, xp = x.astype(np.float64), xp.astype(np.float64)
    fp = fp.astype(np.complex128 if np.iscomplexobj(fp) else np.float64)
    if period is not None:
        left = right = None
        x, xp, fp = _periodic(x, xp, fp, np.abs(period))
    knots, at = value_of(xp), value_of(x)
    left, right = fp[0] if left is None else left, fp[-1] if right is None else right
    outside = (at < knots[0]) | (at > knots[-1])
    x = np.where(outside, knots[0], x)
    j = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, None)
    slope = 0.0
    if len(knots) > 1:
        k = np.where(j < len(knots) - 1, j, np.searchsorted(knots, knots[-1]) - 1)
        k = np.clip(k, 0, None)
        slope = (fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k])
    beyond = np.where(at < knots[0], left, right)
    return np.where(outside, beyond, fp[j] + (x - xp[j]) * slope)


def _periodic(x, xp, fp, period):
    """Return the points within one period, with a knot more at each end."""
    x, xp = np.remainder(x, period), np.remainder(xp, period)
    order = np.argsort(value_of(xp))
    xp, fp = xp[order], fp[order]
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, np.concatenate([fp[-1:], fp, fp[:1]])


def _gradient(f, *varargs, axis=None, edge_order=1):
    f = as_array(f)
    axes = np.lib.array_utils.normalize_axis_tuple(range(f.ndim) if axis is None else axis, f.ndim)
    spacings = varargs or (1.0,)
    if len(spacings) == 1 and np.ndim(spacings[0]) == 0:
        spacings = spacings * len(axes)
    pairs = zip(axes, spacings, strict=True)
    results = tuple(_slopes(f, axis, as_array(spacing), edge_order) for axis, spacing in pairs)
    return results[0] if len(results) == 1 else results


def _slopes(f, axis: int, spacing, edge_order: int):
    """Return the derivative of f along an axis by differences on the points at hand."""
    f = np.moveaxis(f, axis, -1)
    steps = np.diff(spacing) if np.ndim(spacing) else np.broadcast_to(spacing, (f.shape[-1] - 1,))
    before, after = steps[:-1], steps[1:]
    both = before + after
    interior = (
        -after / (before * both) * f[..., :-2]
        + (after - before) / (before * after) * f[..., 1:-1]
        + before / (after * both) * f[..., 2:]
    )
    first, last = _edge(f, steps, edge_order), _edge(f[..., ::-1], -steps[::-1], edge_order)
    return np.moveaxis(np.concatenate([first, interior, last], axis=-1), -1, axis)


def _edge(f, steps, edge_order: int):
    """Return the one-sided derivative at the first point."""
    near = steps[:1]
    if edge_order == 1:
        return (f[..., 1:2] - f[..., :1]) / near
    far = steps[1:2]
    both = near + far
    return (
        -(near + both) / (near * both) * f[..., :1]
        + both / (near * far) * f[..., 1:2]
        - near / (far * both) * f[..., 2:3]
    )


def _ediff1d(ary, to_end=None, to_begin=None):
    parts = [np.diff(np.ravel(as_array(ary)))]
    if to_begin is not None:
        parts = [np.ravel(as_array(to_begin)), *parts]
    if to_end is not None:
        parts = [*parts, np.ravel(as_array(to_end))]
    return np.concatenate(parts)


def _unwrap(p, discont=None, axis=-1, *, period=2 * math.pi):
    """Add the whole periods that NumPy adds."""
    angles, turn = value_of(p), value_of(period)
    moved = np.unwrap(angles, value_of(discont), axis, period=turn) - angles
    return p + np.rint(moved / turn) * period


def _angle(z, deg=False):
    if not np.iscomplexobj(z):
        raise UnsupportedFunctionError(
            "numpy.angle of a Multicomplex: expected complex coefficients, got "
            f"{z.dtype}: the angle of a real quantity jumps between 0 and π; for the phase of a "
            "complex function of real parameters build it with complex numbers, np.exp(1j * t)"
        )
    angle = np.arctan2(np.imag(z), np.real(z))
    return angle * (180 / math.pi) if deg else angle


def _real_if_close(a, tol=100):
    return a if np.iscomplexobj(np.real_if_close(value_of(a), tol)) else np.real(a)


def _frexp(x):
    exponent = np.frexp(value_of(x))[1]
    return np.ldexp(x, -exponent), exponent


COMPOSED = {
    np.interp: _interp,
    np.gradient: _gradient,
    np.ediff1d: _ediff1d,
    np.unwrap: _unwrap,
    np.angle: _angle,
    np.real_if_close: _real_if_close,
    np.frexp: _frexp,
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))


def _sinc(a, y, n):
    """Coefficients of sin u/u, u = πa: its derivatives have u d_k + k d_(k−1) = sin⁽ᵏ⁾(u).

    That is a stable recurrence upwards while k ≤ |u|, and downwards from there.
    """
    u = math.pi * a
    sin, cos = np.sin(u), np.cos(u)
    waves = (sin, cos, -sin, -cos)
    size, top = np.abs(u), 2 * n + 32
    far = np.where(size < 1, 1, u)
    up = [sin / far]
    for k in range(1, n + 1):
        up.append((waves[k % 4] - k * up[-1]) / far)
    near = np.where(size > n + 1, 0, u)
    down = [np.zeros_like(u)]
    for k in range(top, 1, -1):
        down.append((waves[k % 4] - near * down[-1]) / k)
    return [
        np.where(size < k, down[top - k], up[k]) * (math.pi**k / math.factorial(k))
        for k in range(1, n + 1)
    ]


def _i0(a, y, n):
    """Coefficients of I_0(a) = (2/π) ∫ cosh(a cos θ) dθ over [0, π/2].

    The midpoint rule is exact to rounding; derivatives have the weights cosᵏ θ, and nothing
    cancels.
    """
    size, sign = np.abs(a), np.where(a < 0, -1, 1).astype(a.dtype)
    nodes = (16 if a.dtype.itemsize == 4 else 60) + n // 2
    sums = [np.zeros_like(a) for _ in range(n + 1)]
    for j in range(nodes):
        c = math.cos((j + 0.5) * math.pi / (2 * nodes))
        falling = np.expm1(-2 * c * size)
        weight = np.exp((c - 1) * size)
        even, odd = weight * (2 + falling), -sign * weight * falling
        for k, total in enumerate(sums):
            total += c**k * (odd if k % 2 else even)
    return [y * (total / sums[0]) / math.factorial(k) for k, total in enumerate(sums[1:], 1)]


class _OfOne(Analytic):
    """An analytic function of one argument, by position or by name."""

    def apply(self, func, args, kwargs, like=None):
        args, kwargs = positional(func, args, kwargs, 1)
        return super().apply(func, args, kwargs, like)


register(np.sinc, _OfOne(_sinc, compiled=()))
register(np.i0, _OfOne(_i0, compiled=()))
