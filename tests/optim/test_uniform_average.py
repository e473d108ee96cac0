"""The mean over two periods, by hand and by its two buffers."""

import numpy as np
import pytest

from mcx_optim.uniform_average import UniformAverage

SAMPLES = (6.0, 12.0, 0.0, 18.0, -6.0, 24.0, 30.0, 60.0)
BY_HAND = {
    0: SAMPLES,
    1: (6, 9, 6, 9, 6, 9, 27, 45),
    2: (6, 9, 18 / 3, 36 / 4, 12 / 3, 36 / 4, 48 / 3, 108 / 4),
    3: (6, 9, 6, 36 / 4, 30 / 5, 54 / 6, 66 / 4, 126 / 5),
}


def check(make):
    """Raise AssertionError unless the averages that `make` returns are those by hand."""
    for period, expected in BY_HAND.items():
        average = make(period)
        found = [average.update(x) for x in SAMPLES]
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        assert average.value == found[-1]


def test_means_by_hand():
    check(UniformAverage)


class NeverForgets(UniformAverage):
    def update(self, x):
        self._size += 1
        self._mean = x if self._size == 1 else self._mean + (x - self._mean) / self._size
        return self.value


class ForgetsAll(UniformAverage):
    def update(self, x):
        super().update(x)
        self._last = None
        return self.value


class HalfAndHalf(UniformAverage):
    @property
    def value(self):
        return self._mean if self._last is None else (self._mean + self._last) / 2


@pytest.mark.parametrize(
    "make", [NeverForgets, ForgetsAll, HalfAndHalf, lambda period: UniformAverage(period + 1)]
)
def test_planted_errors_are_caught(make):
    with pytest.raises(AssertionError):
        check(make)


@pytest.mark.parametrize("period", [1, 2, 3, 5])
def test_two_buffers_with_weights_one_over_n(period, rng):
    """The recurrence of the author: X_use <- X_up when a period begins, weights 1/n in both."""
    average = UniformAverage(period)
    use = up = None
    for k, x in enumerate(rng.standard_normal((17, 3))):
        t, offset = k % period, period if k >= period else 0
        if t == 0:
            use, up = (x if k == 0 else up), x
        use = use * (offset + t) / (offset + t + 1) + x / (offset + t + 1)
        up = up * t / (t + 1) + x / (t + 1)
        np.testing.assert_allclose(average.update(x), use, rtol=1e-13, atol=1e-15)


def test_there_is_no_mean_of_nothing():
    assert UniformAverage(3).value is None


def test_samples_are_not_changed():
    average, samples = UniformAverage(2), [np.full(2, x) for x in SAMPLES]
    means = [average.update(x) for x in samples]
    for x, array in zip(SAMPLES, samples, strict=True):
        assert array.tolist() == [x, x]
    np.testing.assert_allclose([mean[0] for mean in means], BY_HAND[2], rtol=1e-14)


@pytest.mark.parametrize("taken", range(6))
def test_state_continues_bit_for_bit(taken, rng):
    samples = rng.standard_normal((10, 4))
    first, second = UniformAverage(2), UniformAverage(2)
    for x in samples[:taken]:
        first.update(x)
    second.load_state_dict(first.state_dict())
    for x in samples[taken:]:
        assert np.array_equal(second.update(x), first.update(x))


def test_bad_period_is_refused():
    with pytest.raises(ValueError, match="period: expected an integer of at least 0, got -1"):
        UniformAverage(-1)
