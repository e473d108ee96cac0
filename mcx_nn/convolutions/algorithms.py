"""Bilinear algorithms for short convolutions: y = Aᵀ [(G w) ⊙ (Bᵀ x)].

A correlation of n inputs with r = 3 taps gives m outputs by p multiplications, one for each point
at which polynomials are evaluated; applied to rows and columns it takes p² of them for m² outputs.
The three transforms serve all derivatives: with V = Bᵀ x B, U = G w Gᵀ and D = A dy Aᵀ the products
are V U for y, D Uᵀ for dx and Vᵀ D for dw, and each result takes the transpose of a transform.
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Algorithm:
    """A bilinear algorithm in one dimension, for kernels of three taps and stride 1.

    Attributes
    ----------
    name : str
    images : tuple of tuples
        Bᵀ (p, n): from n inputs to p points.
    kernels : tuple of tuples
        G (p, 3): from the taps to the points.
    outputs : tuple of tuples
        Aᵀ (m, p): from the points to m outputs.
    before : int
        How many zeros of padding before the image the first input stands on: 1 or 0.
    """

    name: str
    images: tuple
    kernels: tuple
    outputs: tuple
    before: int = 1

    @property
    def points(self) -> int:
        """P."""
        return len(self.images)

    @property
    def inputs(self) -> int:
        """N."""
        return len(self.images[0])

    @property
    def step(self) -> int:
        """m, the outputs of one tile and the distance between tiles."""
        return len(self.outputs)


def toom_cook(name: str, points) -> Algorithm:
    """Return the algorithm F(m, 3) for m + 1 finite points and the one at infinity.

    Its matrices follow from the fact that it transposes polynomial multiplication by evaluation at
    the points and Lagrange interpolation.

    References
    ----------
    S. Winograd, Arithmetic Complexity of Computations, SIAM 1980; A. Lavin and S. Gray, Fast
    algorithms for convolutional neural networks, CVPR 2016.
    """
    points = [Fraction(x) for x in points]
    m = len(points) - 1
    scales = [_product(a - b for b in points if b is not a) for a in points]
    kernels = [[a**k / scale for k in range(3)] for a, scale in zip(points, scales, strict=True)]
    outputs = [[*(a**k for a in points), Fraction(int(k == m - 1))] for k in range(m)]
    # Column k of the interpolation: coefficients of the product of (x − b), b ≠ a, and of all.
    images = [[*_coefficients([b for b in points if b is not a]), Fraction(0)] for a in points]
    images.append(_coefficients(points))
    kernels.append([Fraction(0), Fraction(0), Fraction(1)])
    return Algorithm(name, _floats(images), _floats(kernels), _floats(outputs))


def _product(factors):
    result = Fraction(1)
    for factor in factors:
        result *= factor
    return result


def _coefficients(roots):
    """Return the coefficients of Π (x − root), lowest power first."""
    result = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *result]
        result = [a - root * b for a, b in zip(shifted, [*result, Fraction(0)], strict=True)]
    return result


def _floats(rows):
    return tuple(tuple(float(x) for x in row) for row in rows)


WINOGRAD2 = toom_cook("winograd2", (0, 1, -1))
# Points of magnitude 3/4 and 3/2 lose half as many digits as 1 and 2.
WINOGRAD4 = toom_cook(
    "winograd4", (0, Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2))
)
# Images of two pixels between zeros: y0 = x0 w1 + x1 w2, y1 = x0 w0 + x1 w1 by three products.
KARATSUBA = Algorithm(
    "karatsuba",
    images=((1.0, 1.0), (0.0, 1.0), (1.0, 0.0)),
    kernels=((0.0, 1.0, 0.0), (0.0, -1.0, 1.0), (1.0, -1.0, 0.0)),
    outputs=((1.0, 1.0, 0.0), (1.0, 0.0, 1.0)),
    before=0,
)
