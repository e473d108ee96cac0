"""What CuPy 14 offers, by name: the closed world of the stand-in (`standin.py`).

From CuPy's table of comparison with NumPy and the signatures of its functions; ufuncs and functions
are those that NumPy lets other types override.
"""


def _names(text):
    return frozenset(text.split())


UFUNCS = _names(
    """absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_count
    bitwise_or bitwise_xor cbrt ceil clip conjugate copysign cos cosh deg2rad degrees divide divmod
    equal exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod frexp gcd greater
    greater_equal heaviside hypot invert isfinite isinf isnan lcm ldexp left_shift less less_equal
    log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor matmul
    maximum minimum modf multiply negative nextafter not_equal positive power rad2deg radians
    reciprocal remainder right_shift rint sign signbit sin sinh sqrt square subtract tan tanh
    trunc"""
)

FUNCTIONS = {
    "numpy": _names(
        """all allclose amax amin angle any append apply_along_axis apply_over_axes arange argmax
        argmin argpartition argsort argwhere around array array2string array_equal array_equiv
        array_repr array_split array_str asanyarray asarray ascontiguousarray asfortranarray astype
        atleast_1d atleast_2d atleast_3d average bincount broadcast_arrays broadcast_to can_cast
        choose clip column_stack common_type compress concatenate convolve copy copyto corrcoef
        correlate count_nonzero cov cross cumprod cumsum cumulative_prod cumulative_sum delete diag
        diag_indices_from diagflat diagonal diff digitize dot dsplit dstack ediff1d einsum empty
        empty_like expand_dims extract eye fill_diagonal fix flatnonzero flip fliplr flipud
        frombuffer fromfile fromfunction fromiter fromstring full full_like genfromtxt gradient
        histogram histogram2d histogramdd hsplit hstack i0 identity imag inner interp intersect1d
        isclose iscomplex iscomplexobj isin isneginf isposinf isreal isrealobj ix_ kron lexsort
        linspace loadtxt logspace matrix_transpose max may_share_memory mean median meshgrid min
        min_scalar_type moveaxis nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean
        nanmedian nanmin nanprod nanstd nansum nanvar ndim nonzero ones ones_like outer packbits pad
        partition percentile piecewise place poly polyadd polyfit polymul polysub polyval prod ptp
        put put_along_axis putmask quantile ravel ravel_multi_index real real_if_close repeat
        require reshape resize result_type roll rollaxis roots rot90 round save savetxt savez
        savez_compressed searchsorted select setdiff1d setxor1d shape shares_memory sinc size sort
        sort_complex split squeeze stack std sum swapaxes take take_along_axis tensordot tile trace
        transpose trapezoid tri tril tril_indices_from trim_zeros triu triu_indices_from union1d
        unique unique_all unique_counts unique_inverse unique_values unpackbits unravel_index unwrap
        vander var vdot vsplit vstack where zeros zeros_like"""
    ),
    "numpy.linalg": _names(
        """cholesky cond cross det eig eigh eigvals eigvalsh inv lstsq matmul matrix_power
        matrix_rank matrix_transpose norm pinv qr slogdet solve svd tensorinv
        tensorsolve"""
    ),
    "numpy.fft": _names(
        """fft fft2 fftn fftshift hfft ifft ifft2 ifftn ifftshift ihfft irfft irfft2 irfftn rfft
        rfft2 rfftn"""
    ),
    "numpy.lib.stride_tricks": frozenset({"sliding_window_view"}),
}

METHODS = _names(
    """all any argmax argmin argpartition argsort astype choose clip compress conj conjugate copy
    cumprod cumsum diagonal dot fill flatten item max mean min nonzero partition prod ptp put ravel
    repeat reshape round searchsorted sort squeeze std sum swapaxes take tobytes tolist trace
    transpose var view"""
)

ATTRIBUTES = _names("T base dtype imag itemsize mT nbytes ndim real shape size strides")

# Keywords that NumPy's functions have and CuPy's lack (`min` and `max` are those of clip).
KEYWORDS_MISSING = _names(
    "where initial mean correction weights device stable hermitian rtol min max"
)

# Functions that copy a host array to the device (`np.asarray(host, like=device)`).
CONVERTERS = _names("array asarray asanyarray ascontiguousarray asfortranarray")

# Ufunc methods that CuPy implements for some ufuncs only.
UFUNC_METHODS = {
    "reduce": {"add", "multiply"},
    "accumulate": {"add", "multiply"},
    "reduceat": {"add"},
    "at": {"add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"},
}
