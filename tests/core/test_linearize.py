"""linearize: a recorded linear program that equals jvp, whatever happens after recording."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from core.calls import point
from core.checkers import check_recorded, host, leaves
from core.test_calls import DERIVATIVES
from standin import StandIn

import mcx
from mcx import dispatch

RECORDED = [call for call in DERIVATIVES if dispatch.classify(call.func) != "refused"]


@pytest.mark.parametrize("call", RECORDED, ids=str)
def test_recorded_program_equals_jvp(call, rng):
    check_recorded(call, rng)


@pytest.mark.parametrize("call", [c for c in RECORDED if c.standin], ids=str)
def test_recorded_program_on_a_stand_in(call, rng):
    x, p = point(call.shape, np.float64, call.positive), rng.normal(size=call.shape)
    slopes = leaves(mcx.linearize(call.run, StandIn.wrap(x))[1](StandIn.wrap(p)))
    for slope, expected in zip(slopes, leaves(mcx.linearize(call.run, x)[1](p)), strict=True):
        assert isinstance(slope, StandIn)
        np.testing.assert_array_equal(slope.get(), expected)


X = np.array([0.5, -1.25, 2.0, 0.75])
P = np.array([1.0, 2.0, -0.5, 3.0])


def check(f, x=X, p=P):
    """Check lin against jvp for a function, twice, with several directions too."""
    value, lin = mcx.linearize(f, x)
    expected = mcx.jvp(f, x, p)
    np.testing.assert_array_equal(value, expected[0])
    for _ in range(2):
        np.testing.assert_allclose(lin(p), expected[1], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(lin(np.stack([p, -2 * p]))[1], -2 * expected[1], rtol=1e-13)
    return lin


class TestSlots:
    """Assignment, out= and views go through slots."""

    def test_assignment_into_a_fresh_array(self):
        def f(x):
            y = np.zeros_like(x)
            y[0] = x[1] ** 2
            y[1:3] = x[:2] * x[2]
            y[y > 5] = 0.0
            return y * x

        check(f)

    def test_assignment_over_recorded_values(self):
        def f(x):
            y = x * 3.0
            z = y * y
            y[0] = x[3]
            y[1] = 7.0
            return y * z + y[::-1]

        check(f)

    def test_views_see_later_writes(self):
        def f(x):
            y = x * 2.0
            view = y[1:]
            grid = y.reshape(2, 2)
            y[2] = x[0] ** 2
            grid[0, 0] = x[1] * x[2]
            view[-1] = 3.0
            return view * grid.ravel()[:3] + np.sum(y)

        check(f)

    def test_writes_through_views_of_views(self):
        def f(x):
            y = np.zeros_like(x, shape=(3, 4))
            y.T[1][1:] = x[:2]
            y[2][::-1][:2] = x[2:] * 2.0
            return y @ x

        check(f)

    def test_complex_items_in_arrays_whose_tangent_is_real(self):
        def into_zeros(x):
            y = np.zeros_like(x, dtype=complex)
            y[0] = x[0]
            y[1] = 1j * x[1] * x[0]
            return y

        def into_a_sum(x):
            y = x + 0j
            y[0] = 1j * x[0] ** 2
            return y

        check(into_zeros)
        check(into_a_sum)

    def test_in_place_operators(self):
        def f(x):
            y = x.copy()
            y += x**2
            y[1:] *= x[:-1]
            y -= 1.0
            y /= 2.0 + x[0] ** 2
            return y

        check(f)

    def test_out(self):
        def f(x):
            y = np.empty_like(x)
            np.multiply(x, x, out=y)
            np.exp(y, out=y)
            np.add(y, 1.0, out=y[:])
            return y * x

        check(f)

    def test_where(self):
        def f(x):
            return np.sqrt(x, out=np.zeros_like(x), where=x > 0)

        check(f)

    def test_overlapping_assignment(self):
        def f(x):
            y = x * 1.0
            y[1:] = y[:-1]
            y[:] = y[::-1] * x
            return y

        check(f)

    def test_fancy_and_masked_assignment(self):
        def f(x):
            y = x * x
            y[[0, 2]] = x[[1, 3]]
            y[x < 0] = x[0] * x[1]
            return y[[3, 0, 0]] * y[np.array([1, 2, 3])]

        check(f)

    def test_a_result_may_be_x_itself_or_a_view_of_it(self):
        check(lambda x: x)
        check(lambda x: x[::-1])
        value, lin = mcx.linearize(lambda x: x, X)
        p = P.copy()
        lin(p)[0] = 99.0
        np.testing.assert_array_equal(p, P)
        assert value.shape == X.shape


class TestConstants:
    """Values, branches and indices are those of the one run."""

    def test_function_is_called_once(self):
        calls = []

        def f(x):
            calls.append(1)
            return np.sin(x) * x

        _, lin = mcx.linearize(f, X)
        for _ in range(3):
            lin(P)
        assert len(calls) == 1

    def test_real_operands_changed_after_recording_do_not_matter(self):
        a, b, mask = np.arange(16.0).reshape(4, 4), X.copy(), np.array([1.0, 0.0, 1.0, 1.0])
        index, x = np.array([3, 0, 1]), X.copy()

        def f(x):
            return np.sum((a @ x) * b * mask) + np.sum(x[index] / b[index]) + np.where(mask, x, b)

        expected = mcx.jvp(f, X, P)[1]
        _, lin = mcx.linearize(f, x)
        for array in (a, b, mask, index, x):
            array[...] = 0
        np.testing.assert_allclose(lin(P), expected, rtol=1e-13)

    def test_operands_changed_during_the_run_keep_the_value_they_had(self):
        def f(x):
            work = np.ones(4)
            y = x * work
            work[:] = 5.0
            z = y * work
            work[:] = -1.0
            return z + work * x

        check(f)

    def test_recorded_operands_overwritten_during_the_run_keep_their_value(self):
        def f(x):
            y = x * 2.0
            z = y * np.exp(x)
            y[:] = 0.0
            return z + y

        check(f)

    def test_views_of_real_operands(self):
        base = np.arange(8.0)

        def f(x):
            return x * base[::2] + x * base[1::2]

        expected = mcx.jvp(f, X, P)[1]
        _, lin = mcx.linearize(f, X)
        base[:] = np.nan
        np.testing.assert_allclose(lin(P), expected, rtol=1e-14)

    def test_branches_are_constant(self):
        switch = [True]

        def f(x):
            return x**2 if switch[0] else -x

        _, lin = mcx.linearize(f, X)
        switch[0] = False
        np.testing.assert_array_equal(lin(P), 2 * X * P)

    def test_random_masks_are_not_drawn_again(self):
        rng = np.random.default_rng(0)

        def f(x):
            return x * (rng.uniform(size=4) > 0.5) * x

        value, lin = mcx.linearize(f, X)
        np.testing.assert_allclose(lin(P), np.where(value != 0, 2 * X * P, 0))

    def test_result_that_does_not_depend_on_x(self):
        value, lin = mcx.linearize(lambda x: (np.ones(3), np.zeros_like(x), 5.0), X)
        assert value[2] == 5.0
        np.testing.assert_array_equal(lin(P)[0], np.zeros(3))
        np.testing.assert_array_equal(lin(np.stack([P, P]))[1], np.zeros((2, 4)))


class TestProgram:
    def test_results_do_not_share_memory_with_the_direction(self):
        for f in (lambda x: x, lambda x: x[::2], lambda x: x.reshape(2, 2).T):
            p = P.copy()
            mcx.linearize(f, X)[1](p)[...] = 0
            np.testing.assert_array_equal(p, P)

    def test_of_a_network_equals_jvp_for_many_directions(self, rng, wrap):
        weights = [rng.normal(size=s) / 3 for s in ((6, 8), (8, 5))]
        inputs, labels = rng.normal(size=(7, 6)), np.array([0, 1, 2, 3, 4, 0, 1])

        def loss_gradient(w, inputs):
            w1, w2 = w[:48].reshape(6, 8), w[48:].reshape(8, 5)
            hidden = np.tanh(inputs @ w1)
            scores = hidden @ w2
            e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
            d = e / np.sum(e, axis=1, keepdims=True)
            d = d.copy()
            d[np.arange(7), labels] -= 1.0
            back = (d @ w2.T) * (1 - hidden * hidden)
            return np.concatenate([(inputs.T @ back).ravel(), (hidden.T @ d).ravel()])

        w = np.concatenate([v.ravel() for v in weights])
        args = (wrap(inputs),)
        _, lin = mcx.linearize(loss_gradient, wrap(w), args=args)
        directions = rng.normal(size=(4, w.size))
        many = lin(wrap(directions))
        hessian = mcx.jacobian(loss_gradient, w, args=(inputs,))
        np.testing.assert_allclose(host(many), directions @ hessian, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(hessian, hessian.T, rtol=1e-11, atol=1e-12)
        for p, row in zip(directions, host(many), strict=True):
            np.testing.assert_allclose(host(lin(wrap(p))), row, rtol=1e-12, atol=1e-13)

    def test_is_linear(self, rng):
        _, lin = mcx.linearize(lambda x: np.exp(x) @ np.outer(x, x), X)
        p, q = rng.normal(size=(2, 4))
        np.testing.assert_allclose(lin(2 * p - 3 * q), 2 * lin(p) - 3 * lin(q), rtol=1e-12)
        np.testing.assert_array_equal(lin(np.zeros(4)), np.zeros(4))

    def test_direction_of_another_shape_is_refused(self):
        _, lin = mcx.linearize(np.sin, X)
        for shape in ((3,), (4, 1), (2, 3), (2, 2, 4), ()):
            with pytest.raises(ValueError, match=r"expected shape \(4,\)"):
                lin(np.ones(shape))

    def test_no_directions_give_no_results(self):
        _, lin = mcx.linearize(lambda x: (x, np.sum(x)), X)
        first, second = lin(np.zeros((0, 4)))
        assert first.shape == (0, 4)
        assert second.shape == (0,)

    def test_structure_of_results(self):
        value, lin = mcx.linearize(lambda x: {"a": [x, x[0]], "b": (np.sum(x),)}, X)
        assert value["b"][0] == np.sum(X)
        assert lin(P)["a"][1] == P[0]
        assert lin(np.stack([P, P]))["b"][0].shape == (2,)

    def test_args_and_argnum(self):
        _, lin = mcx.linearize(np.power, X + 2, args=(np.full(4, 2.0),), argnum=0)
        np.testing.assert_allclose(lin(P), 2 * (X + 2) * P, rtol=1e-15)
        _, lin = mcx.linearize(np.power, X, args=(np.full(4, 2.0),), argnum=1)
        np.testing.assert_allclose(lin(P), np.log(2) * 2.0**X * P, rtol=1e-14)

    def test_dtype_is_kept(self, dtype):
        _, lin = mcx.linearize(lambda x: np.exp(x) * x, X.astype(dtype))
        assert lin(P.astype(dtype)).dtype == dtype

    def test_nbytes_counts_what_is_kept(self):
        big = np.ones((100, 100))
        _, lin = mcx.linearize(lambda x: np.tanh(big @ x), np.ones(100))
        assert big.nbytes <= lin.nbytes <= 2 * big.nbytes
        assert mcx.linearize(lambda x: x, X)[1].nbytes < 1000

    def test_memory_is_freed_with_the_program(self):
        x = np.ones(1000)
        kept = []

        def f(x):
            factor = np.exp(x)
            kept.append(weakref.ref(factor._buffer))
            return factor * x

        value, lin = mcx.linearize(f, x)
        program = weakref.ref(lin)
        del lin, value
        gc.collect()
        assert program() is None
        assert all(ref() is None for ref in kept)

    def test_tangents_are_freed_at_their_last_use(self):
        """A chain of 200 steps on one megabyte must not hold 200 tangents."""

        def f(x):
            for _ in range(200):
                x = x * 1.0009765625
            return x

        x = np.ones(131072)
        _, lin = mcx.linearize(f, x)
        lin(x)
        tracemalloc.start()
        lin(x)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * x.nbytes


def test_threads_record_independently():
    results, failures = {}, []

    def work(k):
        try:
            for _ in range(20):
                _, lin = mcx.linearize(lambda x: np.sin(k * x) * x, X)
                slope = lin(P)
            results[k] = slope
        except Exception as error:  # whatever it is: a thread cannot fail the test itself
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for k, slope in results.items():
        expected = (k * np.cos(k * X) * X + np.sin(k * X)) * P
        np.testing.assert_allclose(slope, expected, rtol=1e-12)


def test_number_that_escapes_its_recording_says_so():
    escaped = []
    mcx.linearize(lambda x: escaped.append(x) or x, X)
    z = mcx.perturb(X, P)
    with pytest.raises(mcx.ImplicitConversionError, match="zeros_like"):
        z[0] = escaped[0][0]
    with pytest.raises(mcx.ImplicitConversionError):
        np.asarray(escaped[0])
