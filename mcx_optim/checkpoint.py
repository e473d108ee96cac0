"""Checkpoint files: arrays and a JSON document in one npz file, replaced atomically."""

import json
import os

import numpy as np

DOCUMENT = "json"


def expect_folder(path):
    """Raise FileNotFoundError unless the folder of a checkpoint exists."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"checkpoint: expected a file in a folder that exists, got {os.fspath(path)}; make "
            f"{folder} first"
        )


def save(path, document, arrays):
    """Write a checkpoint so that `path` always holds a complete one.

    Parameters
    ----------
    path : str or path-like
        File to create or replace.
    document : dict
        Lists, dicts, numbers and strings.
    arrays : dict of arrays
        Under names other than "json".
    """
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    partial = f"{os.fspath(path)}.partial"
    with open(partial, "wb") as file:
        np.savez(file, **{DOCUMENT: text}, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load(path):
    """Return the document and the arrays of a checkpoint.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a checkpoint.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(arrays.pop(DOCUMENT).tobytes()), arrays
    except FileNotFoundError:
        raise FileNotFoundError(
            f"checkpoint {os.fspath(path)} does not exist; start the run with resume=False"
        ) from None
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"{os.fspath(path)} is not a checkpoint of mcx_optim.fit, or it is damaged; start the "
            "run with resume=False"
        ) from error
