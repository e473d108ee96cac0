"""Windows of images as rows of a matrix, and back, in machine code."""

SOURCE = '''\
"""Compiled by mcx_nn: windows of images of {dtype}. Safe to delete."""
import numba
import numpy as np

U = np.uint64  # indices that need no check for being negative
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def copy(x, source, out, target, count):
    for k in range(U(count)):
        out[U(target) + k] = x[U(source) + k]


@compiled
def clear(out, target, count):
    for k in range(U(count)):
        out[U(target) + k] = 0


@compiled
def add(x, source, out, target, count):
    for k in range(U(count)):
        out[U(target) + k] += x[U(source) + k]


@compiled
def images(x, out, image, grid, kernel, stride, padding, dilation, groups, first, last):
    """Write windows first to last as rows: one block for every group."""
    height, width, channels = image
    part = channels // groups
    size, block = kernel[0] * kernel[1] * part, out.size // groups
    run = kernel[1] * part if groups == 1 and dilation[1] == 1 else 0
    number, rest = first // (grid[0] * grid[1]), first % (grid[0] * grid[1])
    row, column = rest // grid[1] * stride[0] - padding[0], rest % grid[1] * stride[1] - padding[1]
    below, beyond = grid[0] * stride[0] - padding[0], grid[1] * stride[1] - padding[1]
    for tile in range(first, last):
        for g in range(groups):
            target = g * block + tile * size
            for u in range(kernel[0]):
                y = row + u * dilation[0]
                at = target + u * kernel[1] * part
                if y < 0 or y >= height:
                    clear(out, at, kernel[1] * part)
                    continue
                line = (number * height + y) * width
                if run:
                    left = min(max(0, -column), kernel[1]) * part
                    right = max(left, min(kernel[1], width - column) * part)
                    clear(out, at, left)
                    copy(x, (line + column) * part + left, out, at + left, right - left)
                    clear(out, at + right, run - right)
                    continue
                for v in range(kernel[1]):
                    z = column + v * dilation[1]
                    if 0 <= z < width:
                        copy(x, (line + z) * channels + g * part, out, at + v * part, part)
                    else:
                        clear(out, at + v * part, part)
        column += stride[1]
        if column == beyond:
            row, column = row + stride[0], -padding[1]
            if row == below:
                number, row = number + 1, -padding[0]


@compiled
def images_transposed(
    x, out, image, grid, kernel, stride, padding, dilation, groups, origin, first, last
):
    """Add rows (the first of which is number `origin`) to the windows first to last."""
    height, width, channels = image
    part = channels // groups
    size, block = kernel[0] * kernel[1] * part, x.size // groups
    run = kernel[1] * part if groups == 1 and dilation[1] == 1 else 0
    number, rest = first // (grid[0] * grid[1]), first % (grid[0] * grid[1])
    row, column = rest // grid[1] * stride[0] - padding[0], rest % grid[1] * stride[1] - padding[1]
    below, beyond = grid[0] * stride[0] - padding[0], grid[1] * stride[1] - padding[1]
    for tile in range(first, last):
        for g in range(groups):
            source = g * block + (tile - origin) * size
            for u in range(kernel[0]):
                y = row + u * dilation[0]
                if y < 0 or y >= height:
                    continue
                at = source + u * kernel[1] * part
                line = (number * height + y) * width
                if run:
                    left = min(max(0, -column), kernel[1]) * part
                    right = max(left, min(kernel[1], width - column) * part)
                    add(x, at + left, out, (line + column) * part + left, right - left)
                    continue
                for v in range(kernel[1]):
                    z = column + v * dilation[1]
                    if 0 <= z < width:
                        add(x, at + v * part, out, (line + z) * channels + g * part, part)
        column += stride[1]
        if column == beyond:
            row, column = row + stride[0], -padding[1]
            if row == below:
                number, row = number + 1, -padding[0]
'''


def windows_source(dtype: str) -> str:
    """Return the source for float32 or float64."""
    return SOURCE.format(dtype=dtype)
