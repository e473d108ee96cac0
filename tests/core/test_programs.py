"""Random programs of views, assignments, in-place operators and functions, against differences.

A program is a list of steps on a pool of arrays, drawn from a seed. It runs unchanged on long
doubles (the oracle), on Multicomplex numbers and under `linearize`.
"""

import numpy as np
import pytest
from core.checkers import assert_near
from core.oracles import along
from standin import StandIn

import mcx

SHAPE = (3, 4)

FUNCTIONS = (
    np.sin, np.tanh, np.exp, np.square, np.abs, np.negative, np.arctan, np.copy, np.cumsum,
    lambda a: np.sort(a, axis=-1), lambda a: a - np.mean(a), lambda a: a / (1 + a * a),
    lambda a: np.where(a > 0.3, a, 0.5 * a), lambda a: np.clip(a, -0.9, 0.9), lambda a: a**2,
    lambda a: np.sqrt(1 + a * a), lambda a: np.flip(a), lambda a: np.hypot(a, 1.5),
)  # fmt: skip
COMBINATIONS = (
    np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.logaddexp,
    lambda a, b: a / (2 + b * b), lambda a, b: np.hypot(a, b + 3),
    lambda a, b: np.arctan2(a, b + 3), lambda a, b: np.where(a > b, a, b * b),
)  # fmt: skip
VIEWS = (
    lambda a: a[1:], lambda a: a[:, ::2], lambda a: a[::-1, 1:3], lambda a: a.T,
    lambda a: a.reshape(4, 3), lambda a: a.ravel(), lambda a: a[0], lambda a: a[..., -1],
    lambda a: np.swapaxes(a, 0, 1)[1:], lambda a: a[None], lambda a: a.T[::2].T, lambda a: a,
    lambda a: np.expand_dims(a, -1), lambda a: a.reshape(2, 6)[1], lambda a: a[1:][::-1][:1],
)  # fmt: skip
COPIES = (
    lambda a: a[[0, 2]], lambda a: a[a > 0], lambda a: a[:, [1, 1]], lambda a: a.T.ravel(),
    lambda a: a[[0, 1], [2, 3]], lambda a: np.take(a, [3, 0], axis=1), lambda a: a.flatten(),
)  # fmt: skip
INDICES = (
    0, slice(1, None), (slice(None), 1), (..., slice(None, None, 2)), [0, 2], ([0, 1], [1, 2]),
    (slice(None), [2, 0]), (slice(None, None, -1), slice(1, 3)),
)  # fmt: skip


class Program:
    """Steps drawn from a seed; `run(x)` interprets them on any kind of array."""

    def __init__(self, seed, steps=14):
        rng = np.random.default_rng(seed)
        kinds = ("function", "combine", "view", "assign", "in place", "fresh", "through view",
                 "out", "constant")  # fmt: skip
        self.steps = [
            (kinds[rng.integers(len(kinds))], *(int(v) for v in rng.integers(1 << 30, size=4)))
            for _ in range(steps)
        ]
        self.constant = rng.uniform(-1, 1, SHAPE).astype(np.float32).astype(float)

    def run(self, x):
        pool = [x * 1.0, np.cos(x)]
        for kind, a, b, c, d in self.steps:
            source, other = pool[a % len(pool)], pool[b % len(pool)]
            if kind == "function":
                pool.append(np.reshape(FUNCTIONS[c % len(FUNCTIONS)](source), SHAPE))
            elif kind == "combine":
                pool.append(COMBINATIONS[c % len(COMBINATIONS)](source, other))
            elif kind == "view":
                self._rescale(VIEWS[c % len(VIEWS)](source), d)
            elif kind == "assign":
                index = INDICES[c % len(INDICES)]
                source[index] = 0.75 * other[index] + 0.1
            elif kind == "in place":
                self._in_place(source, other, c)
            elif kind == "fresh":
                fresh = np.zeros_like(x)
                VIEWS[c % len(VIEWS)](fresh)[...] = VIEWS[c % len(VIEWS)](other) * 0.5
                pool.append(fresh)
            elif kind == "through view":
                view = VIEWS[c % len(VIEWS)](source)
                kept = np.tanh(view)
                view *= 0.5
                view[..., :1] = kept[..., :1] + 0.25
            elif kind == "out":
                out = np.empty_like(x)
                np.multiply(source, other, out=out)
                np.tanh(out, out=out)
                pool.append(out)
            else:
                source[INDICES[c % len(INDICES)]] = 0.5
                buffer = getattr(x, "_buffer", x)
                constant = StandIn.wrap if isinstance(buffer, StandIn) else np.array
                pool.append(np.tanh(source + constant(self.constant)))
        copies = [COPIES[a % len(COPIES)](array) for array, (_, a, *_) in zip(
            pool, self.steps, strict=False)]  # fmt: skip
        return sum(np.sum(np.tanh(array)) for array in [*pool, *copies]) * np.tanh(pool[-1])

    @staticmethod
    def _rescale(view, d):
        view[...] = np.tanh(view) * (0.5 + d % 3 / 4)

    @staticmethod
    def _in_place(target, other, c):
        kept = other * 0.5
        if c % 4 == 0:
            target += kept
        elif c % 4 == 1:
            target -= kept
        elif c % 4 == 2:
            target *= np.cos(kept)
        else:
            target /= 2 + kept * kept


def check(seed):
    program = Program(seed)
    rng = np.random.default_rng(seed + 10**6)
    x, p, q = rng.uniform(-1, 1, (3, *SHAPE))
    value = program.run(x)
    second = program.run(mcx.perturb(x, p, q))
    np.testing.assert_array_equal(second.value, value)

    wide, r = x.astype(np.longdouble), p.astype(np.longdouble)
    step = np.longdouble(2) ** -14
    slope = along(lambda t: program.run(wide + t * r), step)
    narrow = along(lambda t: program.run(wide + t * r), step / 2)
    if np.max(abs(slope - narrow)) < 1e-9:  # no kink within the steps
        assert_near(second.im(1), slope, 1e-8)
        slopes = along(lambda t: program.run(mcx.perturb(x + t * q, p)).im(1), float(step))
        assert_near(second.im(1, 2), slopes, 1e-5)

    recorded, lin = mcx.linearize(program.run, x)
    np.testing.assert_array_equal(recorded, value)
    assert_near(lin(p), second.im(1), 1e-12)
    both = lin(np.stack([p, q]))
    assert_near(both[1], second.im(2), 1e-12)
    outer = mcx.linearize(program.run, mcx.perturb(x, q))[1](p)
    assert_near(outer.im(1), second.im(1, 2), 1e-11)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", range(60))
def test_random_program(seed):
    check(seed)


@pytest.mark.parametrize("seed", range(100, 130))
def test_random_program_on_a_stand_in(seed):
    program, rng = Program(seed), np.random.default_rng(seed + 10**6)
    x, p, q = rng.uniform(-1, 1, (3, *SHAPE))
    expected = program.run(mcx.perturb(x, p, q))
    result = program.run(mcx.perturb(*map(StandIn.wrap, (x, p, q))))
    np.testing.assert_array_equal(result.planes.get(), expected.planes)
    _, lin = mcx.linearize(program.run, StandIn.wrap(x))
    assert_near(lin(StandIn.wrap(p)), expected.im(1), 1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", range(1000, 2000))
def test_many_random_programs(seed):
    check(seed)
