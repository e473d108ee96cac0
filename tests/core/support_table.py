"""The table "what is supported" of the README: `python -m tests.core.support_table` prints it.

The chapters are those of the NumPy reference; who is supported, and why not, the registry says.
"""

import sys
from pathlib import Path

import numpy as np
import scipy
import scipy.special
from numpy.testing import overrides

from mcx import dispatch

START, END = "<!-- supported -->", "<!-- /supported -->"
VERSIONS = "NumPy 2.4", "SciPy 1.17"  # whose functions the table in the README lists

CHAPTERS = {
    "Universal functions: mathematics": """
        add subtract multiply divide floor_divide remainder fmod divmod negative positive power
        float_power absolute fabs sign heaviside conjugate rint exp exp2 expm1 log log2 log10 log1p
        logaddexp logaddexp2 sqrt square cbrt reciprocal gcd lcm matmul vecdot matvec vecmat""",
    "Universal functions: trigonometry": """
        sin cos tan arcsin arccos arctan arctan2 hypot sinh cosh tanh arcsinh arccosh arctanh
        degrees radians deg2rad rad2deg""",
    "Universal functions: comparison, extrema, logic": """
        greater greater_equal less less_equal equal not_equal logical_and logical_or logical_xor
        logical_not maximum minimum fmax fmin""",
    "Universal functions: floating point": """
        isfinite isinf isnan isnat signbit copysign nextafter spacing modf ldexp frexp floor ceil
        trunc""",
    "Universal functions: bits": """
        bitwise_and bitwise_or bitwise_xor bitwise_count invert left_shift right_shift""",
    "Array creation (without an operand: by `like=`)": """
        empty empty_like eye identity ones ones_like zeros zeros_like full full_like array asarray
        asanyarray ascontiguousarray asfortranarray require frombuffer fromfile fromfunction
        fromiter fromstring genfromtxt loadtxt arange linspace logspace geomspace meshgrid diag
        diagflat tri tril triu vander""",
    "Array manipulation": """
        copyto ndim shape size reshape ravel moveaxis rollaxis swapaxes transpose matrix_transpose
        atleast_1d atleast_2d atleast_3d broadcast_arrays broadcast_to expand_dims squeeze astype
        concatenate stack block vstack hstack dstack column_stack split array_split dsplit hsplit
        vsplit unstack tile repeat delete insert append resize trim_zeros flip fliplr flipud roll
        rot90 pad copy""",
    "Indexing": """
        nonzero where ix_ ravel_multi_index unravel_index diag_indices_from tril_indices_from
        triu_indices_from take take_along_axis choose compress diagonal select place put
        put_along_axis putmask fill_diagonal extract lib.stride_tricks.sliding_window_view""",
    "Mathematical functions": """
        angle real imag real_if_close clip around round fix i0 sinc unwrap prod sum nanprod nansum
        cumprod cumsum nancumprod nancumsum cumulative_prod cumulative_sum diff ediff1d gradient
        cross trapezoid convolve interp nan_to_num""",
    "Mathematical functions with automatic domain (`np.emath`)": """
        emath.arccos emath.arcsin emath.arctanh emath.log emath.log10 emath.log2 emath.logn
        emath.power emath.sqrt""",
    "Linear algebra": """
        dot vdot inner outer tensordot einsum einsum_path kron trace linalg.cholesky linalg.cond
        linalg.cross linalg.det linalg.diagonal linalg.eig linalg.eigh linalg.eigvals
        linalg.eigvalsh linalg.inv linalg.lstsq linalg.matmul linalg.matrix_norm linalg.matrix_power
        linalg.matrix_rank linalg.matrix_transpose linalg.multi_dot linalg.norm linalg.outer
        linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.svd linalg.svdvals linalg.tensordot
        linalg.tensorinv linalg.tensorsolve linalg.trace linalg.vecdot linalg.vector_norm""",
    "Fourier transforms": """
        fft.fft fft.fft2 fft.fftn fft.fftshift fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.ifftshift
        fft.ihfft fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn""",
    "Sorting, searching, counting": """
        sort lexsort argsort sort_complex partition argpartition argmax nanargmax argmin nanargmin
        argwhere flatnonzero searchsorted count_nonzero""",
    "Set routines": """
        unique unique_all unique_counts unique_inverse unique_values intersect1d isin setdiff1d
        setxor1d union1d""",
    "Statistics": """
        max min amax amin nanmax nanmin ptp percentile nanpercentile quantile nanquantile median
        average mean std var nanmedian nanmean nanstd nanvar corrcoef correlate cov histogram
        histogram2d histogramdd bincount histogram_bin_edges digitize""",
    "Polynomials": """
        poly polyadd polyder polydiv polyfit polyint polymul polysub polyval roots
        polynomial.polynomial.polygrid2d polynomial.polynomial.polyval2d""",
    "Logic": """
        all any isneginf isposinf iscomplex iscomplexobj isreal isrealobj allclose isclose
        array_equal array_equiv""",
    "Functional programming": "apply_along_axis apply_over_axes piecewise",
    "Data types and memory": """
        can_cast common_type min_scalar_type result_type may_share_memory shares_memory""",
    "Input and output": """
        save savez savez_compressed savetxt array2string array_repr array_str""",
    "Dates, bytes": """
        busday_count busday_offset is_busday datetime_as_string packbits unpackbits""",
}  # fmt: skip


def function_of(name):
    """Return the function of a dotted name in the numpy namespace, None where it has none."""
    found = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def chapters():
    """Return {chapter: [(name, function)]} of what this NumPy has."""
    named = {
        chapter: [(name, function_of(name)) for name in names.split()]
        for chapter, names in CHAPTERS.items()
    }
    return {
        chapter: [(name, func) for name, func in pairs if func is not None]
        for chapter, pairs in named.items()
    }


def is_numeric(func):
    """Tell whether a function is public, and not about strings or structured arrays."""
    if isinstance(func, np.ufunc):
        return getattr(np, func.__name__, None) is func
    words = ("numpy.strings", "numpy.char", "numpy.rec", "numpy.lib.recfunctions")
    return not func.__module__.startswith(words)


def overridable():
    """Return the numeric functions and ufuncs that NumPy lets types override."""
    functions = overrides.get_overridable_numpy_array_functions()
    every = functions | overrides.get_overridable_numpy_ufuncs()
    return {dispatch.public(func) for func in every if is_numeric(func)}


def special_functions():
    """Return the names of the ufuncs of scipy.special that have a rule of their own."""
    dispatch.load_chapters()
    return sorted(
        name
        for name, func in vars(scipy.special).items()
        if isinstance(func, np.ufunc)
        and func in dispatch.RULES
        and func is not getattr(np, name, None)
    )


def table():
    """Return the table as Markdown."""
    rows = ["| chapter | supported | refused, and why |", "|---|---|---|"]
    for chapter, pairs in chapters().items():
        supported = [name for name, func in pairs if dispatch.classify(func) != "refused"]
        reasons: dict[str, list] = {}
        for name, func in pairs:
            if name not in supported:
                reasons.setdefault(dispatch.reason_refused(func), []).append(name)
        refused = "<br>".join(f"{_listed(names)}: {reason}" for reason, names in reasons.items())
        rows.append(f"| {chapter} | {_listed(supported)} | {refused} |")
    special = _listed(special_functions())
    rows.append(f"| `scipy.special` | {special} | its other ufuncs: no rule is registered |")
    return "\n".join(rows)


def _listed(names):
    return ", ".join(f"`{name}`" for name in names)


def is_of_the_table():
    """Tell whether these are the versions whose functions the README lists."""
    installed = f"NumPy {np.__version__}", f"SciPy {scipy.__version__}"
    return all(
        own.startswith(listed + ".") for own, listed in zip(installed, VERSIONS, strict=True)
    )


def written_into(text):
    """Return a text with the table between its markers."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        path.write_text(written_into(path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())
