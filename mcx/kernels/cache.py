"""Compiled kernels: modules written into a cache folder, imported once, compiled by Numba.

Numba stores its machine code beside the module (`cache=True`), so that the next process loads it.
The folder is ``$MCX_CACHE_DIR``, else ``mcx`` in the user's cache folder; where it cannot be
written, a temporary folder serves this process. Names hold a hash of the source: a module never
changes, and other versions of mcx do not disturb each other.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

# Masks of FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW in <fenv.h>; underflow is not reported.
_FLAGS = {"x86_64": 13, "amd64": 13, "i686": 13, "aarch64": 7, "arm64": 7}


def flags() -> int | None:
    """Return the mask of floating-point exceptions on this machine, None where it is not known."""
    return _FLAGS.get(platform.machine().lower())


@lru_cache(maxsize=1)
def folder() -> Path:
    """Return the cache folder, which exists and can be written.

    Examples
    --------
    >>> from mcx.kernels import cache
    >>> cache.folder().is_dir()
    True
    """
    if os.environ.get("MCX_CACHE_DIR"):
        chosen = Path(os.environ["MCX_CACHE_DIR"])
    else:
        base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
        chosen = (Path(base) if base else Path.home() / ".cache") / "mcx"
    try:
        chosen.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(chosen, os.W_OK):
            return chosen
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="mcx-kernels-"))


@lru_cache(maxsize=1)
def numba_ready() -> bool:
    """Import Numba and prepare it; tell whether kernels can be compiled here."""
    try:
        import numba
        from llvmlite import binding
    except ImportError:
        return False
    if numba.config.DISABLE_JIT or flags() is None or not _has_fenv():
        return False
    # Kernels read and write many rows; LLVM gives up vectorising a loop beyond 128 checks that
    # these do not overlap, which cost nothing beside the loop.
    binding.set_option("", "--vectorize-memory-check-threshold=100000")
    return True


def _has_fenv() -> bool:
    """Tell whether the functions of <fenv.h> are to be found in this process."""
    try:
        process = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return False
    return hasattr(process, "feclearexcept") and hasattr(process, "fetestexcept")


def loaded(name: str, source: str):
    """Return the module with the given source: from the cache folder, where it is put if absent.

    Parameters
    ----------
    name : str
        Start of the module's name.
    source : str
        Python source of the module.
    """
    digest = hashlib.blake2b(source.encode(), digest_size=12).hexdigest()
    name = f"mcx_{name}_{digest}"
    path = folder() / f"{name}.py"
    if not path.exists() or path.read_bytes() != source.encode():
        write_atomically(path, source)
    try:
        return _imported(name, path)
    except Exception:  # machine code that a full disk has cut short, say
        for stale in (path.parent / "__pycache__").glob(f"{name}.*"):
            stale.unlink(missing_ok=True)
        return _imported(name, path)


def _imported(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Numba's cache pickles by module name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that other processes see all of it or nothing."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(scratch, path)
    except BaseException:
        os.unlink(scratch)
        raise
