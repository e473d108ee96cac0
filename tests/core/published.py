"""What the tests of published code share: how references are made and compared."""

import numpy as np

X = np.array([0.7, 1.3, 2.1, 0.4])


def assert_close(actual, expected, rtol=1e-13):
    """Compare to rtol of the largest element."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def complex_step(f, x):
    """Return the Jacobian of analytic code, exact to rounding, by complex arithmetic alone."""
    columns = [np.imag(f(x + 1e-30j * unit)) / 1e-30 for unit in np.eye(x.size)]
    return np.stack(columns, -1)


def images_of_units(f, n):
    """Return the Jacobian of linear code: its values at the unit vectors."""
    return np.stack([f(unit) for unit in np.eye(n)], -1)
