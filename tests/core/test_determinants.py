"""Determinants and their logarithms in every plane, of singular matrices too.

Errors of determinants are normwise, |error| ≤ 50 eps max|exact|, without the condition.
"""

import numpy as np
import pytest
from core.builders import filled
from core.checkers import assert_same_value
from core.oracles import chain
from core.representations import (
    assert_near_planes,
    assert_near_series,
    condition,
    determinant,
    random_planes,
    series,
)
from mpmath import mp

import mcx

linalg = np.linalg
ORDERS = pytest.mark.parametrize("order", [1, 2, 3, 4])


def singular(rng, order, size, rank):
    """Return planes of which the value has the given rank, exactly."""
    planes = random_planes(rng, order, size, size)
    low = rng.integers(-4, 5, (size, rank)) @ rng.integers(-4, 5, (rank, size))
    planes[0] = low if rank < size else planes[0]
    return planes


def scale(planes):
    """Return what rounding of A does to the planes of its determinant, by degree.

    A term with j factors from other planes has the others from A: at most the largest singular
    values, with eps |A| in place of one.
    """
    s, w = linalg.svdvals(planes[0]), np.max(linalg.svdvals(planes[1:]))
    s = np.maximum(s, np.finfo(planes.dtype).eps * s[0])
    terms = [s[0] * w**j * np.prod(s[: -1 - j]) for j in range(len(s))] + [w ** len(s)]
    return [max(terms[: 1 + k.bit_count()][1:], default=0) for k in range(len(planes))]


class TestDeterminants:
    @ORDERS
    @pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
    @pytest.mark.parametrize("kind", ["f", "d"])
    def test_of_any_rank(self, order, rank, kind, rng):
        planes = singular(rng, order, 4, rank).astype(kind)
        z = linalg.det(filled(planes))
        assert_same_value(z, linalg.det(planes[0]))
        assert_near_planes(z, determinant(planes), floor=scale(planes))

    @ORDERS
    def test_no_digits_are_lost_near_singular_matrices(self, order, rng):
        """Derivatives of a determinant are no worse for a large condition."""
        for gap in (1e-3, 1e-9, 1e-14):
            planes = random_planes(rng, order, 5, 5)
            u, s, vh = linalg.svd(planes[0])
            planes[0] = u * (s * [1, 1, 1, gap, gap]) @ vh
            assert_near_planes(linalg.det(filled(planes)), determinant(planes), floor=scale(planes))

    @ORDERS
    def test_logarithm(self, order, rng):
        for kind in "fd":
            planes = random_planes(rng, order, 3, 3, kind=kind)
            sign, log = linalg.slogdet(filled(planes))
            expected = linalg.slogdet(planes[0])
            assert_same_value(sign, expected.sign)
            assert_same_value(log, expected.logabsdet)
            assert not np.any(sign.planes[1:])
            det = determinant(planes)
            slopes = [np.log(abs(det[0]))]
            slopes += [-mp.factorial(k - 1) * float(-1 / det[0]) ** k for k in range(1, order + 2)]
            slopes = np.array(slopes, np.longdouble)
            assert_near_planes(log, chain(slopes, det)[0], condition(planes))

    @ORDERS
    def test_complex_matrices_turn_their_sign(self, order, rng):
        planes = random_planes(rng, order, 3, 3, kind="D")
        z = filled(planes)
        sign, log = linalg.slogdet(z)
        det = sign * np.exp(log)
        assert_near_planes(det, linalg.det(z).planes, condition(planes))
        one = sign * np.conj(sign)
        assert_near_planes(one, np.eye(1, 2**order)[0], condition(planes) ** order)
        a, b, c, d = z[0, 0], z[0, 1], z[1, 0], z[1, 1]
        assert_near_planes(linalg.det(z[:2, :2]), (a * d - b * c).planes)

    def test_singular_matrices_have_no_logarithm(self, rng):
        planes = random_planes(rng, 2, 2, 3, 3)
        planes[0, 1] = 0
        sign, log = linalg.slogdet(filled(planes))
        assert log.value[1] == -np.inf
        assert np.all(np.isnan(log.planes[1:, 1]))
        assert np.all(np.isfinite(log.planes[:, 0]))
        assert np.all(np.isfinite(sign.planes))
        rotating = linalg.slogdet(filled(planes) + 0j).sign
        assert np.all(np.isnan(rotating.planes[1:, 1]))

    @pytest.mark.parametrize("rank", [24, 22, 18])
    def test_of_larger_matrices(self, rank, rng):
        a = rng.normal(size=(24, rank)) @ rng.normal(size=(rank, 24)) / 20
        p = rng.normal(size=(24, 24)) / 20
        got = mcx.taylor(linalg.det, a, p, order=4)
        stack = mcx.taylor(linalg.det, np.stack([a, p]), np.stack([p, p]), order=4)
        np.testing.assert_allclose(stack[:, 0], got, rtol=1e-12)
        if rank == 18:  # so many zeros
            assert np.max(abs(got)) < 1e-12 * abs(linalg.det(a + p))
        else:
            assert_near_series(got, series(mp.det, a, p, 4), 1e-12)

    def test_of_more_orders_than_there_are_minors_for(self, rng):
        a, p = rng.normal(size=(2, 11, 11))
        assert_near_series(mcx.taylor(linalg.det, a, p, order=10), series(mp.det, a, p, 10), 1e-12)
        a[:, :9] = 0
        got = mcx.taylor(linalg.det, a, p, order=10)
        expected = linalg.det(np.concatenate([p[:, :9], a[:, 9:]], axis=1))
        np.testing.assert_allclose(got[9], expected, rtol=1e-12)
        assert np.max(abs(got[:9])) < 1e-12 * abs(expected)

    def test_of_large_and_small_entries(self, rng):
        """Neither an overflow nor an underflow of the value makes NaN or a zero of a derivative."""
        tiny = linalg.det(mcx.perturb(1e-200 * np.eye(2), np.eye(2), np.eye(2)))
        np.testing.assert_allclose(tiny.planes, [0, 2e-200, 2e-200, 2], rtol=1e-14)
        p = np.zeros((300, 300))
        large = linalg.det(mcx.perturb(rng.normal(size=(300, 300)), p, None))
        assert large.im(1) == 0
        with np.errstate(over="ignore"):
            infinite = linalg.det(mcx.perturb(1e2 * rng.normal(size=(300, 300)), p))
        assert np.isinf(infinite.value)
        assert infinite.im(1) == 0

    @pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's own
    @pytest.mark.parametrize("size", [3, 5])
    def test_nan_stays_in_its_matrix(self, size, rng):
        a = rng.normal(size=(2, size, size))
        a[1, 0, 0] = np.nan
        z = linalg.det(mcx.perturb(a, np.ones_like(a)))
        assert np.isfinite(z.planes[:, 0]).all()
        assert np.isnan(z.planes[:, 1]).all()
