"""Calls of the functions of mcx.rules.fourier."""

import numpy as np
from core.calls import Call, existing

fft = np.fft


def _parts(run):
    """Return a call with the real and the imaginary part of its result."""
    return lambda x: (np.real(run(x)), np.imag(run(x)))


DERIVATIVES = existing(
    Call(fft.fft, _parts(lambda x: fft.fft(x))),
    Call(fft.fft, _parts(lambda x: fft.fft(x, 5, axis=0, norm="ortho"))),
    Call(fft.fft, _parts(lambda x: fft.fft(x * x, n=3))),
    Call(fft.ifft, _parts(lambda x: fft.ifft(x, axis=0, norm="forward"))),
    Call(fft.ifft, lambda x: fft.ifft(fft.fft(x * x, axis=0) * fft.fft(x, axis=0), axis=0).real),
    Call(fft.rfft, _parts(lambda x: fft.rfft(x))),
    Call(fft.rfft, lambda x: abs(fft.rfft(x, axis=-2)[1]) ** 2),
    Call(fft.irfft, lambda x: fft.irfft(x + 0.5j * x * x)),
    Call(fft.irfft, lambda x: fft.irfft(x * (1 + 2j), 5, 0, "ortho")),
    Call(fft.hfft, lambda x: fft.hfft(x * (1 - 2j), axis=0)),
    Call(fft.ihfft, _parts(lambda x: fft.ihfft(x, n=6))),
    Call(fft.fft2, _parts(lambda x: fft.fft2(x)), (2, 3, 4)),
    Call(fft.fft2, _parts(lambda x: fft.fft2(x, (2, 5), axes=(2, 0))), (2, 3, 4)),
    Call(fft.ifft2, _parts(lambda x: fft.ifft2(x, axes=(0, -1))), (2, 3, 4)),
    Call(fft.rfft2, _parts(lambda x: fft.rfft2(x, norm="ortho"))),
    Call(fft.irfft2, lambda x: fft.irfft2(x * (1 + 1j), s=(2, 3), axes=(0, 1)), (2, 3, 4)),
    Call(fft.fftn, _parts(lambda x: fft.fftn(x)), (2, 3, 2)),
    Call(fft.fftn, _parts(lambda x: fft.fftn(x, s=(3,), axes=(1,))), (2, 3, 2)),
    Call(fft.ifftn, _parts(lambda x: fft.ifftn(x, axes=(-3, 1))), (2, 3, 2)),
    Call(fft.rfftn, _parts(lambda x: fft.rfftn(x, axes=(2, 0), norm="forward")), (2, 3, 2)),
    Call(fft.irfftn, lambda x: fft.irfftn(x * (2 - 1j)), (2, 3, 2)),
    Call(fft.fftshift, lambda x: fft.fftshift(x, axes=(1,))),
    Call(fft.fftshift, lambda x: fft.fftshift(x * x, axes=0)),
    Call(fft.ifftshift, lambda x: fft.ifftshift(x), (5,)),
)
VALUES = existing()
