"""Matrix products of tiles in machine code: Numba around two blocks of vector instructions.

C (+)= A B for stacks of matrices that lie anywhere in memory, with A or B transposed: what the
three products of a convolution need. BLAS wants its operands packed anew for every call and its
results added by someone else; here a sum of products is one pass, on the threads of the caller.
"""

SOURCE = '''\
"""Compiled by mcx_nn: sums of matrix products of {dtype}. Safe to delete."""
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = {lanes}  # of one vector register
ROWS = {rows}  # of a block of results that stays in registers
COLUMNS = 2 * LANES
DEPTH = {depth}  # of a packed panel
SIZE = {size}
SCALAR = ir.{scalar}()
VECTOR = ir.VectorType(SCALAR, LANES)
T = np.{dtype}
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


def at(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


def times(builder, count, size):
    return builder.mul(count, ir.Constant(ir.IntType(64), size))


def block_of(rows, vectors):
    """Return the intrinsic that adds the product of some rows of a and a panel to c."""

    @intrinsic
    def block(context, a, row, column, panel, c, stride, depth, fresh):
        """c (+)= a b: addresses, and distances of elements; c is overwritten if fresh."""

        def generate(context, builder, signature, arguments):
            a, row, column, panel, c, stride, depth, fresh = arguments
            row, column, stride = (times(builder, n, SIZE) for n in (row, column, stride))
            integer = ir.IntType(64)
            zero, one = ir.Constant(integer, 0), ir.Constant(integer, 1)
            start = builder.block
            loop = builder.append_basic_block("depth")
            after = builder.append_basic_block("after")
            builder.branch(loop)
            builder.position_at_end(loop)
            index = builder.phi(integer)
            place, source = builder.phi(integer), builder.phi(integer)
            sums = [[builder.phi(VECTOR) for _ in range(vectors)] for _ in range(rows)]
            right = []
            for v in range(vectors):
                offset = ir.Constant(integer, v * LANES * SIZE)
                pointer = at(builder, builder.add(source, offset), VECTOR)
                right.append(builder.load(pointer, align=SIZE))
            totals, address = [], place
            for r in range(rows):
                scalar = builder.load(at(builder, address, SCALAR), align=SIZE)
                first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar,
                                               ir.Constant(ir.IntType(32), 0))
                mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
                left = builder.shuffle_vector(first, ir.Constant(VECTOR, ir.Undefined), mask)
                flags = ("contract",)
                totals.append([
                    builder.fadd(builder.fmul(left, right[v], flags=flags), sums[r][v], flags=flags)
                    for v in range(vectors)
                ])
                address = builder.add(address, row)
            following = builder.add(index, one)
            index.add_incoming(zero, start)
            index.add_incoming(following, loop)
            place.add_incoming(a, start)
            place.add_incoming(builder.add(place, column), loop)
            source.add_incoming(panel, start)
            step = ir.Constant(integer, vectors * LANES * SIZE)
            source.add_incoming(builder.add(source, step), loop)
            nothing = ir.Constant(VECTOR, [0.0] * LANES)
            for r in range(rows):
                for v in range(vectors):
                    sums[r][v].add_incoming(nothing, start)
                    sums[r][v].add_incoming(totals[r][v], loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
            builder.position_at_end(after)
            overwrite, address = builder.icmp_signed("!=", fresh, zero), c
            for r in range(rows):
                for v in range(vectors):
                    offset = ir.Constant(integer, v * LANES * SIZE)
                    pointer = at(builder, builder.add(address, offset), VECTOR)
                    old = builder.select(overwrite, nothing, builder.load(pointer, align=SIZE))
                    builder.store(builder.fadd(old, totals[r][v]), pointer, align=SIZE)
                address = builder.add(address, stride)
            return context.get_dummy_value()

        return types.void(*(types.int64,) * 8), generate

    return block


wide_block, wide_row = block_of(ROWS, 2), block_of(1, 2)
narrow_block, narrow_row = block_of(ROWS, 1), block_of(1, 1)


@intrinsic
def transpose(context, source, stride, target, width):
    """Write LANES rows of LANES elements, `stride` apart, as columns of a panel."""

    def generate(context, builder, signature, arguments):
        source, stride, target, width = arguments
        stride, width = times(builder, stride, SIZE), times(builder, width, SIZE)
        rows = []
        for _ in range(LANES):
            rows.append(builder.load(at(builder, source, VECTOR), align=SIZE))
            source = builder.add(source, stride)
        distance = 1
        while distance < LANES:
            for i in range(LANES):
                if not i & distance:
                    a, b = rows[i], rows[i + distance]
                    low = [k + LANES - distance if k & distance else k for k in range(LANES)]
                    high = [k + LANES if k & distance else k + distance for k in range(LANES)]
                    kind = ir.VectorType(ir.IntType(32), LANES)
                    rows[i] = builder.shuffle_vector(a, b, ir.Constant(kind, low))
                    rows[i + distance] = builder.shuffle_vector(a, b, ir.Constant(kind, high))
            distance *= 2
        for k in range(LANES):
            builder.store(rows[k], at(builder, target, VECTOR), align=SIZE)
            target = builder.add(target, width)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 4), generate


@intrinsic
def move(context, source, target):
    """Copy LANES elements."""

    def generate(context, builder, signature, arguments):
        source, target = (at(builder, address, VECTOR) for address in arguments)
        builder.store(builder.load(source, align=SIZE), target, align=SIZE)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def fetch(context, address):
    """Ask for a line of memory, to be in the second-level cache when it is read."""

    def generate(context, builder, signature, arguments):
        integer = ir.IntType(32)
        kind = ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [kind, integer, integer, integer]),
            "llvm.prefetch.p0",
        )
        hints = [ir.Constant(integer, k) for k in (0, 2, 1)]  # to read, some locality, data
        builder.call(function, [at(builder, arguments[0], ir.IntType(8)), *hints])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@compiled
def fetch_rows(a, place, distance, rows, length):
    """Ask for rows that are going to be read in columns, which no hardware foresees."""
    for i in range(rows):
        address = a.ctypes.data + (place + i * distance) * SIZE
        for k in range(0, length * SIZE, 64):
            fetch(address + k)


@compiled
def pack(b, place, row, column, depth, n, width, packed):
    """Copy depth x n elements of b, from a place on, into panels; pad the last with zeros."""
    whole = n // width
    to = packed.ctypes.data
    if column == 1:
        for i in range(depth):
            source = b.ctypes.data + (place + i * row) * SIZE
            for j in range(whole):
                target = to + (j * depth + i) * width * SIZE
                for _ in range(0, width, LANES):
                    move(source, target)
                    source += LANES * SIZE
                    target += LANES * SIZE
    else:
        done = depth // LANES * LANES if row == 1 else 0
        for j in range(0, whole * width, LANES):
            target = j // width * depth * width + j % width
            for i in range(0, done, LANES):
                source = b.ctypes.data + (place + j * column + i) * SIZE
                transpose(source, column, to + (target + i * width) * SIZE, width)
            for i in range(done, depth):
                for q in range(LANES):
                    packed[target + i * width + q] = b[place + i * row + (j + q) * column]
    rest = n - whole * width
    for i in range(depth if rest else 0):
        source = place + i * row + whole * width * column
        target = np.uint64((whole * depth + i) * width)
        for q in range(np.uint64(width)):
            packed[target + q] = 0
        for q in range(rest):
            packed[target + np.uint64(q)] = b[source + q * column]


@compiled
def add_block(left, row, column, right, address, stride, depth, fresh, rows, width):
    """c (+)= a b for a block of results of ROWS or 1 rows and one or two vectors."""
    if width == COLUMNS:
        if rows == ROWS:
            wide_block(left, row, column, right, address, stride, depth, fresh)
        else:
            wide_row(left, row, column, right, address, stride, depth, fresh)
    elif rows == ROWS:
        narrow_block(left, row, column, right, address, stride, depth, fresh)
    else:
        narrow_row(left, row, column, right, address, stride, depth, fresh)


@compiled
def multiply(a, a_at, b, b_at, c, c_at, size, count, fresh):
    """C (+)= A B for `count` matrices; *_at are (place, distance of matrices, rows, columns)."""
    m, n, k = size
    a_place, a_next, a_row, a_column = a_at
    b_place, b_next, b_row, b_column = b_at
    c_place, c_next, c_row, _ = c_at
    width = COLUMNS if n > LANES else LANES
    panels = -(-n // width)
    once = fresh and panels == 1 and k <= DEPTH
    corner = np.empty(ROWS * width, T)
    memory = np.empty(panels * DEPTH * width + 64 // SIZE, T)  # as NumPy aligns it
    packed = memory[-memory.ctypes.data % 64 // SIZE :]
    for p in range(count):
        for start in range(0, k, DEPTH):
            depth = min(DEPTH, k - start)
            pack(b, b_place + p * b_next + start * b_row, b_row, b_column, depth, n, width, packed)
            new = int(fresh and start == 0)
            if a_row == 1:
                place = a_place + p * a_next + (start + DEPTH) * a_column
                fetch_rows(a, place, a_column, min(DEPTH, k - start - DEPTH), m)
            for j in range(panels):
                columns = min(width, n - j * width)
                right = packed.ctypes.data + j * depth * width * SIZE
                i = 0
                while i < m:
                    rows = ROWS if i + ROWS <= m else 1
                    left = a_place + p * a_next + i * a_row + start * a_column
                    left = a.ctypes.data + left * SIZE
                    target = c_place + p * c_next + i * c_row + j * width
                    # A few columns may be written too far, into rows that are written later.
                    ahead = once and (i + rows - 1) * c_row + width <= m * c_row
                    if columns == width or ahead:
                        address = c.ctypes.data + target * SIZE
                        add_block(
                            left, a_row, a_column, right, address, c_row, depth, new, rows, width
                        )
                    else:
                        address = corner.ctypes.data
                        add_block(
                            left, a_row, a_column, right, address, width, depth, 1, rows, width
                        )
                        for r in range(rows):
                            for q in range(columns):
                                old = T(0) if new else c[target + r * c_row + q]
                                c[target + r * c_row + q] = old + corner[r * width + q]
                    i += rows


@compiled
def turn(x, rows, columns, out, place, stride):
    """Write the transpose of a matrix."""
    high, wide = rows // LANES * LANES, columns // LANES * LANES
    for j in range(0, wide, LANES):
        for i in range(0, high, LANES):
            here = x.ctypes.data + (i * columns + j) * SIZE
            transpose(here, columns, out.ctypes.data + (place + j * stride + i) * SIZE, stride)
    for i in range(rows):
        for j in range(wide if i < high else 0, columns):
            out[place + j * stride + i] = x[i * columns + j]


@compiled
def multiply_flat(pairs, a_at, b_at, c, c_at, size, count):
    """C = Σ A B over pairs (a, b), as the transpose of Σ Bᵀ Aᵀ.

    B, which is much larger than A, is then read once, as it lies in memory.
    """
    m, n, k = size
    a_place, a_next, a_row, a_column = a_at
    b_place, b_next, b_row, b_column = b_at
    c_place, c_next, c_row, _ = c_at
    turned = np.empty(n * m, T)
    for p in range(count):
        for number in range(len(pairs)):
            a, b = pairs[number]
            left = b_place + p * b_next, 0, b_column, b_row
            right = a_place + p * a_next, 0, a_column, a_row
            multiply(b, left, a, right, turned, (0, 0, m, 1), (n, m, k), 1, number == 0)
        turn(turned, n, m, c, c_place + p * c_next, c_row)
'''


def multiplication_source(dtype: str, register: int) -> str:
    """Return the source for float32 or float64 and vector registers of so many bytes."""
    size = {"float32": 4, "float64": 8}[dtype]
    return SOURCE.format(
        dtype=dtype,
        size=size,
        lanes=register // size,
        depth=128,
        rows=8 if register == 64 else 4,
        scalar={4: "FloatType", 8: "DoubleType"}[size],
    )
