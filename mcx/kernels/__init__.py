"""Kernels: straight-line machine code for the arithmetic of planes, generated from the plain code.

`symbols` runs `mcx.planes` and `mcx.series` on names and writes down what they do; `program` has
one program for every operation, algebra and set of dead planes; `source` prints it for Numba and
for CUDA; `cache` keeps the modules on disk; `launch` decides when a kernel runs. Whatever has no
kernel, or where one may not speak (a floating-point exception), takes the plain way with the same
result.
"""
