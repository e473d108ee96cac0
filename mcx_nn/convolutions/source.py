"""Printer of the transforms of tiles as Numba code.

A transform takes a×b blocks, each some channels of one place in a tile, to c×d blocks: columns
first, then rows. The blocks lie in scratch memory at constant distances, so that every line of the
one-dimensional transform is a vector instruction; only loading and storing knows about images.
"""

from mcx_nn.convolutions.algorithms import Algorithm
from mcx_nn.convolutions.tiling import transposed

_LANES = 128  # channels of a block: three sets of 36 of them stay in the first two caches

_HEADER = '''\
"""Compiled by mcx_nn: transforms of {name} on {dtype}. Safe to delete."""
import numba
import numpy as np

L = {lanes}
T = np.{dtype}
U = np.uint64  # indices that need no check for being negative
compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={{"contract", "nsz"}})


@compiled
def load(x, at, blocks, place, size):
    source, target = U(at), U(place * L)
    if size == L:
        for k in range(U(L)):
            blocks[target + k] = x[source + k]
    else:
        for k in range(U(size)):
            blocks[target + k] = x[source + k]


@compiled
def clear(blocks, place):
    target = U(place * L)
    for k in range(U(L)):
        blocks[target + k] = 0


@compiled
def store(x, at, blocks, place, size):
    target, source = U(at), U(place * L)
    if size == L:
        for k in range(U(L)):
            x[target + k] = blocks[source + k]
    else:
        for k in range(U(size)):
            x[target + k] = blocks[source + k]


@compiled
def add(x, at, blocks, place, size):
    target, source = U(at), U(place * L)
    if size == L:
        for k in range(U(L)):
            x[target + k] += blocks[source + k]
    else:
        for k in range(U(size)):
            x[target + k] += blocks[source + k]
'''

_OF_TILES = '''

@compiled
def {name}(x, out, image, place, stride, origin, first, last):
    """{doc}"""
    height, width, channels = image
    down, across, top, left = place
    s = np.zeros({a} * {b} * L, T)
    h = np.zeros({c} * {b} * L, T)
    r = np.zeros({c} * {d} * L, T)
    for tile in range(first, last):
        number, rest = tile // (down * across), tile % (down * across)
        row, column = rest // across * {rise} + top, rest % across * {step} + left
        for channel in range(0, channels, L):
            size = min(L, channels - channel)
{load}
{passes}
{store}
'''

_OF_KERNELS = '''

@compiled
def {name}(x, out, count, stride, origin, first, last):
    """{doc}"""
    s = np.zeros({a} * {b} * L, T)
    h = np.zeros({c} * {b} * L, T)
    r = np.zeros({c} * {d} * L, T)
    for begin in range(first, last, L):
        size = min(L, last - begin)
        for i in range({a} * {b}):
            load(x, i * {source}, s, i, size)
{passes}
        for i in range({c} * {d}):
            store(out, i * {target}, r, i, size)
'''

_PIXELS = """\
            for i in range({m}):
                for j in range({n}):
                    y, z = row + i, column + j
                    if 0 <= y < height and 0 <= z < width:
                        at = ((number * height + y) * width + z) * channels + channel
                        {inside}{outside}"""
_OUTSIDE = """
                    else:
                        clear(s, i * {n} + j)"""
_POINTS = """\
            for i in range({m} * {n}):
                at = i * stride + (tile - origin) * channels + channel
                {inside}"""


def transforms_source(down: Algorithm, across: Algorithm, dtype: str) -> str:
    """Return the source of the six transforms of tiles for float32 or float64."""
    steps = down.step, across.step
    name = f"{down.name} x {across.name}"
    parts = [_HEADER.format(name=name, dtype=dtype, lanes=_LANES)]
    images = down.images, across.images
    outputs = down.outputs, across.outputs
    kernels = down.kernels, across.kernels
    for name, matrices, loads_pixels, verb in (
        ("images", images, True, "store"),
        ("images_transposed", map(transposed, images), False, "add"),
        ("outputs", outputs, False, "store"),
        ("outputs_transposed", map(transposed, outputs), True, "store"),
    ):
        parts.append(_of_tiles(name, *matrices, steps, loads_pixels, verb))
    taps, points = "count + begin", "stride + begin - origin"
    parts.append(_of_kernels("kernels", *kernels, taps, points))
    back = map(transposed, kernels)
    parts.append(_of_kernels("kernels_transposed", *back, points, taps))
    return "".join(parts)


def _extents(down, across):
    """Return the numbers of blocks before (a, b) and after (c, d) a transform."""
    return {"a": len(down[0]), "b": len(across[0]), "c": len(down), "d": len(across)}


def _of_tiles(name, down, across, steps, loads_pixels, verb):
    n = _extents(down, across)
    if loads_pixels:
        inside = f"load(x, at, s, i * {n['b']} + j, size)"
        outside = _OUTSIDE.format(n=n["b"])
        load = _PIXELS.format(m=n["a"], n=n["b"], inside=inside, outside=outside)
        store = _POINTS.format(m=n["c"], n=n["d"], inside=f"{verb}(out, at, r, i, size)")
    else:
        load = _POINTS.format(m=n["a"], n=n["b"], inside="load(x, at, s, i, size)")
        inside = f"{verb}(out, at, r, i * {n['d']} + j, size)"
        store = _PIXELS.format(m=n["c"], n=n["d"], inside=inside, outside="")
    doc = "Transform tiles from {a}x{b} to {c}x{d} blocks.".format(**n)
    words = {"name": name, "doc": doc, "load": load, "store": store, "rise": steps[0]}
    return _OF_TILES.format(**n, **words, step=steps[1], passes=_passes(down, across, 12))


def _of_kernels(name, down, across, source, target):
    n = _extents(down, across)
    doc = "Transform pairs of channels from {a}x{b} to {c}x{d} blocks.".format(**n)
    words = {"name": name, "doc": doc, "source": source, "target": target}
    return _OF_KERNELS.format(**n, **words, passes=_passes(down, across, 8))


def _passes(down, across, indent: int) -> str:
    """Return the loops that apply matrices to the columns of the blocks s, then to the rows."""
    a, b, c, d = _extents(down, across).values()
    lines = [f"for b in range(U({b})):", "    for k in range(U(L)):", "        at = b * U(L) + k"]
    lines += [f"        x{i} = s[at + U({i * b} * L)]" for i in range(a)]
    lines += [f"        {line}" for line in one_dimensional(down)]
    lines += [f"        h[at + U({o * b} * L)] = y{o}" for o in range(c)]
    lines += [f"for o in range(U({c})):", "    for k in range(U(L)):"]
    lines += [f"        at, to = o * U({b} * L) + k, o * U({d} * L) + k"]
    lines += [f"        x{j} = h[at + U({j} * L)]" for j in range(b)]
    lines += [f"        {line}" for line in one_dimensional(across)]
    lines += [f"        r[to + U({j} * L)] = y{j}" for j in range(d)]
    return "\n".join(" " * indent + line for line in lines)


def one_dimensional(rows) -> list[str]:
    """Return lines that compute y0, y1, … from x0, x1, … by a matrix.

    Rows that differ by signs alone share their even and odd parts; of columns that do, sum and
    difference are taken first.
    """
    names = [f"x{k}" for k in range(len(rows[0]))]
    lines = []
    columns = list(transposed(rows))
    for k, j in _twins(columns):
        lines += [f"e{k} = x{j} + x{k}", f"o{k} = x{j} - x{k}"]
        names += [f"e{k}", f"o{k}"]
        even = tuple(c if c == d else 0.0 for c, d in zip(columns[j], columns[k], strict=True))
        odd = tuple(c if c != d else 0.0 for c, d in zip(columns[j], columns[k], strict=True))
        columns[j] = columns[k] = (0.0,) * len(rows)
        columns += [even, odd]
    rows = transposed(columns)
    twins = [] if lines else _twins(rows)
    shared = {k for pair in twins for k in pair}
    lines += [f"y{k} = {_sum(row, names)}" for k, row in enumerate(rows) if k not in shared]
    for k, j in twins:
        same = [c if c == d else 0 for c, d in zip(rows[j], rows[k], strict=True)]
        other = [c if c != d else 0 for c, d in zip(rows[j], rows[k], strict=True)]
        lines += [f"e{k} = {_sum(same, names)}", f"o{k} = {_sum(other, names)}"]
        lines += [f"y{j} = e{k} + o{k}", f"y{k} = e{k} - o{k}"]
    return lines


def _twins(vectors):
    """Return pairs (k, j < k) of vectors that agree in some entries, up to sign in the others."""
    pairs, taken = [], set()
    for k, vector in enumerate(vectors):
        for j in range(k):
            sizes = all(abs(c) == abs(d) for c, d in zip(vectors[j], vector, strict=True))
            signs = {c == d for c, d in zip(vectors[j], vector, strict=True) if c}
            if sizes and len(signs) == 2 and j not in taken:
                pairs.append((k, j))
                taken |= {j, k}
                break
    return pairs


def _sum(coefficients, names) -> str:
    """Return Σ c_k x_k as an expression."""
    text = ""
    for c, x in zip(coefficients, names, strict=True):
        if c:
            sign = "-" if c < 0 else "+"
            term = x if abs(c) == 1 else f"T({abs(c)!r}) * {x}"
            text += f" {sign} {term}" if text else ("-" if c < 0 else "") + term
    return text
