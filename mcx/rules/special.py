"""Functions of scipy.special: its ufuncs with derivatives, each with its Taylor series.

What is not in these tables has no rule and is refused by name. The functions of scipy.special that
are no ufuncs call ufuncs, and keep derivatives, or convert their arguments, and raise.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from mcx import series
from mcx.dispatch import numbers_of, register, unsupported, value_of
from mcx.special import (
    bessel,
    elementary,
    elliptic,
    entropies,
    errors,
    gammas,
    hypergeometric,
    incomplete,
    integrals,
)
from mcx.special.coefficients import of_argument
from mcx.verbs import Analytic, Composed, Constant, Lifted, Rule, primitive

_WIDE = {np.dtype(np.float32): np.float64, np.dtype(np.complex64): np.complex128}


def _of_whole_order(series):
    """Return a series in the order as SciPy reads it: without its fraction."""
    return lambda a, y, n, order: series(a, y, n, np.trunc(order))


class Special(Rule):
    """An analytic function of one argument; the others are plain parameters.

    Parameters
    ----------
    series : callable
        ``series(a, y, n, *parameters)``, see `mcx.special`; evaluated in double precision.
    complex : bool
        Whether the series is right for complex coefficients.
    place : int
        Position of the argument.
    """

    verb = "analytic"

    def __init__(self, series, complex: bool = False, place: int = -1):
        super().__init__(None)
        self.series, self.complex, self.place = series, complex, place

    def apply(self, func, args, kwargs, like=None):
        parameters = list(args)
        x = parameters.pop(self.place)
        if numbers_of(parameters):
            raise unsupported(func, args, "there is no rule for the derivative by its parameters")
        if kwargs:
            raise unsupported(func, args, f"keyword {sorted(kwargs)} has no rule")
        if x.dtype.kind == "c" and not self.complex:
            raise unsupported(func, args, "its rule is for real coefficients only")
        if parameters:
            x = np.broadcast_to(x, np.broadcast_shapes(*map(np.shape, args)))

        def of_one(a):
            full = parameters.copy()
            full.insert(self.place % len(args), a)
            return func(*full)

        def coefficients(a, y, n):
            if a.dtype not in _WIDE:
                return self.series(a, y, n, *parameters)
            wide = a.astype(_WIDE[a.dtype])
            with np.errstate(over="ignore"):
                terms = self.series(wide, of_one(wide), n, *parameters)
                return [np.asarray(term).astype(y.dtype) for term in terms]

        return Analytic(coefficients, compiled=()).apply(of_one, (x,), {})


class _Typed:
    """Arguments in the type of the result: SciPy answers float32 beside a Python int in float64."""

    def apply(self, func, args, kwargs, like=None):
        dtype = func(*(np.zeros(0, x.dtype) if np.ndim(x) else value_of(x) for x in args)).dtype
        args = [x.astype(dtype) if hasattr(x, "astype") else dtype.type(x) for x in args]
        return super().apply(func, tuple(args), kwargs, like)


class _Formula(_Typed, Composed):
    pass


class _Differential(_Typed, Lifted):
    pass


def _parts(func, *rules):
    """Return the rule of a function with several results, from the rule of each."""
    parts = [primitive(lambda x, k=k: func(x)[k], rule) for k, rule in enumerate(rules)]
    return Composed(lambda x: tuple(part(x) for part in parts))


# Series that are right for complex coefficients too, where SciPy has such a loop.
ANALYTIC = {
    "erf": errors.ERF,
    "erfc": errors.ERFC,
    "erfi": errors.ERFI,
    "ndtr": errors.NDTR,
    "expm1": series.expm1,
    "log1p": series.log1p,
    "exp1": integrals.exp1,
    "jv": bessel.CYLINDER["jv"],
    "yv": bessel.CYLINDER["yv"],
    "hankel1": bessel.CYLINDER["hankel1"],
    "hankel2": bessel.CYLINDER["hankel2"],
    "iv": bessel.MODIFIED["iv"],
    "kv": bessel.MODIFIED["kv"],
    "hyp0f1": hypergeometric.hyp0f1,
    "hyp1f1": hypergeometric.hyp1f1,
    "hyp2f1": hypergeometric.hyp2f1,
    "eval_chebyc": hypergeometric.chebyc,
    "eval_chebys": hypergeometric.chebys,
    "eval_chebyt": hypergeometric.chebyt,
    "eval_chebyu": hypergeometric.chebyu,
    "eval_gegenbauer": hypergeometric.gegenbauer,
    "eval_genlaguerre": hypergeometric.genlaguerre,
    "eval_jacobi": hypergeometric.jacobi,
    "eval_laguerre": hypergeometric.laguerre,
    "eval_legendre": hypergeometric.legendre,
    "eval_sh_chebyt": hypergeometric.sh_chebyt,
    "eval_sh_chebyu": hypergeometric.sh_chebyu,
    "eval_sh_legendre": hypergeometric.sh_legendre,
}

REAL = {
    "erfcx": errors.erfcx,
    "erfinv": errors.erfinv,
    "erfcinv": errors.erfcinv,
    "ndtri": errors.ndtri,
    "log_ndtr": errors.log_ndtr,
    "dawsn": errors.dawsn,
    "expit": elementary.expit,
    "log_expit": elementary.log_expit,
    "logit": elementary.logit,
    "exp2": series.exponential2,
    "exp10": elementary.exp10,
    "cbrt": series.root(1.0 / 3.0),
    "cosm1": elementary.cosm1,
    "sindg": elementary.sindg,
    "cosdg": elementary.cosdg,
    "tandg": elementary.tandg,
    "cotdg": elementary.cotdg,
    "exprel": integrals.exprel,
    "gamma": gammas.gamma,
    "gammaln": gammas.gammaln,
    "loggamma": gammas.gammaln,
    "rgamma": gammas.rgamma,
    "psi": gammas.digamma,
    "j0": bessel.of_order(bessel.CYLINDER["jv"], 0),
    "j1": bessel.of_order(bessel.CYLINDER["jv"], 1),
    "y0": bessel.of_order(bessel.CYLINDER["yv"], 0),
    "y1": bessel.of_order(bessel.CYLINDER["yv"], 1),
    "i0": bessel.of_order(bessel.MODIFIED["iv"], 0),
    "i1": bessel.of_order(bessel.MODIFIED["iv"], 1),
    "k0": bessel.of_order(bessel.MODIFIED["kv"], 0),
    "k1": bessel.of_order(bessel.MODIFIED["kv"], 1),
    "yn": _of_whole_order(bessel.CYLINDER["yv"]),
    "kn": _of_whole_order(bessel.MODIFIED["kv"]),
    "i0e": bessel.i0e,
    "i1e": bessel.i1e,
    "expi": integrals.expi,
    "expn": _of_whole_order(integrals.expn),
    "spence": integrals.spence,
    "ellipk": elliptic.ellipk,
    "ellipkm1": elliptic.ellipkm1,
    "ellipe": elliptic.ellipe,
    "gammainc": incomplete.gammainc,
    "gammaincc": incomplete.gammaincc,
    "chdtr": of_argument(lambda a, y, n, v: incomplete.gammainc(a, y, n, v / 2), 0.5),
    "chdtrc": of_argument(lambda a, y, n, v: incomplete.gammaincc(a, y, n, v / 2), 0.5),
    "betainc": incomplete.betainc,
    "betaincc": incomplete.betaincc,
    "stdtr": incomplete.stdtr,
    "eval_hermite": hypergeometric.hermite,
    "eval_hermitenorm": hypergeometric.hermitenorm,
}

RULES = {
    **{name: Special(_series, complex=True) for name, _series in ANALYTIC.items()},
    **{name: Special(_series) for name, _series in REAL.items()},
    "fresnel": _parts(
        special.fresnel,
        Special(errors.fresnel_sine, complex=True),
        Special(errors.fresnel_cosine, complex=True),
    ),
    "sici": _parts(
        special.sici,
        Special(integrals.sine_integral, complex=True),
        Special(integrals.cosine_integral, complex=True),
    ),
    "shichi": _parts(
        special.shichi,
        Special(integrals.hyperbolic_sine_integral),
        Special(integrals.hyperbolic_cosine_integral),
    ),
    "airy": _parts(special.airy, *(Special(bessel.airy(k), complex=True) for k in range(4))),
    "entr": Special(entropies.entr),
    "xlogy": _Formula(entropies.xlogy),
    "xlog1py": _Formula(entropies.xlog1py),
    "rel_entr": _Formula(entropies.rel_entr),
    "kl_div": _Formula(entropies.kl_div),
    "boxcox": _Formula(entropies.boxcox),
    "boxcox1p": _Formula(entropies.boxcox1p),
    "inv_boxcox": _Formula(entropies.inv_boxcox),
    "inv_boxcox1p": _Formula(entropies.inv_boxcox),
    "huber": _Formula(entropies.huber),
    "pseudo_huber": _Formula(entropies.pseudo_huber),
    "radian": _Formula(lambda d, m, s: (d + m / 60 + s / 3600) * (math.pi / 180)),
    "beta": _Differential(gammas.beta, operands=(0, 1)),
    "betaln": _Differential(gammas.betaln, operands=(0, 1)),
    "owens_t": _Differential(entropies.owens_t, operands=(0, 1)),
    "round": Constant(),
    "gammasgn": Constant(),
    # What the Python functions zeta(s, q) and lambertw(z, k) call.
    "_zeta": Special(gammas.hurwitz_zeta),
    "_lambertw": Special(elementary.lambertw, complex=True, place=0),
}

for _name, _rule in RULES.items():
    _func = getattr(special._ufuncs if _name[0] == "_" else special, _name, None)
    if _func is not None:  # this SciPy has it
        register(_func, _rule)
