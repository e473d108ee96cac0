"""Which algorithm a convolution takes."""

from functools import lru_cache

from mcx_nn.convolutions.algorithms import KARATSUBA, WINOGRAD2, WINOGRAD4
from mcx_nn.convolutions.direct import Direct
from mcx_nn.convolutions.tiling import Tiling

_FIXED = {"winograd2": WINOGRAD2, "winograd4": WINOGRAD4}
_NAMES = ("auto", "direct", *_FIXED)
_MANY = 64  # images of 4×4 pixels from which on kernels are read often enough
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
        pixels and for large batches of these, F(4×2) for small ones, a two-dimensional Karatsuba
        scheme for 2×2 pixels, direct for few channels. A tile mixes its pixels, and so does a
        direct convolution of few filters: one that is not finite reaches all outputs of its tiles.

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
    direct = _direct(shape, filters, kernel, stride, padding, dilation, groups)
    plain = (kernel, stride, dilation, groups) == ((3, 3), (1, 1), (1, 1), 1)
    if not plain or _chosen == "direct":
        return direct
    if _chosen != "auto":
        down = across = _FIXED[_chosen]
    elif min(shape[3], filters) < _MOST_DIRECT:
        return direct
    else:
        down, across = _fastest(shape[0], direct.grid, padding)
    return Tiling(down, across, shape, filters, padding)


@lru_cache(maxsize=256)
def _direct(*geometry):
    return Direct(*geometry)


def _fastest(batch: int, grid, padding):
    """Return the algorithms in height and width for outputs of a grid."""
    if grid == (2, 2) and padding == (1, 1):
        return KARATSUBA, KARATSUBA
    if max(grid) <= 2:
        return WINOGRAD2, WINOGRAD2
    if max(grid) <= 4 and batch < _MANY:
        return WINOGRAD4, WINOGRAD2  # as a compromise: larger tiles, but more kernels to read
    return WINOGRAD4, WINOGRAD4
