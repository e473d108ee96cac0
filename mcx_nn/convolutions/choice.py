"""Which algorithm a convolution takes."""

from mcx_nn.convolutions.algorithms import KARATSUBA, WINOGRAD2, WINOGRAD4
from mcx_nn.convolutions.direct import Direct
from mcx_nn.convolutions.tiling import Tiling

_FIXED = {"winograd2": WINOGRAD2, "winograd4": WINOGRAD4}
_NAMES = ("auto", "direct", *_FIXED)
_MOST_DIRECT = 16  # channels up to which transforms cost more than they save

_chosen = "auto"


def set_convolution(name: str) -> None:
    """Choose the algorithm of convolutions with 3×3 kernels and stride 1; others are direct.

    Parameters
    ----------
    name : {"auto", "direct", "winograd2", "winograd4"}
        winograd2 and winograd4 are F(2×2, 3×3) and F(4×4, 3×3): 2.25 and 4 times fewer products
        than direct. Relative rounding errors of F(4×4) are 1 to 3·10⁻⁶ in float32, of the others
        3 to 5·10⁻⁷. "auto", the default, takes what is fastest: F(4×4) for images of more than 4×4
        pixels and for large batches of these, F(2×2) for small ones, a two-dimensional Karatsuba
        scheme for 2×2 pixels, direct for few channels.

    Raises
    ------
    ValueError
        For another name.

    References
    ----------
    A. Lavin and S. Gray, Fast algorithms for convolutional neural networks, CVPR 2016.

    Examples
    --------
    >>> set_convolution("direct")
    >>> get_convolution()
    'direct'
    >>> set_convolution("auto")
    """
    global _chosen
    if name not in _NAMES:
        expected = ", ".join(map(repr, _NAMES))
        raise ValueError(f"set_convolution: expected one of {expected}, got {name!r}.")
    _chosen = name


def get_convolution() -> str:
    """Return the name that `set_convolution` was given last, "auto" at first."""
    return _chosen


def tiling_of(shape, filters: int, kernel, stride, padding, dilation, groups: int):
    """Return the plan of a convolution of images of shape (B, H, W, C)."""
    direct = Direct(shape, filters, kernel, stride, padding, dilation, groups)
    plain = (kernel, stride, dilation, groups) == ((3, 3), (1, 1), (1, 1), 1)
    if not plain or _chosen == "direct":
        return direct
    if _chosen != "auto":
        return Tiling(_FIXED[_chosen], shape, filters, padding)
    if min(shape[3], filters) < _MOST_DIRECT:
        return direct
    if shape[1:3] == (2, 2) and padding == (1, 1):
        return Tiling(KARATSUBA, shape, filters, padding)
    small = max(direct.grid) <= 4 and shape[0] < 64
    return Tiling(WINOGRAD2 if small else WINOGRAD4, shape, filters, padding)
