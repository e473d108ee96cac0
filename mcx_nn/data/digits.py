"""Handwritten digits of scikit-learn, enlarged."""

import numpy as np

_TEST_SAMPLES = 360  # a fifth of the 1797
_SEED = 0


def load_digits(dtype=np.float64):
    """Load scikit-learn's 1797 real handwritten digits as 28×28 images.

    The 8×8 images are upsampled bilinearly, shuffled with a fixed seed, split, and scaled by the
    mean and standard deviation of the training pixels.

    Parameters
    ----------
    dtype : dtype
        Of the images.

    Returns
    -------
    x_train : (1437, 28, 28, 1) array
    y_train : (1437,) array of int
    x_test : (360, 28, 28, 1) array
    y_test : (360,) array of int

    Raises
    ------
    ImportError
        Where scikit-learn is not installed.

    References
    ----------
    E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits, UCI Machine Learning
    Repository (1998).

    Examples
    --------
    >>> x_train, y_train, x_test, y_test = load_digits()
    >>> x_train.shape, y_test.shape
    ((1437, 28, 28, 1), (360,))
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            "load_digits: expected scikit-learn, which holds the images, got none; "
            "pip install scikit-learn."
        ) from error
    digits = datasets.load_digits()
    order = np.random.default_rng(_SEED).permutation(len(digits.target))
    weights = _bilinear(8, 28)
    x = (weights @ digits.images[order] @ weights.T)[..., None]
    y = digits.target[order]
    train = x[:-_TEST_SAMPLES]
    x = ((x - train.mean()) / train.std()).astype(dtype)
    return x[:-_TEST_SAMPLES], y[:-_TEST_SAMPLES], x[-_TEST_SAMPLES:], y[-_TEST_SAMPLES:]


def _bilinear(old, new):
    """Return the (new, old) matrix of linear interpolation between centres of pixels."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.maximum(1 - np.abs(centres[:, None] - np.arange(old)), 0)
