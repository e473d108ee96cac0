"""Data sets in the text format of LIBSVM and svmlight."""

import glob
import io
from pathlib import Path

import numpy as np

from mcx_nn.data.files import damaged, find, read

_OWNER, _DATASET = "load_libsvm", "libsvm"


def load_libsvm(
    path,
    folder=None,
    *,
    features=None,
    zero_based=False,
    classes=None,
    sparse=False,
    dtype=np.float64,
):
    r"""Load a file of lines ``label index:value index:value …``; what is left out is 0.

    Parameters
    ----------
    path : path
        Name of the file, with or without its ".gz" or ".bz2".
    folder : path, optional
        Where it is, unless its path is absolute; default: libsvm/ in the folder that the
        environment variable ``MCX_DATA`` names.
    features : int, optional
        I, the number of columns; default: the largest index of the file. A file of test samples may
        lack the last ones.
    zero_based : bool
        Whether the first feature has index 0 rather than 1.
    classes : sequence of numbers, optional
        The labels of the file in the order of their classes, such as (-1, 1) or
        ``numpy.unique(y_train)``: y is then the class, 0 to K-1.
    sparse : bool
        Whether X is a `scipy.sparse.csr_array`.
    dtype : dtype
        Of X.

    Returns
    -------
    X : (N, I) array
    y : (N,) array
        float64 as in the file, or int where `classes` are given.

    Raises
    ------
    ImportError
        Where scikit-learn is not installed.
    FileNotFoundError
        If the file is absent, or no folder is known.
    ValueError
        If the file is damaged, empty, has more features than `features`, or a label that is not in
        `classes`.

    References
    ----------
    C.-C. Chang, C.-J. Lin, LIBSVM: a library for support vector machines, ACM Transactions on
    Intelligent Systems and Technology 2 (2011).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "tiny").write_text("+1 1:0.5 3:2\n-1 2:1\n")
    ...     X, y = load_libsvm("tiny", folder, classes=(-1, 1))
    >>> X, y
    (array([[0.5, 0. , 2. ],
           [0. , 1. , 0. ]]), array([1, 0]))
    """
    try:
        from scipy.sparse import csr_array
        from sklearn.datasets import load_svmlight_file
    except ImportError as error:
        raise ImportError(
            f"{_OWNER}: expected scikit-learn, which reads the format, got none; "
            "pip install scikit-learn."
        ) from error
    path = Path(path)
    if path.is_absolute():
        folder, path = path.parent, path.name
    (path,) = find(_OWNER, _DATASET, folder, glob.escape(str(path)))
    text = io.BytesIO(read(_OWNER, path))
    try:
        X, y = load_svmlight_file(text, n_features=features, zero_based=zero_based)
    except (ValueError, OverflowError) as error:
        expected = f"lines `label index:value …`, indices ascending from {1 - zero_based}"
        expected += f" to {features - zero_based}" if features else ""
        raise damaged(_OWNER, path, expected, error) from error
    if not X.nnz:
        raise damaged(_OWNER, path, "samples with features", f"{len(y)} samples with none")
    X = csr_array(X, dtype=dtype)
    return X if sparse else X.toarray(), y if classes is None else _classify(path, y, classes)


def _classify(path, y, classes):
    """Return the position of every label among the classes."""
    position = {float(label): k for k, label in enumerate(classes)}
    strange = sorted(set(y.tolist()) - set(position))
    if strange:
        raise ValueError(
            f"{_OWNER}: {path}: classes: expected the labels of the file, got {list(position)}, "
            f"without {strange[:3]}; numpy.unique(y) lists them."
        )
    return np.array([position[label] for label in y.tolist()])
