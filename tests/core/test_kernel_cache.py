"""Where kernels are kept: the cache folder, several processes, and machines without Numba."""

import functools
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from core.ways import assert_same, by_kernels, eagerly, plainly

import mcx
from mcx.kernels import cache
from mcx.verbs import elementwise

START = """
import os, sys, threading
import numpy as np
import mcx
from mcx.kernels import cache, launch
x = np.linspace(0.1, 1, 7)
z = mcx.perturb(x, x[::-1].copy())
"""
FULL = "launch.WORK = 0\n"


def process(script, **environment):
    """Start Python on a script, with the given environment variables besides its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", START + textwrap.dedent(script)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(running):
    """Return what a process printed; it must end well."""
    printed, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    return printed


def run(script, **environment):
    return finished(process(script, **environment))


def listing(folder):
    """Return all files below a folder, with the time of their last change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


PRODUCT = "print((z * z).planes.tobytes().hex())"


@pytest.fixture
def z():
    x = np.linspace(0.1, 1, 7)
    return mcx.perturb(x, x[::-1].copy())


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, and no kernel in memory."""
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    elementwise.binary_kernel.cache_clear()
    yield tmp_path
    elementwise.binary_kernel.cache_clear()


class TestImports:
    def test_numba_is_not_imported_by_small_scripts(self):
        script = """
        for _ in range(20):
            y = np.exp(z * z) / (1 + z) ** 3
        gradient = mcx.gradient(lambda x: np.sum(np.tanh(x) * x), x)
        hessian = mcx.hessian(lambda x: np.sum(np.tanh(x) * x), x)
        print("numba" in sys.modules, "cupy" in sys.modules)
        """
        assert run(script).split() == ["False", "False"]

    def test_numba_is_imported_once_it_pays(self):
        script = """
        z = mcx.perturb(np.ones(10**5), np.ones(10**5))
        for _ in range(20):
            z * z
        print("numba" in sys.modules)
        """
        assert run(script).strip() == "True"


class TestWithoutNumba:
    @pytest.fixture(params=["absent", "unknown processor", "no fenv"])
    def unready(self, request, monkeypatch):
        if request.param == "absent":
            monkeypatch.setitem(sys.modules, "numba", None)
        elif request.param == "no fenv":
            monkeypatch.setattr(cache, "_has_fenv", lambda: False)
        else:
            monkeypatch.setattr(cache, "flags", lambda: None)
        fresh = functools.lru_cache(cache.numba_ready.__wrapped__)
        monkeypatch.setattr(cache, "numba_ready", fresh)
        for kernels in (elementwise.binary_kernel, elementwise.function_kernel):
            kernels.cache_clear()
        yield
        for kernels in (elementwise.binary_kernel, elementwise.function_kernel):
            kernels.cache_clear()

    @pytest.mark.usefixtures("unready")
    def test_the_plain_way_answers(self, z):
        for func in (lambda: z * z, lambda: z / z, lambda: np.tanh(z), lambda: z**2.5):
            with eagerly() as answered:
                result = func()
            assert answered
            assert not any(answered)
            with plainly():
                assert_same(result, func())

    def test_numba_switched_off(self):
        assert run(FULL + PRODUCT, NUMBA_DISABLE_JIT="1") == run(PRODUCT)


class TestFolder:
    def test_the_variable_names_it(self, tmp_path):
        folder = tmp_path / "not" / "yet"
        assert run(FULL + PRODUCT, MCX_CACHE_DIR=str(folder)) == run(PRODUCT)
        assert list(folder.glob("mcx_multiply_*.py"))
        assert os.name == "nt" or folder.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize("name", ["LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME"])
    def test_it_is_in_the_cache_folder_of_the_user(self, name, tmp_path):
        printed = run("print(cache.folder())", MCX_CACHE_DIR="", **{name: str(tmp_path)})
        assert printed.strip() == str(tmp_path / "mcx")

    def test_one_that_cannot_be_made_gives_way_to_a_temporary_one(self, tmp_path):
        (tmp_path / "file").write_text("")
        script = FULL + PRODUCT + "\nprint(cache.folder())"
        product, folder = run(script, MCX_CACHE_DIR=str(tmp_path / "file" / "mcx")).split()
        assert product == run(PRODUCT).strip()
        assert "mcx-kernels-" in folder
        assert listing(tmp_path).keys() == {tmp_path / "file"}

    def test_one_that_cannot_be_written_gives_way_to_a_temporary_one(self, tmp_path, monkeypatch):
        """The superuser may write everywhere, so the answer of the system is put in."""
        monkeypatch.setenv("MCX_CACHE_DIR", str(tmp_path))
        assert cache.folder.__wrapped__() == tmp_path
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        other = cache.folder.__wrapped__()
        assert other != tmp_path
        assert other.is_dir()
        other.rmdir()


class TestProcesses:
    def test_the_second_compiles_nothing(self, tmp_path):
        first = run(FULL + PRODUCT, MCX_CACHE_DIR=str(tmp_path))
        files = listing(tmp_path)
        machine_code = [path for path in files if path.suffix != ".pyc"]
        assert len(machine_code) == 3  # the module, Numba's index and the code itself
        assert run(FULL + PRODUCT, MCX_CACHE_DIR=str(tmp_path)) == first
        assert listing(tmp_path) == files

    def test_two_at_once_in_an_empty_folder(self, tmp_path):
        wait = "cache.numba_ready()\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        running = [process(FULL + wait + PRODUCT, MCX_CACHE_DIR=str(tmp_path)) for _ in range(2)]
        for one in running:
            assert one.stdout.readline() == "ready\n"
        for one in running:
            one.stdin.write("\n")
            one.stdin.flush()
        first, second = map(finished, running)
        assert first == second == run(PRODUCT)
        assert not list(tmp_path.rglob("*.tmp"))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_threads_are_those_of_the_process_itself(self):
        """A forked process inherits the pool of its parent without the threads."""
        script = """
        mcx.set_num_threads(2)
        array = np.ones(1 << 18)
        y = mcx.perturb(array, array)
        y * y
        child = os.fork()
        if child == 0:
            threading.Timer(20, os._exit, (1,)).start()
            y * y
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        """
        assert run(FULL + textwrap.dedent(script)).strip() == "0"

    def test_kernels_stay_behind_when_numbers_are_pickled(self, z):
        with by_kernels():
            result = z * z
        again = pickle.loads(pickle.dumps(result))
        assert_same(again, result)


JUNK = {"empty": b"", "another module": b"x = 1\n", "not text": b"\xff\xfe\x00", "cut": None}


@pytest.mark.usefixtures("own_cache")
class TestCorruptedFiles:
    @pytest.mark.parametrize("junk", JUNK)
    @pytest.mark.parametrize("suffix", ["py", "nbi", "nbc"])
    def test_are_written_anew(self, suffix, junk, z, own_cache):
        with by_kernels() as answered:
            expected = z * z
        assert answered == [True]
        (path,) = own_cache.rglob(f"*.{suffix}")
        sound = path.read_bytes()
        path.write_bytes(sound[: len(sound) // 2] if JUNK[junk] is None else JUNK[junk])
        elementwise.binary_kernel.cache_clear()
        with by_kernels() as answered:
            assert_same(z * z, expected)
        assert answered == [True]
        if suffix == "py":
            assert path.read_bytes() == sound
