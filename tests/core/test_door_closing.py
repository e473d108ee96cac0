"""NumPy is as it was when doors close, and elsewhere all the time."""

import asyncio
import contextlib
import contextvars
import copy
import importlib
import importlib.machinery
import importlib.util
import pickle
import subprocess
import sys
import threading
import types
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from core.behind_door import ORIGINALS, X, is_closed, pair
from numpy import asarray as asarray_by_name
from scipy.optimize import rosen, rosen_der, rosen_hess

import mcx


@pytest.fixture(autouse=True)
def _numpy_is_left_as_it_was():
    assert is_closed()
    yield
    assert is_closed()


class TestClosing:
    def test_patched_where_bound_by_name(self):
        with mcx.patched_numpy():
            assert asarray_by_name is np.asarray
            assert scipy.optimize._optimize.asarray is np.asarray
            assert np.asarray is not ORIGINALS["asarray"]
        assert is_closed()

    def test_after_an_error(self):
        with pytest.raises(ZeroDivisionError), mcx.patched_numpy():
            raise ZeroDivisionError
        assert is_closed()

    def test_after_a_driver_that_fails(self):
        def failing(x):
            np.asarray(x)
            raise ZeroDivisionError

        for run in (mcx.derivative, mcx.gradient, mcx.linearize):
            with pytest.raises(ZeroDivisionError):
                run(failing, 1.0, patch=True)
            assert is_closed()

    def test_nested(self):
        z = pair()
        with mcx.patched_numpy():
            with mcx.patched_numpy(z):
                assert np.asarray(z) is z
                assert isinstance(np.zeros(1), mcx.Multicomplex)
            assert np.asarray(z) is z
            assert type(np.zeros(1)) is np.ndarray
        with pytest.raises(mcx.ImplicitConversionError):
            np.asarray(z)

    def test_in_any_order(self):
        z = pair()
        first, second = mcx.patched_numpy(z), mcx.patched_numpy()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert np.asarray(z) is z
        assert type(np.zeros(1)) is np.ndarray
        second.__exit__(None, None, None)
        assert is_closed()
        with pytest.raises(mcx.ImplicitConversionError):
            np.asarray(z)

    def test_a_generator_closed_late(self):
        def steps(z):
            with mcx.patched_numpy(z):
                while True:
                    yield np.asarray(z)

        z = pair()
        generator = steps(z)
        assert next(generator) is z
        with mcx.patched_numpy():
            generator.close()
            assert np.asarray(z) is z
        assert is_closed()

    def test_a_generator_closed_in_another_thread_or_context(self):
        def steps():
            with mcx.patched_numpy():
                yield

        for elsewhere in (
            lambda close: contextvars.copy_context().run(close),
            lambda close: contextvars.Context().run(close),
            lambda close: ThreadPoolExecutor(1).submit(close).result(),
        ):
            generator = steps()
            next(generator)
            assert not is_closed()
            elsewhere(generator.close)
            assert is_closed()
            with pytest.raises(mcx.ImplicitConversionError):
                np.asarray(pair())

    def test_a_generator_that_is_dropped(self):
        def steps():
            with mcx.patched_numpy():
                yield

        generator = steps()
        next(generator)
        del generator
        assert is_closed()

    def test_as_a_decorator(self):
        run = mcx.patched_numpy()(lambda z: np.asarray(z))
        z = pair()
        assert run(z) is z
        assert run(z) is z
        assert is_closed()

    def test_a_wrapper_left_anywhere_is_neutral(self):
        with mcx.patched_numpy():
            keep, zeros = np.asarray, np.zeros
        with pytest.raises(mcx.ImplicitConversionError):
            keep(pair())
        assert keep(X) is X
        assert type(zeros(2)) is np.ndarray

    def test_modules_imported_meanwhile(self, monkeypatch):
        module = types.ModuleType("published_meanwhile")
        with mcx.patched_numpy():
            exec("from numpy import asarray, zeros as fresh", vars(module))
            monkeypatch.setitem(sys.modules, module.__name__, module)
            assert module.asarray is np.asarray
        assert module.asarray is ORIGINALS["asarray"]
        assert module.fresh is ORIGINALS["zeros"]

    def test_modules_of_numpy_imported_meanwhile(self, monkeypatch):
        module = types.ModuleType("numpy.published_meanwhile")
        with mcx.patched_numpy():
            exec("from numpy import asarray", vars(module))
            monkeypatch.setitem(sys.modules, module.__name__, module)
        assert module.asarray is ORIGINALS["asarray"]

    def test_keeps_nothing(self):
        z = pair()
        with mcx.patched_numpy(z):
            door = weakref.ref(mcx.door._innermost.get())
        assert door() is None

    def test_functions_of_no_module(self):
        """SymPy's lambdify and exec make functions in namespaces of their own."""
        namespace = {}
        exec("from numpy import array\ndef f(x): return array([x[0] * x[1], 1.0])", namespace)
        f, array = namespace["f"], ORIGINALS["array"]
        x = np.array([2.0, 3.0])
        np.testing.assert_array_equal(mcx.jacobian(f, x, patch=True), [[3, 2], [0, 0]])
        assert namespace["array"] is array
        with mcx.patched_numpy():
            mcx.jacobian(f, x, patch=True)
            assert namespace["array"] is np.array
        assert namespace["array"] is array

    def test_modules_rebound_meanwhile_are_left_alone(self, monkeypatch):
        module = types.ModuleType("published_before")
        exec("from numpy import asarray, zeros", vars(module))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        with mcx.patched_numpy():
            assert module.asarray is np.asarray
            module.asarray = 1
        assert module.asarray == 1
        assert module.zeros is ORIGINALS["zeros"]

    def test_lazy_modules_are_not_loaded(self, monkeypatch):
        spec = importlib.util.find_spec("this")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        lazy = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "this", lazy)
        spec.loader.exec_module(lazy)
        with contextlib.redirect_stdout(None), mcx.patched_numpy():
            pass
        assert type(lazy) is not types.ModuleType


class TestElsewhere:
    def test_other_threads_do_not_see_it(self):
        z = pair()
        opened, done = threading.Event(), threading.Event()
        found = []

        def other():
            opened.wait(10)
            for call in (lambda: np.asarray(z), lambda: np.zeros(2)):
                try:
                    found.append(type(call()))
                except mcx.ImplicitConversionError:
                    found.append("raised")
            done.set()

        thread = threading.Thread(target=other)
        thread.start()
        with mcx.patched_numpy(z):
            opened.set()
            assert done.wait(10)
            assert np.asarray(z) is z
        thread.join()
        assert found == ["raised", np.ndarray]

    def test_other_threads_in_its_context_do_not_see_it(self):
        z = pair()
        with mcx.patched_numpy(z), ThreadPoolExecutor(1) as pool:
            here = contextvars.copy_context()
            assert here.run(lambda: np.asarray(z)) is z
            assert pool.submit(here.run, lambda: type(np.zeros(1))).result() is np.ndarray

    def test_threads_with_doors_of_their_own(self):
        def run(seed):
            x = np.random.default_rng(seed).normal(size=5)
            barrier.wait(10)
            errors = [abs(mcx.gradient(rosen, x, patch=True) - rosen_der(x)).max()]
            errors += [abs(mcx.hessian(rosen, x, patch=True) - rosen_hess(x)).max()]
            return max(errors) / abs(rosen_hess(x)).max()

        barrier = threading.Barrier(4)
        with ThreadPoolExecutor(4) as pool:
            assert max(pool.map(run, range(4))) < 1e-13
        assert is_closed()

    def test_tasks_do_not_see_it(self):
        z = pair()

        async def looks():
            with pytest.raises(mcx.ImplicitConversionError):
                np.asarray(z)
            return type(np.zeros(1))

        async def opens(turn):
            with mcx.patched_numpy(z):
                started = asyncio.ensure_future(looks())  # copies the context
                turn.set()
                await asyncio.sleep(0)
                threaded = await asyncio.to_thread(lambda: type(np.zeros(1)))
                assert np.asarray(z) is z
                return [await started, threaded]

        async def main():
            turn = asyncio.Event()
            waiting = asyncio.ensure_future(opens(turn))
            await turn.wait()
            return [await looks(), *await waiting]

        assert asyncio.run(main()) == [np.ndarray] * 3

    def test_two_tasks_that_take_turns(self):
        async def run(x):
            with mcx.patched_numpy():
                z = mcx.perturb(x, np.ones(4))
                out = np.zeros(4)
                for k in range(4):
                    await asyncio.sleep(0)
                    out[k] = np.asarray(z)[k] ** 2
                return np.sum(out).im(1)

        async def main():
            return await asyncio.gather(run(X), run(2 * X))

        np.testing.assert_allclose(asyncio.run(main()), [2 * X.sum(), 4 * X.sum()], rtol=1e-15)

    def test_compiled_code_does_not_see_it(self):
        """numpy.random trusts what np.empty returns, and its calls leave no frame."""
        draws = (
            lambda: np.random.default_rng(0).normal(size=3),
            lambda: np.random.default_rng(0).dirichlet([1.0, 2.0]),
            lambda: np.random.RandomState(0).standard_normal((2, 2)),
            lambda: scipy.stats.norm.rvs(size=4, random_state=0),
        )
        expected = [draw() for draw in draws]
        with mcx.patched_numpy(pair()):
            results = [draw() for draw in draws]
        for result, before in zip(results, expected, strict=True):
            assert type(result) is np.ndarray
            np.testing.assert_array_equal(result, before)

    def test_names_of_compiled_modules_stay(self, monkeypatch):
        module = types.ModuleType("published_in_c")
        module.__file__ = f"published_in_c{importlib.machinery.EXTENSION_SUFFIXES[0]}"
        exec("import numpy as np\nfrom numpy import asarray", vars(module))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        with mcx.patched_numpy(pair()):
            assert module.asarray is ORIGINALS["asarray"]
            assert module.np.zeros is ORIGINALS["zeros"]
            assert module.np.linalg is np.linalg
        assert module.np is np

    def test_compiled_code_imported_meanwhile_does_not_see_it(self):
        run = """
import sys, numpy as np, mcx
z = mcx.perturb(1.0, 1.0)
assert "numpy.random.mtrand" not in sys.modules
with mcx.patched_numpy(z):
    assert type(np.random.RandomState(0).standard_normal((2, 2))) is np.ndarray
    assert isinstance(np.zeros(2), mcx.Multicomplex)
assert sys.modules["numpy.random.mtrand"].np is np
"""
        subprocess.run([sys.executable, "-c", run], check=True, timeout=100)

    def test_modules_imported_meanwhile_make_plain_constants(self, tmp_path, monkeypatch):
        source = "import numpy as np\nfrom numpy import zeros\nWEIGHTS = np.ones(2)\n"
        source += (
            "def f(x):\n    out = zeros(2)\n    out[:] = np.asarray(x)\n    return WEIGHTS @ out\n"
        )
        (tmp_path / "published_lazily.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

        def f(x):
            return importlib.import_module("published_lazily").f(x)

        np.testing.assert_array_equal(mcx.gradient(f, np.ones(2), patch=True), np.ones(2))
        module = sys.modules.pop("published_lazily")
        assert type(module.WEIGHTS) is np.ndarray
        assert module.zeros is ORIGINALS["zeros"]

    @pytest.mark.parametrize("first", [True, False])
    def test_numba_compiles(self, first):
        """In a fresh process: Numba makes its tables of NumPy's functions at the first use."""
        run = f"""
import numpy as np, mcx, numba

def f(x):
    return np.zeros(3) + np.ones(3) * x.sum() + np.full(3, x[0])

x = np.arange(1.0, 4.0)
if {first}:
    assert np.all(numba.njit(lambda x: np.zeros(3) + x)(x) == x)
with mcx.patched_numpy(mcx.perturb(1.0, 1.0)):
    assert type(numba.njit(f)(x)) is np.ndarray
assert np.all(numba.njit(f)(x) == f(x))
"""
        subprocess.run([sys.executable, "-c", run], check=True, timeout=100)

    def test_wrappers_are_equal_as_keys(self):
        table = {np.zeros: 1, np.zeros_like: 2}
        with mcx.patched_numpy():
            assert np.zeros is not ORIGINALS["zeros"]
            assert table[np.zeros] == 1
            assert table[np.zeros_like] == 2
            assert np.ones not in table
            later = {np.ones: 3}
            assert pickle.loads(pickle.dumps(np.zeros)) is np.zeros
            assert copy.deepcopy([np.zeros])[0] is np.zeros
            assert np.zeros_like.__name__ == "zeros_like"
        assert later[np.ones] == 3
