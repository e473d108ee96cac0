"""Energy and residual of CG against solvers that minimize the residual, iteration by iteration.

CG decreases the energy E_Q = ½xᵀAx − bᵀx of A x = b, which is what a Newton step is taken for; LSCG
(CGLS on A), conjugate residuals and MINRES decrease the residual ‖b − Ax‖. On three systems with
the same eigenvectors:

SPD         eigenvalues from 1 to 100
singular    half of them 0 in place of the small ones, b in the range
indefinite  a fifth of them negative

With an SPD matrix the residual of CG goes up at times, and E_Q never does. With an indefinite one
E_Q has no least value: what all solvers are led to is a saddle of it, CG by leaps, the others
blind to the sign of the curvature. CG is told to go on at negative curvature, which training stops
at. An iteration of LSCG takes two products with A, one of the others takes one.

Prints one table, and writes krylov_solvers.png and history.json.

Usage: python examples/krylov_solvers.py [--size 60] [--iterations 40] [--out out/krylov_solvers]

References
----------
J. Shen et al., "Second-order Neural Network Training Using Complex-step Directional Derivative"
(2020), Figure 2 and eq. (12).
"""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from report import write_files

from mcx_optim import History, cgls, conjugate_residual, minres, truncated_cg

TOLERANCE = 1e-12
PRODUCTS = {"CG": 1, "LSCG": 2, "conjugate residual": 1, "MINRES": 1}  # in an iteration
SOLVERS = {
    "CG": partial(truncated_cg, negative="ignore"),
    "LSCG": cgls,
    "conjugate residual": conjugate_residual,
    "MINRES": minres,
}


@dataclass(frozen=True)
class System:
    """A x = b, with A (N, N) symmetric and b (N,)."""

    A: np.ndarray
    b: np.ndarray

    def energy(self, x):
        """Return E_Q."""
        return float(x @ (self.A @ x) / 2 - self.b @ x)

    def residual(self, x):
        """Return ‖b − Ax‖."""
        return float(np.linalg.norm(self.b - self.A @ x))


def systems(size: int, seed: int) -> dict[str, System]:
    """Return the three systems."""
    rng = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(rng.standard_normal((size, size)))
    positive = np.geomspace(1, 100, size)
    spectra = {
        "SPD": positive,
        "singular": np.where(np.arange(size) < size // 2, 0, positive),
        "indefinite": np.where(np.arange(size) % 5 == 2, -positive, positive),
    }
    b = vectors @ rng.standard_normal(size)
    found = {name: System(vectors * values @ vectors.T, b) for name, values in spectra.items()}
    image = vectors[:, size // 2 :]
    return found | {"singular": System(found["singular"].A, image @ (image.T @ b))}


def curve(system: System, solver: str, iterations: int) -> History:
    """Return E_Q and residual of the iterates 0, 1, …, as the rows of a log."""
    rows = []
    for k in range(iterations + 1):
        x = np.zeros_like(system.b)
        if k:
            limits = {"tolerance": TOLERANCE, "max_iterations": k * PRODUCTS[solver]}
            x = SOLVERS[solver](system.A, system.b, **limits).x
        row = {"iteration": k, "energy": system.energy(x), "residual": system.residual(x)}
        rows.append(row)
    return History(rows)


def format_table(found: dict[str, System], curves: dict[str, dict[str, History]]) -> str:
    """Return energy and residual after some iterations, a line per system and solver."""
    iterations = len(next(iter(curves["SPD"].values())).epochs) - 1
    shown = [k for k in (5, 10, 20, 40) if k < iterations] + [iterations]
    width = 11 * len(shown)
    counts = "".join(f"{k:11d}" for k in shown)
    lines = [f"{'':20}{'E_Q':>{width}}{'residual':>{width + 3}}"]
    lines.append(f"{'after iterations':20}{counts}   {counts}")
    for name, system in found.items():
        x = np.linalg.lstsq(system.A, system.b)[0]
        kind = "at the saddle" if name == "indefinite" else "least"
        lines.append(f"{name}: E_Q {kind} {system.energy(x):.5g}")
        for solver, history in curves[name].items():
            energy, residual = history.column("energy"), history.column("residual")
            cells = "".join(f"{energy[k]:11.4g}" for k in shown)
            cells += "   " + "".join(f"{residual[k]:11.2e}" for k in shown)
            lines.append(f"  {solver:<18}{cells}")
    return "\n".join(lines)


def draw(figure, curves: dict[str, dict[str, History]]) -> None:
    """Draw the energies above and the residuals below, a column per system."""
    figure.set_size_inches(13, 7)
    panels = figure.subplots(2, len(curves), sharex=True)
    for (name, histories), (above, below) in zip(curves.items(), panels.T, strict=True):
        for solver, history in histories.items():
            iterations = history.column("iteration")
            style = {"label": solver, "linestyle": "--" if solver == "MINRES" else "-"}
            above.plot(iterations, history.column("energy"), **style)
            below.semilogy(iterations, history.column("residual"), **style)
        below.set_xlabel("iterations")
        above.set_title(name)
        for axes in (above, below):
            axes.grid(alpha=0.3)
    panels[0, -1].set_yscale("symlog", linthresh=1)
    panels[0, 0].set_ylabel("$E_Q$")
    panels[1, 0].set_ylabel("‖b − Ax‖")
    panels[0, 0].legend()


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=60, help="number of unknowns")
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="of the eigenvectors and of b")
    parser.add_argument("--out", type=Path, default=Path("out/krylov_solvers"))
    options = parser.parse_args(argv)
    for name in ("size", "iterations"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(options, name)}")
    return options


def main(argv: list[str] | None = None) -> dict[str, dict[str, History]]:
    """Print the table, write the files, return the curves."""
    options = parse(argv)
    found = systems(options.size, options.seed)
    curves = {
        name: {solver: curve(system, solver, options.iterations) for solver in SOLVERS}
        for name, system in found.items()
    }
    print(format_table(found, curves))
    logs = {
        f"{name}, {solver}": log for name, logs in curves.items() for solver, log in logs.items()
    }
    write_files(
        options.out, "krylov_solvers.png", partial(draw, curves=curves), vars(options), logs
    )
    return curves


if __name__ == "__main__":
    main()
