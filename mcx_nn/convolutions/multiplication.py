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


def block_of(rows):
    """Return the intrinsic that adds the product of `rows` rows of a and a panel to c."""

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
            sums = [[builder.phi(VECTOR) for _ in range(2)] for _ in range(rows)]
            right = []
            for v in range(2):
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
                    for v in range(2)
                ])
                address = builder.add(address, row)
            following = builder.add(index, one)
            index.add_incoming(zero, start)
            index.add_incoming(following, loop)
            place.add_incoming(a, start)
            place.add_incoming(builder.add(place, column), loop)
            source.add_incoming(panel, start)
            source.add_incoming(builder.add(source, ir.Constant(integer, COLUMNS * SIZE)), loop)
            nothing = ir.Constant(VECTOR, [0.0] * LANES)
            for r in range(rows):
                for v in range(2):
                    sums[r][v].add_incoming(nothing, start)
                    sums[r][v].add_incoming(totals[r][v], loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
            builder.position_at_end(after)
            overwrite, address = builder.icmp_signed("!=", fresh, zero), c
            for r in range(rows):
                for v in range(2):
                    offset = ir.Constant(integer, v * LANES * SIZE)
                    pointer = at(builder, builder.add(address, offset), VECTOR)
                    old = builder.select(overwrite, nothing, builder.load(pointer, align=SIZE))
                    builder.store(builder.fadd(old, totals[r][v]), pointer, align=SIZE)
                address = builder.add(address, stride)
            return context.get_dummy_value()

        return types.void(*(types.int64,) * 8), generate

    return block


block, row_block = block_of(ROWS), block_of(1)


@intrinsic
def transpose(context, source, stride, target):
    """Write LANES rows of LANES elements, `stride` apart, as columns of a panel."""

    def generate(context, builder, signature, arguments):
        source, stride, target = arguments
        stride = times(builder, stride, SIZE)
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
            offset = ir.Constant(ir.IntType(64), k * COLUMNS * SIZE)
            builder.store(rows[k], at(builder, builder.add(target, offset), VECTOR), align=SIZE)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def move(context, source, target):
    """Copy COLUMNS elements."""

    def generate(context, builder, signature, arguments):
        source, target = arguments
        for v in range(2):
            offset = ir.Constant(ir.IntType(64), v * LANES * SIZE)
            vector = builder.load(at(builder, builder.add(source, offset), VECTOR), align=SIZE)
            builder.store(vector, at(builder, builder.add(target, offset), VECTOR), align=SIZE)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@compiled
def pack(b, place, row, column, depth, n, packed):
    """Copy depth x n elements of b, from a place on, into panels; pad the last with zeros."""
    whole = n // COLUMNS
    if column == 1:
        for i in range(depth):
            for j in range(whole):
                source = b.ctypes.data + (place + i * row + j * COLUMNS) * SIZE
                move(source, packed.ctypes.data + (j * depth + i) * COLUMNS * SIZE)
    else:
        done = depth // LANES * LANES if row == 1 else 0
        for j in range(0, whole * COLUMNS, LANES):
            target = (j // COLUMNS * depth) * COLUMNS + j % COLUMNS
            for i in range(0, done, LANES):
                source = b.ctypes.data + (place + j * column + i) * SIZE
                transpose(source, column, packed.ctypes.data + (target + i * COLUMNS) * SIZE)
            for i in range(done, depth):
                for q in range(LANES):
                    packed[target + i * COLUMNS + q] = b[place + i * row + (j + q) * column]
    rest = n - whole * COLUMNS
    for i in range(depth if rest else 0):
        source = place + i * row + whole * COLUMNS * column
        target = np.uint64((whole * depth + i) * COLUMNS)
        for q in range(np.uint64(COLUMNS)):
            packed[target + q] = 0
        for q in range(rest):
            packed[target + np.uint64(q)] = b[source + q * column]


@compiled
def multiply(a, a_at, b, b_at, c, c_at, size, count, fresh):
    """C (+)= A B for `count` matrices; *_at are (place, distance of matrices, rows, columns)."""
    m, n, k = size
    a_place, a_next, a_row, a_column = a_at
    b_place, b_next, b_row, b_column = b_at
    c_place, c_next, c_row, _ = c_at
    panels = -(-n // COLUMNS)
    packed, corner = np.empty(panels * DEPTH * COLUMNS, T), np.empty(ROWS * COLUMNS, T)
    for p in range(count):
        for start in range(0, k, DEPTH):
            depth = min(DEPTH, k - start)
            pack(b, b_place + p * b_next + start * b_row, b_row, b_column, depth, n, packed)
            new = int(fresh and start == 0)
            for j in range(panels):
                columns = min(COLUMNS, n - j * COLUMNS)
                right = packed.ctypes.data + j * depth * COLUMNS * SIZE
                i = 0
                while i < m:
                    rows = ROWS if i + ROWS <= m else 1
                    left = a_place + p * a_next + i * a_row + start * a_column
                    left = a.ctypes.data + left * SIZE
                    target = c_place + p * c_next + i * c_row + j * COLUMNS
                    whole = columns == COLUMNS
                    address = c.ctypes.data + target * SIZE if whole else corner.ctypes.data
                    stride = c_row if whole else COLUMNS
                    over = new if whole else 1
                    if rows == ROWS:
                        block(left, a_row, a_column, right, address, stride, depth, over)
                    else:
                        row_block(left, a_row, a_column, right, address, stride, depth, over)
                    if not whole:
                        for r in range(rows):
                            for q in range(columns):
                                old = T(0) if new else c[target + r * c_row + q]
                                c[target + r * c_row + q] = old + corner[r * COLUMNS + q]
                    i += rows
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
