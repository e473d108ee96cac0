"""mcx: multicomplex arrays. Plain NumPy code yields machine-precision derivatives of any order."""

from mcx import dispatch, rules
from mcx.array import Multicomplex, unit
from mcx.derivatives import csdd, csdd2, derivative, directional, jvp, taylor
from mcx.differences import finite_difference
from mcx.door import patched_numpy
from mcx.errors import AlgebraError, ImplicitConversionError, UnsupportedFunctionError
from mcx.jacobians import gradient, hessian, jacobian
from mcx.kernels.launch import get_num_threads, set_num_threads
from mcx.linearize import Linearized, linearize
from mcx.seeding import perturb, step
from mcx.sparse import sparse_matmul
from mcx.tensors import directional_tensors
from mcx.verbs import register_analytic, register_bilinear, register_linear

__all__ = [
    "AlgebraError",
    "ImplicitConversionError",
    "Linearized",
    "Multicomplex",
    "UnsupportedFunctionError",
    "csdd",
    "csdd2",
    "derivative",
    "directional",
    "directional_tensors",
    "dispatch",
    "finite_difference",
    "get_num_threads",
    "gradient",
    "hessian",
    "jacobian",
    "jvp",
    "linearize",
    "patched_numpy",
    "perturb",
    "register_analytic",
    "register_bilinear",
    "register_linear",
    "rules",
    "set_num_threads",
    "sparse_matmul",
    "step",
    "taylor",
    "unit",
]


def __getattr__(name: str):
    if name == "__version__":
        from importlib.metadata import version

        return version("mcx-multicomplex")
    raise AttributeError(f"module 'mcx' has no attribute {name!r}")
