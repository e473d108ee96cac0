"""Derivatives of matrix functions along one direction: A(t) = A + tP, orders 1, 2 and 4.

``python -m tests.bench.linalg`` prints times as ratios to `mcx.taylor` (the peer / mcx): algopy's
truncated Taylor polynomials, and nested `jax.jvp`, compiled, which gives the highest derivative.
"""

from __future__ import annotations

from tests.bench import harness  # isort: skip  (first: it fixes the threads)

import math

import numpy as np

import mcx

ORDERS = (1, 2, 4)
SIZES = (10, 100, 300)
EQUAL = 1e-7  # the highest coefficient of mcx and a peer, relative to its largest entry


def functions(xp, linalg, b):
    """Return the functions of a symmetric positive definite matrix by name."""
    return {
        "solve": lambda a: linalg.solve(a, b),
        "inv": linalg.inv,
        "log det": lambda a: linalg.slogdet(a)[1],
        "cholesky": linalg.cholesky,
        "qr, R": lambda a: linalg.qr(a)[1],
        "eigvalsh": linalg.eigvalsh,
        "eigh, trace of vectors": lambda a: xp.trace(linalg.eigh(a)[1]),
        "svdvals": lambda a: linalg.svd(a, compute_uv=False),
    }


def nested(jvp, function, direction, order: int):
    """Return the derivative of an order along the direction by nested forward mode."""
    if order == 0:
        return function
    inner = nested(jvp, function, direction, order - 1)
    return lambda z: jvp(inner, (z,), (direction,))[1]


def jax_call(name: str, a, p, b, order: int):
    """Return the call of nested jax.jvp for the coefficient of an order."""
    import jax

    function = functions(jax.numpy, jax.numpy.linalg, jax.numpy.asarray(b))[name]
    run = jax.jit(nested(jax.jvp, function, jax.numpy.asarray(p), order))
    point, scale = jax.numpy.asarray(a), math.factorial(order)
    return lambda: jax.block_until_ready(run(point)) / scale


def algopy_call(name: str, a, p, b, order: int):
    """Return the call of algopy for the coefficient of an order."""
    import algopy

    utpm = algopy.UTPM
    own = {
        "solve": lambda z: utpm.solve(z, b[:, None]),
        "inv": utpm.inv,
        "log det": utpm.logdet,
        "cholesky": utpm.cholesky,
        "qr, R": lambda z: utpm.qr(z)[1],
        "eigvalsh": lambda z: utpm.eigh(z)[0],
        "eigh, trace of vectors": lambda z: utpm.trace(utpm.eigh(z)[1]),
        "svdvals": lambda z: utpm.svd(z)[1],
    }[name]
    z = utpm(np.zeros((order + 1, 1, *a.shape)))
    z.data[0, 0], z.data[1, 0] = a, p
    shape = () if name in ("log det", "eigh, trace of vectors") else None

    def call():
        last = own(z).data[order, 0]
        return last.reshape(shape) if shape == () else last[:, 0] if name == "solve" else last

    return call


PEERS = {"algopy": ("algopy", algopy_call), "jax.jvp, jitted": ("jax", jax_call)}


def problem(size: int):
    """Return a matrix with well-separated eigenvalues, a symmetric direction and a vector."""
    rng = np.random.default_rng(size)
    vectors = np.linalg.qr(rng.standard_normal((size, size)))[0]
    a = vectors @ np.diag(1.0 + np.arange(size)) @ vectors.T
    p = rng.standard_normal((size, size))
    return (a + a.T) / 2, (p + p.T) / 2 / math.sqrt(size), rng.standard_normal(size)


def report(size: int) -> None:
    """Measure at one size and print the table."""
    a, p, b = problem(size)
    rows, notes = [], []
    for name, function in functions(np, np.linalg, b).items():
        plain = harness.best(lambda f=function: f(a), seconds=0.1)
        for order in ORDERS:

            def ours(function=function, order=order):
                return mcx.taylor(function, a, p, order)[order]

            expected, time = ours(), harness.best(ours, seconds=0.2)
            row = [name, order, harness.duration(time), f"{time / plain:.3g}"]
            for peer, (module, make) in PEERS.items():
                row.append("-")
                if harness.peer(module) is None:
                    continue
                try:
                    call = make(name, a, p, b, order)
                    result = np.asarray(call())
                except Exception as error:  # whatever a peer raises is printed as its result
                    notes.append(f"{peer}, {name}, order {order}: {type(error).__name__}")
                    continue
                try:
                    harness.same(expected, result, f"{peer}, {name}, order {order}", rtol=EQUAL)
                except AssertionError as error:
                    notes.append(f"not the same: {error}")
                row[-1] = f"{harness.best(call, seconds=0.2) / time:.3g}"
            rows.append(row)
    columns = ["function", "order", "mcx", "mcx / NumPy's value", *PEERS]
    harness.table(f"{size} x {size}: time of the peer / time of mcx", columns, rows)
    for note in notes:
        print(f"- {note}")


def main() -> None:
    """Run the benchmark."""
    print(harness.machine())
    print(f"equal: the highest Taylor coefficient, to {EQUAL:g} of its largest entry")
    for size in SIZES:
        report(size)


if __name__ == "__main__":
    main()
