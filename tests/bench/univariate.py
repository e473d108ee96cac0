"""All derivatives to order n of sin(x)·exp(−x²), at a scalar and at 10⁵ points.

``python -m tests.bench.univariate [--plot FILE]`` prints how many times longer than `mcx.taylor`
every peer takes, and draws the times. A peer runs in a process of its own, which is stopped when
the first call of an order takes longer than it may: then it has reached its last order.
"""

from __future__ import annotations

from tests.bench import harness  # isort: skip  (first: it fixes the threads)

import argparse
import math
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import mpmath
import numpy as np

import mcx

ORDERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
LIMIT = 10.0  # seconds for the first call of an order
LIMIT_JET = 60.0  # jet runs in milliseconds once compiled: time to reach the last order
EQUAL = 1e-12  # mcx and a peer, order by order, relative to the largest coefficient of that order
EXACT = 1e-14  # mcx and mpmath, relative to the majorant below
POINTS = {"scalar": np.array(0.7), "10⁵ elements": np.random.default_rng(0).uniform(-2, 2, 10**5)}
ARRAYS = "10⁵ elements"
JETTED = "jet, jitted"  # what the second bar names


def f(xp, x):
    """Return sin(x)·exp(−x²) with the functions of the namespace xp."""
    return xp.sin(x) * xp.exp(-(x**2))


def ours(x, n: int):
    """Return a call without arguments that gives the Taylor coefficients of mcx."""
    direction = np.ones_like(x)
    return lambda: mcx.taylor(lambda z: f(np, z), x, direction, order=n)


# Peers return the call to time, which gives all derivatives to order n (algopy: coefficients).


def autograd_nested(x, n: int):
    """Nest reverse mode; the value that every level computes anyway is kept, not computed again."""
    import autograd.numpy as anp
    from autograd.core import make_vjp
    from autograd.tracer import getval

    ones, lower = np.ones_like(x), []

    def level(k: int):
        def derivative(z):
            backward, y = make_vjp(level(k - 1), z)
            lower.append(getval(y))
            return backward(ones)

        return derivative if k else lambda z: f(anp, z)

    def call():
        lower.clear()
        highest = level(n)(x)
        return [*lower, highest]

    return call


def forward_nested(xp, jvp, ones, n: int):
    """Return the function that gives [f(x), …, f⁽ⁿ⁾(x)] by nested forward mode, nothing twice."""

    def level(k: int):
        def derivative(z):
            value, slope, lower = jvp(level(k - 1), (z,), (ones,), has_aux=True)
            return slope, [*lower, value]

        return derivative if k else lambda z: (f(xp, z), [])

    def derivatives(z):
        highest, lower = level(n)(z)
        return [*lower, highest]

    return derivatives


def jax_jvp(x, n: int, jit: bool = False):
    """Nest jax.jvp."""
    import jax

    x = jax.numpy.asarray(x)
    derivatives = forward_nested(jax.numpy, jax.jvp, jax.numpy.ones_like(x), n)
    run = jax.jit(derivatives) if jit else derivatives
    return lambda: jax.block_until_ready(run(x))


def jax_jet(x, n: int, jit: bool = False):
    """Take jax.experimental.jet, whose series are derivatives (not divided by factorials)."""
    import jax
    from jax.experimental.jet import jet

    x = jax.numpy.asarray(x)

    def seeds():
        return [jax.numpy.ones_like(x), *[jax.numpy.zeros_like(x)] * (n - 1)]

    def derivatives(z, series):
        value, higher = jet(lambda u: f(jax.numpy, u), (z,), (series,))
        return [value, *higher]

    if jit:  # made inside, the seeds are constants to the compiler
        run = jax.jit(lambda z: derivatives(z, seeds()))
        return lambda: jax.block_until_ready(run(x))
    series = seeds()
    return lambda: jax.block_until_ready(derivatives(x, series))


def algopy_utpm(x, n: int):
    """Take algopy's univariate Taylor polynomials, vectorised over the elements."""
    import algopy

    def call():
        data = np.zeros((n + 1, 1, *x.shape))
        data[0], data[1] = x, 1.0
        return f(algopy, algopy.UTPM(data)).data[:, 0]

    return call


def torch_grad(x, n: int):
    """Repeat torch.autograd.grad with create_graph."""
    torch = harness.peer("torch")
    point = torch.tensor(x, requires_grad=True)
    ones = torch.ones_like(point)

    def call():
        values = [f(torch, point)]
        for k in range(n):
            values += torch.autograd.grad(values[-1], point, ones, create_graph=k < n - 1)
        return values

    return call


def torch_jvp(x, n: int):
    """Nest torch.func.jvp."""
    torch = harness.peer("torch")
    point = torch.tensor(x)
    derivatives = forward_nested(torch, torch.func.jvp, torch.ones_like(point), n)
    return lambda: derivatives(point)


@dataclass(frozen=True)
class Peer:
    """One library and way of using it."""

    module: str
    prepare: Callable
    jitted: bool = False
    limit: float = LIMIT
    coefficients: bool = False  # gives Taylor coefficients, not derivatives


PEERS = {
    "autograd": Peer("autograd", autograd_nested),
    "jet": Peer("jax", jax_jet, limit=LIMIT_JET),
    JETTED: Peer("jax", partial(jax_jet, jit=True), jitted=True, limit=LIMIT_JET),
    "jax.jvp": Peer("jax", jax_jvp),
    "jax.jvp, jitted": Peer("jax", partial(jax_jvp, jit=True), jitted=True),
    "algopy": Peer("algopy", algopy_utpm, coefficients=True),
    "torch grad": Peer("torch", torch_grad),
    "torch jvp": Peer("torch", torch_jvp),
}


def as_coefficients(values, peer: Peer) -> np.ndarray:
    """Return what a peer gave as an array of Taylor coefficients."""
    if peer.module == "torch":
        values = [value.detach() for value in values]
    scale = [1 if peer.coefficients else math.factorial(k) for k in range(len(values))]
    return np.stack([np.asarray(v) / k for v, k in zip(values, scale, strict=True)])


def serve(pipe, name: str, title: str) -> None:
    """Run a peer: receive orders, send for each the first time, then the best and the values."""
    peer, x = PEERS[name], POINTS[title]
    try:
        if harness.peer(peer.module) is None:
            raise ImportError("not installed")
        if peer.module == "jax":  # its backend starts with the first array
            harness.peer("jax").numpy.zeros(1)
        pipe.send(("ready",))
        for n in iter(pipe.recv, None):
            start = time.perf_counter()
            call = peer.prepare(x, n)
            values = call()
            first = time.perf_counter() - start
            pipe.send(("first", first))
            seconds = harness.best(call, seconds=0.2, least=1 if first > 1 else 3)
            pipe.send(("best", seconds, as_coefficients(values, peer)))
    except Exception as error:  # whatever a peer raises is printed as its result
        pipe.send(("failed", f"{type(error).__name__}: {str(error)[:120]}"))


class Stopped(Exception):
    """A peer has reached its last order; the message says why."""


def answer(pipe, limit: float = 60.0) -> list:
    """Return what the peer's process sends next."""
    if not pipe.poll(limit):
        raise Stopped(f"over {limit:g} s")
    try:
        kind, *content = pipe.recv()
    except EOFError:
        raise Stopped("its process ended") from None
    if kind == "failed":
        raise Stopped(content[0])
    return content


@dataclass
class Result:
    """Times in seconds by order, and why there are no more."""

    first: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    reason: str = ""


def measure_peer(name: str, title: str, reference: dict[int, np.ndarray]) -> Result:
    """Time a peer up to the order that it reaches, and compare its numbers with the reference."""
    context, result, n = multiprocessing.get_context("spawn"), Result(), 0
    pipe, other_end = context.Pipe()
    process = context.Process(target=serve, args=(other_end, name, title), daemon=True)
    process.start()
    other_end.close()
    try:
        answer(pipe)
        for n in ORDERS:
            pipe.send(n)
            (first,) = answer(pipe, PEERS[name].limit)
            seconds, values = answer(pipe)
            for k in range(n + 1):
                what = f"{name}, order {n}, coefficient {k}"
                harness.same(reference[n][k], values[k], what, rtol=EQUAL)
            result.first[n], result.seconds[n] = first, seconds
    except Stopped as stop:
        result.reason = f"n = {n}: {stop}" if n else str(stop)
    finally:
        process.kill()
        process.join()
    return result


def measure(title: str) -> dict[str, Result]:
    """Time mcx and every peer at the points of that title."""
    reference, own = {}, Result()
    for n in ORDERS:
        call = ours(POINTS[title], n)
        start = time.perf_counter()
        reference[n] = call()
        own.first[n] = time.perf_counter() - start
        harness.best(call, seconds=0.5)  # kernels are compiled after some hundred small calls
        own.seconds[n] = harness.best(call, seconds=0.3)
    return {"mcx": own, **{name: measure_peer(name, title, reference) for name in PEERS}}


def check_exact() -> float:
    """Return the largest error of mcx against mpmath at 50 digits, relative to the majorant.

    c_k itself may vanish by cancellation, which no arithmetic of 53 bits can follow. What bounds
    every term of a recurrence is the coefficient of tᵏ in the same function with absolute values
    for signs: (|sin x| cosh t + |cos x| sinh t) exp(−x² + 2|x|t + t²).
    """
    n, worst = ORDERS[-1], 0.0
    points = np.array([-1.9, -0.3, 0.7, 1.5])
    values = ours(points, n)()
    with mpmath.workdps(50):
        for x, column in zip(map(mpmath.mpf, points.tolist()), values.T, strict=True):
            s, c = abs(mpmath.sin(x)), abs(mpmath.cos(x))

            def majorant(t, x=x, s=s, c=c):
                growth = mpmath.exp(-x * x + 2 * abs(x) * t + t * t)
                return (s * mpmath.cosh(t) + c * mpmath.sinh(t)) * growth

            exact = mpmath.taylor(lambda z: f(mpmath, z), x, n)
            bounds = mpmath.taylor(majorant, 0, n)
            for k, bound in enumerate(bounds):
                error = float(abs(mpmath.mpf(column[k].item()) - exact[k]) / bound)
                if not error <= EXACT:
                    raise AssertionError(f"mcx at {x}: coefficient {k} is off by {error:.3g}")
                worst = max(worst, error)
    return worst


def print_times(title: str, results: dict[str, Result]) -> None:
    """Print a row for every order: time of mcx, ratios of the peers, time to compile."""
    jitted = [name for name, peer in PEERS.items() if peer.jitted]
    columns = ["n", "mcx", *PEERS, *(f"{name}: first call" for name in jitted)]
    rows = []
    for n in ORDERS:
        own = results["mcx"].seconds[n]
        times = [results[name].seconds.get(n) for name in PEERS]
        ratios = ["-" if t is None else f"{t / own:.3g}" for t in times]
        first = [harness.duration(results[name].first.get(n)) for name in jitted]
        rows.append([n, harness.duration(own), *ratios, *first])
    harness.table(f"{title}: time of mcx, and time of the peer / time of mcx", columns, rows)
    for name in PEERS:
        if results[name].reason:
            print(f"- {name}: {results[name].reason}")
    first = sum(results["mcx"].first.values())
    print(f"mcx: {harness.duration(first)} for the first call of all orders together\n")


def print_bar(what: str, met: bool) -> None:
    print(f"bar: {what}: {'met' if met else 'missed'}")


def print_bars(everything: dict[str, dict[str, Result]]) -> None:
    """Print the bars and whether they are met."""
    for title, results in everything.items():
        own = results["mcx"].seconds
        ratios = [
            (seconds / own[n], name, n)
            for name, peer in PEERS.items()
            for n, seconds in results[name].seconds.items()
            if not peer.jitted
        ]
        if ratios:
            least, name, n = min(ratios)
            what = f"least ratio to a peer that is not jitted {least:.3g} ({name}, n = {n})"
            print_bar(f"{title}: {what}, bar above 1", least > 1)
    own, jetted = everything[ARRAYS]["mcx"].seconds, everything[ARRAYS][JETTED].seconds
    if jetted:
        least, n = min((seconds / own[n], n) for n, seconds in jetted.items())
        print_bar(f"{ARRAYS}: least ratio to {JETTED} {least:.3g} (n = {n}), bar 0.5", least >= 0.5)
    orders = [n for n in ORDERS if n >= 8]
    exponent = np.polyfit(np.log(orders), np.log([own[n] for n in orders]), 1)[0]
    print_bar(f"{ARRAYS}: growth n^{exponent:.2f} from n = 8 to 32, bar n^2", exponent <= 2)


def draw(everything: dict[str, dict[str, Result]], path: str) -> None:
    """Write the log-log plot of all times."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 5.6), layout="constrained")
    for axis, (title, results) in zip(axes, everything.items(), strict=True):
        for number, (name, result) in enumerate(results.items()):
            style = {"color": f"C{number}", "marker": "oos^vDPX*"[number], "linewidth": 1.3}
            if name == "mcx":
                style |= {"color": "black", "linewidth": 2.6, "zorder": 5}
            elif PEERS[name].jitted:
                style |= {"linestyle": "--"}
            seconds = result.seconds
            axis.plot(list(seconds), list(seconds.values()), markersize=5, label=name, **style)
        guide = np.array([8.0, 32.0])
        start = 0.5 * results["mcx"].seconds[8]
        axis.plot(guide, start * (guide / 8) ** 2, ":", color="gray", label="slope of n²")
        axis.set(xscale="log", yscale="log", xlabel="highest order n", ylabel="time of a call [s]")
        axis.set_xticks(ORDERS, [str(n) for n in ORDERS])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.set_title(title)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle("All derivatives of sin(x)·exp(−x²) to order n, one thread")
    figure.savefig(path, dpi=130)
    plt.close(figure)
    print(f"plot: {path}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", default="univariate.png", help="file of the log-log plot")
    path = parser.parse_args().plot
    print(harness.machine())
    worst = check_exact()
    print(f"mcx against mpmath at n = {ORDERS[-1]}: {worst:.2g} of the majorant (bound {EXACT:g})")
    print(f"equal: every coefficient of every peer, to {EQUAL:g} of the largest of its order")
    print(f"limits: {LIMIT:g} s for the first call of an order, {LIMIT_JET:g} s for jet")
    print("times: of repeated calls, after compilation; first calls of jitted peers beside them")
    everything = {}
    for title in POINTS:
        everything[title] = measure(title)
        print_times(title, everything[title])
    print_bars(everything)
    draw(everything, path)


if __name__ == "__main__":
    main()
