"""Relative error of numerical derivatives of f(x) = eˣ/(x² + 1) against the step h.

Forward and central differences subtract nearly equal numbers, so their error grows again once h is
small. The complex step reads the first derivative from the imaginary plane, and the second one
from the i_1 i_2 plane of C²: no subtraction, and the error stays at rounding for every small h.

The exact derivatives are evaluated with Python's decimal arithmetic (40 digits), which shares no
code with NumPy or mcx.

Usage: python examples/complex_step.py [--decades 30] [--out out/complex_step]

References
----------
J. Shen et al., "Second-order Neural Network Training Using Complex-step Directional Derivative"
(2020), Figure 1 and eq. (5), (7).
"""

import argparse
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np

import mcx

X = 10.0
DIGITS = 40
# The picture's lowest error: anything smaller is below the resolution of float64.
FLOOR = np.finfo(np.float64).eps / 32

CURVES = {
    "forward": ("forward difference, f'", "o-"),
    "central": ("central difference, f'", "s-"),
    "complex step": ("complex step, f'", "^-"),
    "C² second": ("C², f''", "v--"),
}


def f(x):
    """Evaluate eˣ/(x² + 1) on a number, an ndarray or a Multicomplex."""
    return np.exp(x) / (x**2 + 1)


def exact_derivatives(x: float) -> tuple[Decimal, Decimal]:
    """Return f'(x) and f''(x) to 40 digits.

    With g = f'/f = (x − 1)²/(x² + 1):  f' = f·g  and  f'' = f·(g² + g'),
    g' = 2(x² − 1)/(x² + 1)².
    """
    with localcontext() as context:
        context.prec = DIGITS
        x = Decimal(x)
        square = x * x + 1
        value = x.exp() / square
        g = (x - 1) ** 2 / square
        return value * g, value * (g * g + 2 * (x * x - 1) / square**2)


def relative_error(approximation: float, exact: Decimal) -> float:
    """Return |approximation − exact|/|exact|, subtracted in decimal arithmetic."""
    with localcontext() as context:
        context.prec = DIGITS
        return float(abs(Decimal(float(approximation)) - exact) / abs(exact))


def derivatives(x: float, h: float) -> dict[str, float]:
    """Approximate f'(x) in three ways and f''(x) in C², all with the step h."""
    return {
        "forward": mcx.finite_difference(f, x, h=h, scheme="forward"),
        "central": mcx.finite_difference(f, x, h=h, scheme="central"),
        "complex step": f(mcx.perturb(x, 1.0, h=h)).im(1) / h,
        "C² second": f(mcx.perturb(x, 1.0, 1.0, h=h)).im(1, 2) / h**2,
    }


def error_curves(x: float, steps: np.ndarray) -> dict[str, np.ndarray]:
    """Return the relative error of every scheme at every step."""
    first, second = exact_derivatives(x)
    exact = {name: second if name == "C² second" else first for name in CURVES}
    rows = [derivatives(x, float(h)) for h in steps]
    return {
        name: np.array([relative_error(row[name], exact[name]) for row in rows]) for name in CURVES
    }


def format_table(steps: np.ndarray, errors: dict[str, np.ndarray]) -> str:
    """Return one line per step: h and the four relative errors."""
    lines = [f"{'h':>7}" + "".join(f"{name:>15}" for name in errors)]
    for k, h in enumerate(steps):
        lines.append(f"{h:7.0e}" + "".join(f"{curve[k]:15.2e}" for curve in errors.values()))
    return "\n".join(lines)


def write_picture(steps: np.ndarray, errors: dict[str, np.ndarray], path: Path) -> None:
    """Draw the curves, both axes logarithmic, h decreasing to the right as in the paper."""
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, (label, style) in CURVES.items():
        axes.loglog(steps, np.maximum(errors[name], FLOOR), style, label=label, markersize=4)
    axes.set_xlim(3 * steps[0], steps[-1] / 3)
    axes.set_xticks(steps[::5])
    axes.set_xlabel("step h")
    axes.set_ylabel("relative error")
    axes.set_title(f"Derivatives of exp(x)/(x² + 1) at x = {X:g}")
    axes.grid(alpha=0.3)
    axes.legend(loc="center right")
    figure.savefig(path, dpi=150)


def main(argv: list[str] | None = None) -> dict[str, np.ndarray]:
    """Print the table, write the picture, return the error curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decades", type=int, default=30, help="smallest h is 10^-decades")
    parser.add_argument("--out", type=Path, default=Path("out/complex_step"), help="output folder")
    options = parser.parse_args(argv)

    steps = 10.0 ** -np.arange(options.decades + 1)
    errors = error_curves(X, steps)
    print(format_table(steps, errors))

    path = options.out / "complex_step.png"
    try:
        write_picture(steps, errors, path)
    except ImportError:
        print("No picture: matplotlib is missing; install it with pip install matplotlib.")
    else:
        print(f"Wrote {path}")
    return errors


if __name__ == "__main__":
    main()
