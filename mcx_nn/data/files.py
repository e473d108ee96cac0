"""Where the files of a data set lie, and the bytes in them."""

import bz2
import glob
import gzip
import os
import zlib
from pathlib import Path

_DECOMPRESS = {".gz": gzip.decompress, ".bz2": bz2.decompress}


def find(owner, dataset, folder, *patterns):
    """Return the paths of the files of a data set, in the order of the patterns.

    Parameters
    ----------
    owner : str
        Name of the loader, for messages.
    dataset : str
        Folder of the data set in that of ``MCX_DATA``.
    folder : path or None
        The folder itself; None for the default.
    *patterns : str
        Names, as `glob` reads them, without ".gz" or ".bz2". Where a file is there both plain and
        compressed, the plain one is taken.

    Returns
    -------
    list of Path
        At least one.

    Raises
    ------
    FileNotFoundError
        If no file matches, or no folder is known.
    """
    expected = f"{owner}: expected {' or '.join(patterns)}, plain, .gz or .bz2"
    root = os.environ.get("MCX_DATA")
    if folder is None and not root:
        raise FileNotFoundError(
            f"{expected}, got no folder to look in; pass folder=, or set MCX_DATA to the folder "
            f"that holds {dataset}/."
        )
    folder = Path(root, dataset) if folder is None else Path(folder)
    found = {}
    for pattern in patterns:
        matches = {}
        for suffix in ("", *_DECOMPRESS):
            for path in map(Path, glob.glob(f"{glob.escape(str(folder))}/{pattern}{suffix}")):
                if path.is_file():
                    matches.setdefault(path.name.removesuffix(suffix), path)
        found |= sorted(matches.items())
    if not found:
        raise FileNotFoundError(
            f"{expected}, got no such file in {folder}; put it there, pass another folder=, or set "
            f"MCX_DATA to the folder that holds {dataset}/."
        )
    return list(found.values())


def read(owner, path):
    """Return all bytes of a file, decompressed as its name says.

    Raises
    ------
    ValueError
        If the file is compressed, and damaged or cut short.
    """
    data = path.read_bytes()
    decompress = _DECOMPRESS.get(path.suffix)
    if decompress is None:
        return data
    try:
        return decompress(data)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise damaged(owner, path, f"a whole {path.suffix} file", error) from error


def damaged(owner, path, expected, got):
    """Return the error that says what is wrong in a file."""
    return ValueError(f"{owner}: {path}: expected {expected}, got: {got}; fetch the file again.")
