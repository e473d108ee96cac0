"""Elementwise arithmetic on 10⁶ elements: how close it comes to the memory traffic of its planes.

Run ``python -m tests.bench.arithmetic``. Four tables, for float64 and float32:

* multiply with n distinct directions (2ⁿ planes, 3ⁿ products), against `np.add` with `out=` over
  as many planes, which reads and writes the same bytes;
* multiply with one direction (n + 1 planes, (n + 1)(n + 2)/2 products), against the same;
* exp, tanh and log at order 2: what is added to NumPy's own function on the value plane, in copies
  of the planes;
* multiply at order 2 against NumPy expressions on a pair of complex arrays, z1 + i_2 z2.

Every plane of every number holds random numbers: no structural zero saves anything here.
"""

from __future__ import annotations

from functools import partial

from tests.bench.harness import best, duration, machine, same, table  # first: it fixes the threads

import mcx  # isort: skip
import numpy as np  # isort: skip
from mcx.algebra import algebra_of, fresh_factor  # isort: skip
from mcx.table import taylor_indices  # isort: skip

ELEMENTS = 10**6
DTYPES = (np.float64, np.float32)
MULTIPLY_BAR = 1.3  # times np.add, at orders 1 and 2
FUNCTION_BAR = 1.5  # copies of the planes, beyond NumPy's function
NESTED_BAR = 8.0  # times as fast as the NumPy expressions
# Both ends, where blocks and vectors have their remainders, and a sample of the middle.
SAMPLE = np.r_[:500, 500 : ELEMENTS - 500 : 997, ELEMENTS - 500 : ELEMENTS]


def fastest(*calls, turns: int = 3) -> list[float]:
    """Return the shortest time of each call, taken in turns so that noise hits all of them."""
    times = [[best(call, seconds=0.12) for call in calls] for _ in range(turns)]
    return [min(column) for column in zip(*times, strict=True)]


def verdict(met: bool, bar: str) -> str:
    """Return the bar and whether it was met."""
    return f"{bar}: {'met' if met else 'missed'}"


def filled(number, rng):
    """Fill all planes with random numbers, the value between 1/2 and 2, and return the number."""
    planes = number.planes
    planes[0] = rng.uniform(0.5, 2.0, number.shape)
    planes[1:] = rng.standard_normal(planes[1:].shape, dtype=planes.dtype)
    return number


def distinct(order: int, dtype, rng):
    """Return a random number over {0,1}ⁿ."""
    ones = np.ones(ELEMENTS, dtype)
    return filled(mcx.perturb(ones, *[ones] * order), rng)


def one_direction(order: int, dtype, rng, algebra=None):
    """Return a random number over {0, …, n}, of the given algebra or a new one."""
    algebra = algebra or algebra_of((fresh_factor(taylor_indices(order)),))
    return filled(mcx.Multicomplex(np.zeros((order + 1, ELEMENTS), dtype), algebra), rng)


def product_over_subsets(x, y):
    """Return out[S] = Σ x[T] y[S−T] over the subsets T of S, in float64; S as plane bits."""
    out = np.zeros(x.shape)
    for s in range(len(x)):
        for t in range(len(x)):
            if t & s == t:
                out[s] += np.multiply(x[t], y[s ^ t], dtype=np.float64)
    return out


def product_of_series(x, y):
    """Return out[k] = Σ x[j] y[k−j], in float64."""
    out = np.zeros(x.shape)
    for k in range(len(x)):
        for j in range(k + 1):
            out[k] += np.multiply(x[j], y[k - j], dtype=np.float64)
    return out


def multiply_row(x, y, products: int, expected):
    """Time np.multiply(x, y, out=z) and np.add over the same planes; check the product."""
    z, order, dtype = np.empty_like(x), x.order, x.dtype
    sides = [x.planes, y.planes, z.planes]
    total = np.empty_like(z.planes)
    ours, add = fastest(partial(np.multiply, x, y, out=z), partial(np.add, *sides[:2], out=total))
    what = f"multiply, order {order}, {len(total)} planes, {dtype}"
    reference = expected(*(planes[:, SAMPLE] for planes in sides[:2]))
    same(sides[2][:, SAMPLE], reference, what, rtol=16 * np.finfo(dtype).eps)
    ratio = ours / add
    return [
        dtype,
        order,
        len(total),
        products,
        duration(ours),
        duration(add),
        f"{ratio:.2f}",
        verdict(ratio <= MULTIPLY_BAR, f"<= {MULTIPLY_BAR}") if order <= 2 else "-",
        f"{products / len(total):.1f}",
        f"{ours / (products * ELEMENTS) * 1e9:.3f}",
    ]


def multiply_tables(rng):
    """Print multiply against np.add: distinct directions, then one direction."""
    columns = ["dtype", "order", "planes", "products", "multiply", "np.add", "ratio", "bar"]
    columns += ["products per plane", "ns per product"]
    rows = []
    for dtype in DTYPES:
        for order in (1, 2, 3, 4):
            x, y = distinct(order, dtype, rng), distinct(order, dtype, rng)
            rows.append(multiply_row(x, y, 3**order, product_over_subsets))
    table("multiply, n distinct directions; 1 thread on both sides", columns, rows)
    rows = []
    for dtype in DTYPES:
        for order in (1, 2, 4, 8, 16):
            x = one_direction(order, dtype, rng)
            y = one_direction(order, dtype, rng, x.algebra)
            rows.append(multiply_row(x, y, (order + 1) * (order + 2) // 2, product_of_series))
    table("multiply, one direction to order n; 1 thread on both sides", columns, rows)


def closed_forms(name: str, a):
    """Return f(a), f'(a), f''(a)."""
    if name == "exp":
        return (np.exp(a),) * 3
    if name == "log":
        return np.log(a), 1 / a, -1 / a**2
    slope = 1 / np.cosh(a) ** 2
    return np.tanh(a), slope, -2 * np.tanh(a) * slope


def function_row(name: str, dtype, rng):
    """Time a function at order 2, NumPy's on the value and a copy of the planes; check it."""
    func, x = getattr(np, name), distinct(2, dtype, rng)
    z, planes = np.empty_like(x), x.planes
    value, copy = np.empty_like(planes[0]), np.empty_like(planes)
    ours, plain, traffic = fastest(
        partial(func, x, out=z),
        partial(func, planes[0], out=value),
        partial(np.copyto, copy, planes),
    )
    a, p, q, pq = planes[:, SAMPLE].astype(np.float64)
    y, first, second = closed_forms(name, a)
    expected = np.stack([y, first * p, first * q, first * pq + second * p * q])
    for k in range(4):
        what = f"{name}, plane {k}, {np.dtype(dtype)}"
        same(z.planes[k, SAMPLE], expected[k], what, rtol=16 * np.finfo(dtype).eps)
    copies = (ours - plain) / traffic
    bar = verdict(copies <= FUNCTION_BAR, f"<= {FUNCTION_BAR}")
    return [name, np.dtype(dtype), *map(duration, (ours, plain, traffic)), f"{copies:.2f}", bar]


def function_table(rng):
    """Print exp, tanh and log at order 2 against NumPy's function and the plane traffic."""
    columns = ["function", "dtype", "mcx", "NumPy on the value", "copy of 4 planes"]
    columns += ["(mcx - NumPy) / copy", "bar"]
    rows = [function_row(name, d, rng) for d in DTYPES for name in ("exp", "tanh", "log")]
    table("exp, tanh, log at order 2, with out=; 1 thread on both sides", columns, rows)


def nested(planes):
    """Return z1, z2 of z1 + i_2 z2: complex arrays in i_1."""
    return planes[0] + 1j * planes[1], planes[2] + 1j * planes[3]


def nested_product(z1, z2, w1, w2):
    """Return the product in C² as one writes it in NumPy."""
    return z1 * w1 - z2 * w2, z1 * w2 + z2 * w1


def nested_product_into(z1, z2, w1, w2, out1, out2, spare):
    """Compute the product in C² without a temporary array: the fastest form in plain NumPy."""
    np.multiply(z1, w1, out=out1)
    np.multiply(z2, w2, out=spare)
    np.subtract(out1, spare, out=out1)
    np.multiply(z1, w2, out=out2)
    np.multiply(z2, w1, out=spare)
    np.add(out2, spare, out=out2)
    return out1, out2


def as_planes(z1, z2):
    """Return the four real planes of a pair of complex arrays."""
    return np.stack([z1.real, z1.imag, z2.real, z2.imag])


def check_nested(dtype, rng, exact):
    """Check both readings against the nested product: exact as it is, limit with a small step.

    With step h the four planes of a nested complex number are 1, h, h and h² times those of the
    limit algebra, and the squares of the units are lost to rounding.
    """
    x, y, z = exact
    pairs = (*nested(x.planes), *nested(y.planes))
    eps = np.finfo(dtype).eps
    what = f"C² product, {np.dtype(dtype)}"
    same(z.planes, as_planes(*nested_product(*pairs)), f"{what}, exact", rtol=8 * eps)
    x, y = distinct(2, dtype, rng), distinct(2, dtype, rng)
    h = mcx.step(dtype, 2)
    scale = np.array([1, h, h, h * h], dtype)[:, None]
    stepped = nested_product(*nested(x.planes * scale), *nested(y.planes * scale))
    product = np.multiply(x, y).planes
    for k, plane in enumerate(as_planes(*stepped) / scale):
        same(product[k], plane, f"{what}, limit, plane {k}", rtol=8 * eps)


def nested_rows(dtype, rng):
    """Time multiply at order 2, both readings, and the product of nested complex arrays."""
    x, y = distinct(2, dtype, rng), distinct(2, dtype, rng)
    exact = algebra_of(x.algebra.factors, exact=True)
    u, v = (mcx.Multicomplex(n.planes, exact) for n in (x, y))  # the same data as C² numbers
    z, w = np.empty_like(x), np.empty_like(u)
    pairs = (*nested(u.planes), *nested(v.planes))
    into = partial(nested_product_into, *pairs, *(np.empty_like(pairs[0]) for _ in range(3)))
    peer, peer_into, *ours = fastest(
        partial(nested_product, *pairs),
        into,
        partial(np.multiply, u, v, out=w),
        partial(np.multiply, u, v),
        partial(np.multiply, x, y, out=z),
        partial(np.multiply, x, y),
    )
    same(as_planes(*into()), as_planes(*nested_product(*pairs)), "nested, in place", rtol=0.0)
    check_nested(dtype, rng, (u, v, w))
    names = ["exact, out=", "exact, new array", "limit, out=", "limit, new array"]
    rows = []
    for name, t in zip(names, ours, strict=True):
        bar = verdict(peer / t >= NESTED_BAR, f">= {NESTED_BAR:g}")
        cells = [duration(t), duration(peer), f"{peer / t:.1f}", bar]
        rows.append([np.dtype(dtype), name, *cells, duration(peer_into), f"{peer_into / t:.1f}"])
    return rows


def nested_table(rng):
    """Print multiply at order 2 against NumPy expressions on nested complex arrays."""
    columns = ["dtype", "mcx multiply", "mcx", "NumPy expression", "times as fast", "bar"]
    columns += ["NumPy, all out=", "times as fast"]
    rows = [row for dtype in DTYPES for row in nested_rows(dtype, rng)]
    table(
        "multiply at order 2 against a pair of complex arrays: z1*w1 - z2*w2, z1*w2 + z2*w1.\n"
        "The exact reading computes the same numbers; the limit is what derivatives use, equal to\n"
        "the nested arrays at a small step h. 1 thread on both sides",
        columns,
        rows,
    )


def main():
    """Print all tables."""
    print(f"arithmetic, {ELEMENTS} elements\n{machine()}")
    rng = np.random.default_rng(0)
    multiply_tables(rng)
    function_table(rng)
    nested_table(rng)


if __name__ == "__main__":
    main()
