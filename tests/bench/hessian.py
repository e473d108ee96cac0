"""Dense Hessians against the peers, by n; with a gradient given, at n = 1000; peak memory.

    python -m tests.bench.hessian

Two functions of n variables: Rosenbrock's, and a logistic loss over m = 500 fixed rows. A peer
drops out of a column after the first n at which one call took over 10 seconds.
"""

from __future__ import annotations

import time
import tracemalloc

from tests.bench.harness import best, duration, machine, peer, same, table  # before NumPy

import numpy as np  # isort: skip

import mcx
from mcx import memory as blocks

SIZES = (2, 5, 10, 20, 50, 100, 200)
LARGE = 1000  # with the gradient given
ROWS = 500
RIDGE = 1e-3
LIMIT = 10.0  # seconds of one call
BAR = 50  # ahead of all but jitted JAX up to this n
EXACT, DIFFERENCES = 1e-12, 1e-6  # tolerances relative to the largest entry: exact, numdifftools


def rosenbrock(n, xp, asarray):
    """Return Rosenbrock's function in the namespace xp."""
    return lambda x: xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_gradient(n):
    """Return its gradient, by hand."""

    def gradient(x):
        inner = x[1:] - x[:-1] ** 2
        g = np.zeros_like(x)
        g[:-1] = -400 * x[:-1] * inner - 2 * (1 - x[:-1])
        g[1:] = g[1:] + 200 * inner
        return g

    return gradient


def rows_and_labels(n):
    """Return the fixed data of the logistic loss: X (m, n) and labels ±1."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((ROWS, n))
    return X, np.where(X @ rng.standard_normal(n) + rng.standard_normal(ROWS) > 0, 1.0, -1.0)


def logistic(n, xp, asarray):
    """Return the logistic loss of labels ±1 with ridge, in the namespace xp."""
    X, y = (asarray(a) for a in rows_and_labels(n))
    zero = asarray(np.zeros(()))
    return lambda w: xp.mean(xp.logaddexp(zero, -y * (X @ w))) + RIDGE * xp.sum(w**2)


def logistic_gradient(n):
    """Return its gradient, by hand: 1/(1 + exp(t)) is (1 − tanh(t/2))/2."""
    X, y = rows_and_labels(n)

    def gradient(w):
        weight = 0.5 - 0.5 * np.tanh(0.5 * y * (X @ w))
        return -((y * weight) @ X) / ROWS + 2 * RIDGE * w

    return gradient


FUNCTIONS = {
    "Rosenbrock": (rosenbrock, rosenbrock_gradient),
    "logistic loss": (logistic, logistic_gradient),
}


def point(n):
    """Return a fixed point."""
    return np.random.default_rng(n).standard_normal(n) / np.sqrt(n)


def jax_call(function, n, jitted):
    """Return a call of jax.hessian."""
    jax = peer("jax")
    f = function(n, jax.numpy, jax.numpy.asarray)
    x = jax.numpy.asarray(point(n))
    hessian = jax.jit(jax.hessian(f)) if jitted else lambda x: jax.hessian(f)(x)
    return lambda: hessian(x).block_until_ready()


def torch_call(function, n):
    """Return a call of torch.func.hessian."""
    torch = peer("torch")
    f, x = function(n, torch, torch.asarray), torch.asarray(point(n))
    return lambda: torch.func.hessian(f)(x)


def autograd_call(function, n):
    """Return a call of autograd.hessian."""
    autograd, xp = peer("autograd"), peer("autograd.numpy")
    f, x = function(n, xp, lambda a: a), point(n)
    return lambda: autograd.hessian(f)(x)


def numdifftools_call(function, n):
    """Return a call of numdifftools.Hessian (finite differences with extrapolation)."""
    f, x = function(n, np, np.asarray), point(n)
    hessian = peer("numdifftools").Hessian(f)
    return lambda: hessian(x)


# Name: (module, call, tolerance of its entries).
PEERS = {
    "jax.hessian, jitted": ("jax", lambda f, n: jax_call(f, n, True), EXACT),
    "jax.hessian": ("jax", lambda f, n: jax_call(f, n, False), EXACT),
    "torch.func.hessian": ("torch", torch_call, EXACT),
    "autograd.hessian": ("autograd", autograd_call, EXACT),
    "numdifftools.Hessian": ("numdifftools", numdifftools_call, DIFFERENCES),
}
JITTED = "jax.hessian, jitted"


class Race:
    """Times of mcx and its peers over the sizes, for one function; who dropped out, and why."""

    def __init__(self, title):
        self.title = title
        self.out: dict[str, str] = {}
        self.ratios: dict[str, dict[int, float]] = {name: {} for name in PEERS}

    def against(self, name, make, n, ours, expected):
        """Return the cell of a peer: its time and ratio, or why there is none."""
        module, call, tolerance = PEERS[name]
        if name not in self.out and peer(module) is None:
            self.out[name] = "not installed"
        if name in self.out:
            return self.out[name]
        try:
            seconds, theirs = timed(call(make, n))
        except Exception as error:  # a peer that fails is a result: print why
            self.out[name] = f"failed: {type(error).__name__}"
            print(f"{name}, {self.title}, n = {n}: {error}")
            return self.out[name]
        same(expected, theirs, f"{self.title}, n = {n}, mcx and {name}", tolerance)
        if seconds > LIMIT:
            self.out[name] = f"over {LIMIT:.0f} s"
        self.ratios[name][n] = seconds / ours
        return f"{duration(seconds)} ({seconds / ours:.3g})"

    def crossover(self, name) -> str:
        """Return the first n from which on the peer is ahead at every larger one too."""
        ratios = self.ratios[name]
        ahead = [n for n in ratios if all(r < 1 for size, r in ratios.items() if size >= n)]
        if not ratios:
            return "-"
        return str(ahead[0]) if ahead else f"none up to {max(ratios)}"

    def bar(self, name) -> str:
        """Return whether mcx is ahead as far as the bar says."""
        behind = [n for n, ratio in self.ratios[name].items() if n <= BAR and ratio <= 1]
        if name == JITTED or not self.ratios[name]:
            return "no bar" if name == JITTED else "not measured"
        return f"missed at n = {', '.join(map(str, behind))}" if behind else "met"


def timed(call):
    """Return (the shortest time of a call, its result); a slow one is not repeated."""
    for limit in (LIMIT, 1.0):  # the first call may compile
        start = time.perf_counter()
        result = call()
        once = time.perf_counter() - start
        if once > limit:
            return once, result
    return best(call, 0.4), result


def race(title, function):
    """Print the table of one function without a gradient."""
    run, rows = Race(title), []
    for n in SIZES:
        f, x = function(n, np, np.asarray), point(n)
        ours, result = timed(lambda f=f, x=x: mcx.hessian(f, x))
        cells = [run.against(name, function, n, ours, result) for name in PEERS]
        rows.append([n, duration(ours), *cells])
    heading = f"Hessian of {title}: time (ratio to mcx; above 1 mcx is ahead)"
    table(heading, ["n", "mcx", *PEERS], rows)
    ends = [[name, run.crossover(name), run.bar(name)] for name in PEERS]
    table(f"{title}: who is ahead", ["peer", "ahead of mcx from n", f"bar (n <= {BAR})"], ends)


def race_with_gradient():
    """Print the table with grad= given, against the peers' own Hessians of the function."""
    names = (JITTED, "torch.func.hessian")
    rows = []
    for title, (function, gradient) in FUNCTIONS.items():
        run, x, grad = Race(title), point(LARGE), gradient(LARGE)
        ours, result = timed(lambda x=x, grad=grad: mcx.hessian(None, x, grad=grad))
        cells = [run.against(name, function, LARGE, ours, result) for name in names]
        rows.append([title, duration(ours), *cells])
    table(f"n = {LARGE}, mcx with grad= given", ["function", "mcx", *names], rows)


def peak(call) -> str:
    """Return the most memory that a call held beyond what there was before, in MB."""
    blocks.forget()  # what is kept for later calls counts for this one
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return f"{most / 1e6:.0f} MB"


def memory():
    """Print the peak memory of the largest cases, beside that of the result."""
    rows = []
    for title, (function, gradient) in FUNCTIONS.items():
        for n in (SIZES[-1] // 2, SIZES[-1]):
            f, x = function(n, np, np.asarray), point(n)
            rows.append([title, n, "no", peak(lambda f=f, x=x: mcx.hessian(f, x)), 8e-6 * n**2])
        grad, x = gradient(LARGE), point(LARGE)
        most = peak(lambda x=x, grad=grad: mcx.hessian(None, x, grad=grad))
        rows.append([title, LARGE, "yes", most, 8e-6 * LARGE**2])
    rows = [[*row[:-1], f"{row[-1]:.2f} MB"] for row in rows]
    table("Peak memory of mcx.hessian", ["function", "n", "grad=", "peak", "the result"], rows)


def main():
    """Run everything."""
    print(machine())
    print(f"tolerances: {EXACT} of the largest entry; numdifftools {DIFFERENCES}")
    for title, (function, _) in FUNCTIONS.items():
        race(title, function)
    race_with_gradient()
    memory()


if __name__ == "__main__":
    main()
