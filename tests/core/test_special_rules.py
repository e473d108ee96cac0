"""scipy.special: which functions have rules, what is refused, conventions, options, nesting."""

import inspect
import itertools
import subprocess
import sys

import numpy as np
import pytest
from core.special_families import TWO
from core.test_special import ONE
from scipy import special

import mcx
from mcx import dispatch

X = np.array([0.3125, 0.75, 1.5])
P, Q = np.array([1.0, -2.0, 0.5]), np.array([0.5, 1.0, 3.0])
UFUNCS = {f for f in vars(special).values() if isinstance(f, np.ufunc)}
ELSEWHERE = {special.radian, special.round, special.gammasgn, special._ufuncs._lambertw}


def number(x=X, dtype=np.float64):
    return mcx.perturb(x.astype(dtype), P.astype(dtype), Q.astype(dtype))


class TestClosedWorld:
    def test_whole_list_is_walked(self):
        assert len(UFUNCS) > 200

    @pytest.mark.parametrize("ufunc", sorted(UFUNCS, key=str), ids=lambda f: f.__name__)
    def test_a_rule_or_an_error_by_name(self, ufunc):
        dispatch.load_chapters()
        if ufunc in dispatch.RULES:
            tested = {case.ufunc for case in ONE} | {case.func for case in TWO} | ELSEWHERE
            assert ufunc in tested | {special.hankel1, special.hankel2}
            return
        for place in range(ufunc.nin):
            args = [1.0] * ufunc.nin
            args[place] = number()
            with pytest.raises(mcx.UnsupportedFunctionError, match=rf"{ufunc.__name__} on"):
                ufunc(*args)

    def test_about_a_hundred_have_rules(self):
        dispatch.load_chapters()
        assert sum(ufunc in dispatch.RULES for ufunc in UFUNCS) >= 95

    @pytest.mark.filterwarnings("ignore")
    def test_python_functions_raise_or_keep_derivatives(self):
        kept = set()
        for name, func in vars(special).items():
            if isinstance(func, (np.ufunc, type)) or not callable(func) or name == "test":
                continue
            for count in range(1, 6):
                places = range(count) if inspect.isfunction(func) else [count - 1]
                for place, plain in itertools.product(places, (1, 2.0)):
                    args = [plain] * count
                    args[place] = number()
                    try:
                        result = func(*args)
                    except Exception:
                        continue
                    results = result if isinstance(result, tuple) else (result,)
                    assert any(isinstance(r, mcx.Multicomplex) for r in results), (name, count)
                    kept.add(name)
        assert {"jvp", "kvp", "lambertw", "zeta"} <= kept

    def test_polygamma_converts_and_raises(self):
        with pytest.raises(mcx.errors.ImplicitConversionError):
            special.polygamma(1, number())

    @pytest.mark.parametrize(
        ("ufunc", "plain"),
        [(special.jv, (1.5,)), (special.gammainc, (2.0,)), (special.betainc, (2.0, 3.0)),
         (special.stdtr, (4.0,)), (special.expn, (2,)), (special.hyp1f1, (0.5, 1.5))],
        ids=lambda p: getattr(p, "__name__", ""),
    )  # fmt: skip
    def test_derivative_by_a_parameter_is_refused(self, ufunc, plain):
        for place in range(len(plain)):
            args = [*plain, 0.5]
            args[place] = number()
            with pytest.raises(mcx.UnsupportedFunctionError, match="by its parameters"):
                ufunc(*args)

    def test_exact_reading_is_refused(self):
        z = mcx.perturb(X, P, h="auto")
        np.testing.assert_array_equal(special.xlogy(2.0, z).planes, (2.0 * np.log(z)).planes)
        for ufunc in (special.erf, special.betaln, special.jv):
            with pytest.raises(mcx.UnsupportedFunctionError):
                ufunc(*[1.0] * (ufunc.nin - 1), z)

    def test_scipy_is_not_imported_and_its_rules_only_at_a_miss(self):
        code = (
            "import sys, mcx, numpy as np; z = mcx.perturb(1.0, 1.0)\n"
            "try: np.frombuffer(z, like=z)\n"
            "except Exception: pass\n"
            "assert 'scipy' not in sys.modules\n"
            "from scipy import special\n"
            "assert 'mcx.rules.special' not in sys.modules\n"
            "assert special.erf(z).im(1) > 0.4\n"
            "assert 'mcx.rules.special' in sys.modules\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


class TestConventions:
    """Where a function has a corner, a jump or a convention: by the value plane alone."""

    def test_x_log_y_at_zero(self):
        zero = mcx.perturb(0.0, 2.0, 3.0)
        y = mcx.perturb(0.5, 1.0, 1.0)
        for func, slope in ((special.xlogy, np.log(0.5)), (special.xlog1py, np.log(1.5))):
            z = func(zero, y)
            assert z.value == 0
            assert z.im(1) == 2.0 * slope
            assert not np.any(func(0.0, y).planes)
            assert not np.any(func(0.0, mcx.perturb(-1.0, 1.0)).planes)
        with np.errstate(divide="ignore"):
            z = special.xlogy(mcx.perturb(np.zeros(2), np.array([1.0, 0.0])), 0.0)
        np.testing.assert_array_equal(z.planes, [[0, 0], [-np.inf, 0]])

    def test_entropies_at_zero(self):
        z = mcx.perturb(np.zeros(2), np.array([1.0, 0.0]))
        with np.errstate(divide="ignore"):
            np.testing.assert_array_equal(special.entr(z).im(1), [np.inf, 0])
            np.testing.assert_array_equal(special.rel_entr(z, 2.0).im(1), [-np.inf, 0])
            np.testing.assert_array_equal(special.kl_div(z, 2.0).im(1), [-np.inf, 0])
        y = mcx.perturb(2.0, 1.0)
        assert not np.any(special.rel_entr(0.0, y).planes)
        assert special.kl_div(0.0, y).im(1) == 1

    def test_second_derivative_of_a_small_probability(self):
        for dtype in (np.float32, np.float64):
            x = np.array([np.finfo(dtype).tiny * 64])
            one = np.ones_like(x)
            for func in (special.rel_entr, special.kl_div):
                z = func(mcx.perturb(x, one, one), one)
                np.testing.assert_allclose(z.im(1, 2), 1 / x, rtol=4 * np.finfo(dtype).eps)

    def test_entr_warns_at_zero_and_is_nan_left_of_it(self):
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            special.entr(mcx.perturb(0.0, 1.0))
        z = special.entr(mcx.perturb(-1.0, 1.0, 1.0))
        assert z.value == -np.inf
        assert np.isnan(z.planes[1:]).all()

    def test_corner_of_scaled_bessel_functions(self):
        """|x| has slope 0 at 0: there they count as the functions without e^(−|x|)."""
        assert mcx.derivative(special.i0e, 0.0) == 0
        assert mcx.derivative(special.i1e, 0.0) == 0.5
        x = np.array([-0.75, 2.0])
        for func in (special.i0e, special.i1e):
            plain = special.i0 if func is special.i0e else special.i1
            formula = mcx.derivative(lambda z, f=plain: np.exp(-np.abs(z)) * f(z), x, order=2)
            np.testing.assert_allclose(mcx.derivative(func, x, order=2), formula, rtol=1e-13)

    def test_ends_of_quantiles_are_infinite(self):
        for func, ends in ((special.erfinv, (-1, 1)), (special.ndtri, (0, 1)),
                           (special.erfcinv, (0, 2))):  # fmt: skip
            with pytest.warns(RuntimeWarning, match="divide by zero"):
                slope = mcx.derivative(func, np.array(ends, float))
            assert np.isinf(slope).all()

    def test_infinite_arguments_have_slope_zero(self):
        x = np.array([np.inf, -np.inf])
        for func in (special.erf, special.erfc, special.ndtr, special.dawsn, special.expit):
            np.testing.assert_array_equal(mcx.derivative(func, x), 0)

    def test_losses_at_zero_and_at_the_kink(self):
        assert special.huber(1.0, mcx.perturb(1.0, 1.0)).im(1) == 1
        assert special.huber(1.0, mcx.perturb(0.0, 1.0)).im(1) == 0
        z = special.pseudo_huber(0.0, mcx.perturb(3.0, 1.0))
        assert np.isfinite(z.planes).all()

    def test_whole_powers_at_zero(self):
        """Derivatives of P(p, x) at 0: those of a power series, whole p or not."""
        found = mcx.taylor(lambda x: special.gammainc(3, x), 0.0, 1.0, order=6)
        np.testing.assert_allclose(found, [0, 0, 0, 1 / 6, -1 / 8, 1 / 20, -1 / 72], rtol=1e-14)
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            found = mcx.taylor(lambda x: special.gammainc(2.5, x), 0.0, 1.0, order=3)
        np.testing.assert_array_equal(found, [0, 0, 0, np.inf])
        found = mcx.taylor(
            lambda x: special.betainc(2, 3, x), np.array([0.0, 1.0]), np.ones(2), order=5
        )
        np.testing.assert_allclose(
            found.T, [[0, 0, 6, -8, 3, 0], [1, 0, 0, 4, 3, 0]], rtol=1e-13, atol=1e-13
        )

    def test_round_and_gammasgn_are_piecewise_constant(self):
        for func in (special.round, special.gammasgn):
            z = func(number())
            np.testing.assert_array_equal(z.value, func(X))
            assert not np.any(z.planes[1:])


class TestUse:
    @pytest.mark.parametrize(
        "call",
        [special.erf, special.gammaln, lambda x: special.jv(1, x), special.i0e,
         lambda x: special.xlogy(x, 1 + x), lambda x: special.betaln(x, 2 * x),
         lambda x: special.airy(x)[2], lambda x: special.boxcox(x, x)],
    )  # fmt: skip
    def test_nested_derivatives_and_recordings(self, call):
        second = mcx.derivative(call, X, order=2)
        nested = mcx.derivative(lambda x: mcx.derivative(call, x), X)
        recorded = mcx.linearize(lambda x: mcx.linearize(call, x)[1](P), X)[1](Q)
        mixed = mcx.jvp(lambda x: mcx.linearize(call, x)[1](P), X, Q)[1]
        np.testing.assert_allclose(nested, second, rtol=1e-13)
        np.testing.assert_allclose(recorded, second * P * Q, rtol=1e-13)
        np.testing.assert_allclose(mixed, second * P * Q, rtol=1e-13)

    def test_options_of_ufuncs(self):
        z = number()
        out = np.empty_like(z)
        assert special.erf(z, out=out) is out
        np.testing.assert_array_equal(out.planes, special.erf(z).planes)
        chosen = special.logit(z, where=X < 1)
        np.testing.assert_array_equal(chosen.planes[:, :2], special.logit(z[:2]).planes)
        assert not np.any(chosen.planes[:, 2])
        single = special.expit(z, dtype=np.float32)
        assert single.dtype == np.float32
        np.testing.assert_array_equal(single.planes, special.expit(z.astype(np.float32)).planes)
        with pytest.raises(mcx.errors.ImplicitConversionError):
            special.erf(z, out=np.empty(3))

    def test_two_results_go_to_two_targets(self):
        z = number()
        targets = np.empty_like(z), np.empty_like(z)
        special.fresnel(z, out=targets)
        for target, part in zip(targets, special.fresnel(z), strict=True):
            np.testing.assert_array_equal(target.planes, part.planes)

    def test_parameters_broadcast(self):
        order = np.array([[0.0], [1.5]])
        z = special.jv(order, number())
        assert z.shape == (2, 3)
        np.testing.assert_array_equal(z.value, special.jv(order, X))
        for row, v in zip(z, order[:, 0], strict=True):
            np.testing.assert_array_equal(row.planes, special.jv(v, number()).planes)
        listed = special.jv([0, 1, 2], number())
        np.testing.assert_array_equal(listed.value, special.jv([0, 1, 2], X))

    @pytest.mark.parametrize("case", TWO, ids=lambda case: case.func.__name__)
    def test_type_beside_a_python_scalar_is_scipys(self, case):
        for args in ((1, number(dtype=np.float32)), (number(dtype=np.float32), 1)):
            plain = [a if isinstance(a, int) else a.value for a in args]
            z, value = case.func(*args), case.func(*plain)
            assert z.dtype == value.dtype
            np.testing.assert_array_equal(z.value, value)
            wide = case.func(*(a if isinstance(a, int) else a.astype(float) for a in args))
            tolerance = 50 * np.finfo(value.dtype).eps
            np.testing.assert_allclose(z.planes, wide.planes, rtol=tolerance, atol=tolerance)
            func = lambda x, a=args: case.func(*(x if not isinstance(b, int) else b for b in a))  # noqa: E731 - one line
            got, lin = mcx.linearize(func, X.astype(np.float32))
            np.testing.assert_array_equal(got, value)
            assert lin(P.astype(np.float32)).dtype == value.dtype

    def test_single_precision_is_that_of_the_result(self):
        """Float32 derivatives are those of double precision, rounded once."""
        x = X.astype(np.float32)
        for func in (special.i0e, special.log_ndtr, special.gamma):
            got = mcx.derivative(func, x)
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, mcx.derivative(func, x.astype(float)).astype("f"))

    def test_hand_written_functions(self):
        z = special.radian(number(), 30.0, 15.0)
        np.testing.assert_allclose(z.im(1), P * np.pi / 180, rtol=1e-15)
        w = special.lambertw(number())
        np.testing.assert_array_equal(w.value, special.lambertw(X))
        np.testing.assert_allclose(w.im(1), P * w.value / (X * (1 + w.value)), rtol=1e-14)
        back = w * np.exp(w)
        np.testing.assert_allclose(back.planes, number().planes, rtol=1e-14, atol=1e-14)
        lower = special.lambertw(mcx.perturb(np.array([-0.25, -0.1]), *np.eye(4)[:, :2]), -1)
        assert np.allclose((lower * np.exp(lower)).planes[3:], 0, atol=1e-12)
        np.testing.assert_allclose(
            special.zeta(2.5, number()).im(1), -2.5 * P * special.zeta(3.5, X), rtol=1e-14
        )


W = np.array([0.5 + 0.25j, -0.75 + 1j, 1.5 - 0.5j])
D = np.array([0.5 - 1j, 2 + 1j, -1 + 0.75j])
COMPLEX = {
    "erf": special.erf,
    "erfc": special.erfc,
    "erfi": special.erfi,
    "ndtr": special.ndtr,
    "expm1": special.expm1,
    "log1p": special.log1p,
    "exp1": special.exp1,
    "fresnel": lambda z: special.fresnel(z)[1],
    "sici": lambda z: special.sici(z)[0],
    "ci": lambda z: special.sici(z)[1],
    "airy": lambda z: special.airy(z)[3],
    "jv": lambda z: special.jv(1.5, z),
    "yv": lambda z: special.yv(0.5, z),
    "iv": lambda z: special.iv(2, z),
    "kv": lambda z: special.kv(0.25, z),
    "hankel1": lambda z: special.hankel1(1, z),
    "hankel2": lambda z: special.hankel2(0.5, z),
    "hyp0f1": lambda z: special.hyp0f1(1.5, z),
    "hyp1f1": lambda z: special.hyp1f1(0.5, 1.5, z),
    "hyp2f1": lambda z: special.hyp2f1(0.5, 1.0, 1.75, z / 2),
    "eval_legendre": lambda z: special.eval_legendre(3.0, z),
    "eval_jacobi": lambda z: special.eval_jacobi(3.0, 0.5, 1.0, z),
    "eval_chebyc": lambda z: special.eval_chebyc(3.0, z),
    "lambertw": special.lambertw,
    "xlogy": lambda z: special.xlogy(z, 2 + z),
    "xlog1py": lambda z: special.xlog1py(2.0, z),
}


class TestComplexCoefficients:
    @pytest.mark.parametrize("call", COMPLEX.values(), ids=COMPLEX)
    def test_along_a_complex_direction(self, call):
        z = call(mcx.perturb(W, D, D))
        np.testing.assert_array_equal(z.value, call(W))
        d = lambda f, h: (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)  # noqa: E731 - one line of mathematics
        first = d(lambda t: call(W + t * D), 2.0**-9)
        second = d(lambda s: d(lambda t: call(W + (s + t) * D), 2.0**-8), 2.0**-8)
        np.testing.assert_allclose(z.im(1), first, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(z.im(1, 2), second, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(
        "ufunc",
        [special.erfcx, special.dawsn, special.log_ndtr, special.gamma, special.psi,
         special.loggamma, special.rgamma, special.expi, special.spence],
        ids=lambda f: f.__name__,
    )  # fmt: skip
    def test_series_for_real_coefficients_are_refused(self, ufunc):
        with pytest.raises(mcx.UnsupportedFunctionError, match="real coefficients"):
            ufunc(mcx.perturb(W, D))

    @pytest.mark.parametrize("ufunc", [special.expit, special.i0, special.ndtri, special.ellipk])
    def test_what_scipy_refuses_is_refused(self, ufunc):
        with pytest.raises(TypeError):
            ufunc(mcx.perturb(W, D))

    def test_hankel_functions_of_real_numbers_are_complex(self):
        z = special.hankel1(1.5, number())
        np.testing.assert_array_equal(z.value, special.hankel1(1.5, X))
        for part, func in ((np.real, special.jv), (np.imag, special.yv)):
            np.testing.assert_allclose(part(z).planes, func(1.5, number()).planes, 1e-13, 1e-13)


@pytest.mark.filterwarnings("ignore:floating point number truncated")
@pytest.mark.parametrize("func", [special.kn, special.yn, special.expn], ids=lambda f: f.__name__)
def test_orders_are_cut_off_as_scipy_does(func):
    """The value is of order 1 where 1.5 is given, and so are the derivatives."""
    whole, fraction = (mcx.taylor(lambda x, n=n: func(n, x), 0.5, 1.0, order=3) for n in (1, 1.5))
    np.testing.assert_array_equal(fraction, whole)
