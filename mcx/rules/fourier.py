"""Discrete Fourier transforms: linear; the coefficients of a real signal become complex."""

from __future__ import annotations

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import positional, register, signature_of
from mcx.planes import buffer_like
from mcx.support import live_rows, supported
from mcx.verbs import Linear


class Transform(Linear):
    """A linear function along axes: the value by NumPy's own call, the other planes in one.

    `axes` is the default of its argument axis= (an int) or axes= (a tuple, or None for all).
    """

    def __init__(self, axes):
        super().__init__((0,))
        self.axes = axes

    def planes(self, func, args, kwargs, like):
        (number,), call = self.split(func, args, kwargs)
        first = call([number._planes[0, ...]])
        algebra, live = number.algebra, number.live
        rows = slice(1, live_rows(live, algebra.size).stop)
        out = buffer_like(first, algebra.size, zeros=rows.stop < algebra.size)
        out[0, ...] = first
        if rows.stop > 1:
            options = self._from_the_end(func, args, kwargs, number.ndim)
            out[rows] = func(number._planes[rows], **options)
        return Multicomplex(out, algebra, supported(live, algebra))

    def _from_the_end(self, func, args, kwargs, ndim: int):
        """Return the options by name, the axes counted from the end: those of a buffer too."""
        args, kwargs = positional(func, args, kwargs, 1)
        options = {**dict(zip(signature_of(func)[1:], args[1:], strict=False)), **kwargs}
        options.pop("out", None)
        name = "axis" if isinstance(self.axes, int) else "axes"
        axes = options.get(name, self.axes)
        if axes is None:
            sizes = options.get("s")
            axes = range(-(ndim if sizes is None else len(sizes)), 0)
        single = not hasattr(axes, "__iter__")
        last = tuple(k - ndim if k >= 0 else k for k in ((axes,) if single else axes))
        return {**options, name: last[0] if single else last}


fft = np.fft
for _func in (fft.fft, fft.ifft, fft.rfft, fft.irfft, fft.hfft, fft.ihfft):
    register(_func, Transform(-1))
for _func in (fft.fft2, fft.ifft2, fft.rfft2, fft.irfft2):
    register(_func, Transform((-2, -1)))
for _func in (fft.fftn, fft.ifftn, fft.rfftn, fft.irfftn, fft.fftshift, fft.ifftshift):
    register(_func, Transform(None))
