"""Mixed directional derivatives Dⁿf(x)[p_1, …, p_n] along n distinct directions, n = 1..6.

``python -m tests.bench.mixed`` prints the growth of `mcx.directional` from order to order, beside
the 3 that a product of two numbers of 2ⁿ planes costs, and how many times longer nested forward
mode of other libraries takes.
"""

from __future__ import annotations

from tests.bench import harness  # isort: skip  (first: it fixes the threads)

import functools
import time

import numpy as np

import mcx

ORDERS = (1, 2, 3, 4, 5, 6)
FITTED = (3, 4, 5, 6)
SIZES = (10, 10**4)
EQUAL = 1e-10  # mcx and a peer, relative to the derivative


def f(xp, x):
    """Return a scalar in which neighbours meet, with the functions of the namespace xp."""
    wave = xp.sum(xp.sin(x) * xp.exp(-(x**2) / 2))
    return wave + xp.sum(xp.tanh(x[1:] * x[:-1])) / (1 + xp.mean(x**2))


def ours(x, directions):
    """Return the call of mcx."""
    return lambda: mcx.directional(lambda z: f(np, z), x, *directions)


def nested(xp, jvp, directions):
    """Return the function of x that nested forward mode along the directions makes of f."""
    if not directions:
        return lambda z: f(xp, z)
    *others, p = directions
    inner = nested(xp, jvp, others)
    return lambda z: jvp(inner, (z,), (p,))[1]


def jax_jvp(x, directions, jit: bool = False):
    """Return the call of nested jax.jvp, compiled as a whole or not."""
    import jax

    x, directions = jax.numpy.asarray(x), [jax.numpy.asarray(p) for p in directions]

    def derivative(z, directions):
        return nested(jax.numpy, jax.jvp, directions)(z)

    run = jax.jit(derivative) if jit else derivative
    return lambda: jax.block_until_ready(run(x, directions))


def torch_jvp(x, directions):
    """Return the call of nested torch.func.jvp."""
    torch = harness.peer("torch")
    function = nested(torch, torch.func.jvp, [torch.tensor(p) for p in directions])
    point = torch.tensor(x)
    return lambda: function(point)


JITTED = "jax.jvp, jitted"
PEERS = {  # module, and what makes the call
    "jax.jvp": ("jax", jax_jvp),
    JITTED: ("jax", functools.partial(jax_jvp, jit=True)),
    "torch.func.jvp": ("torch", torch_jvp),
}


def timed(call, what: str, expected=None) -> tuple[float, float, float]:
    """Return (value, seconds of the first call, shortest time), the value checked if expected."""
    start = time.perf_counter()
    value = np.asarray(call())
    first = time.perf_counter() - start
    if expected is not None:
        harness.same(expected, value, what, rtol=EQUAL)
    return value, first, harness.best(call, seconds=0.3)


def measure_peer(name: str, x, directions, expected):
    """Return the times of a peer at every order, and why there are no more."""
    module, make = PEERS[name]
    if harness.peer(module) is None:
        return {}, "not installed"
    times = {}
    for n in ORDERS:
        try:
            call = make(x, directions[:n])
            times[n] = timed(call, f"{name}, {x.size} elements, n = {n}", expected[n])[1:]
        except AssertionError:
            raise
        except Exception as error:  # whatever a peer raises is printed as its result
            return times, f"n = {n}: {type(error).__name__}: {str(error)[:120]}"
    return times, ""


def report(size: int) -> float:
    """Measure at one size, print the table, return the fitted growth of mcx per order."""
    rng = np.random.default_rng(0)
    x, directions = rng.uniform(-2, 2, size), list(rng.standard_normal((len(ORDERS), size)))
    own, expected = {}, {}
    for n in ORDERS:
        harness.best(ours(x, directions[:n]))  # kernels are compiled after some hundred small calls
        expected[n], _, own[n] = timed(ours(x, directions[:n]), "mcx")
    peers = {name: measure_peer(name, x, directions, expected) for name in PEERS}
    rows = []
    for n in ORDERS:
        growth = f"{own[n] / own[n - 1]:.2f}" if n > 1 else ""
        found = {name: times.get(n) for name, (times, _) in peers.items()}
        ratios = ["-" if t is None else f"{t[1] / own[n]:.3g}" for t in found.values()]
        first = found[JITTED][0] if found[JITTED] else None
        rows.append([n, harness.duration(own[n]), growth, *ratios, harness.duration(first)])
    columns = ["n", "mcx", "growth (3)", *PEERS, f"{JITTED}: first call"]
    title = f"{size} elements: time of mcx, its growth, and time of the peer / time of mcx"
    harness.table(title, columns, rows)
    for name, (_, reason) in peers.items():
        if reason:
            print(f"- {name}: {reason}")
    return float(np.exp(np.polyfit(FITTED, np.log([own[n] for n in FITTED]), 1)[0]))


def main() -> None:
    """Run the benchmark."""
    print(harness.machine())
    print(f"equal: the derivative of every peer, to {EQUAL:g}; times are of repeated calls")
    bases = {size: report(size) for size in SIZES}
    for size, base in bases.items():
        bar = f"{size} elements: 3^n or better, fitted from n = {FITTED[0]} to {FITTED[-1]}"
        print(f"bar: {bar}: {base:.2f}^n: {'met' if base <= 3 else 'missed'}")


if __name__ == "__main__":
    main()
