"""Partitions: the groups of every kind, sums and their transpose, on host and device."""

import numpy as np
import pytest
from core.checkers import host

from mcx_nn import Activation, Conv2d, Dense, Flatten, Sequential, Supervised, mean_squared_error
from mcx_optim.partition import Partition

MODEL = [Conv2d(1, 2, 3), Activation("tanh"), Flatten(), Dense(8, 3)]
SLOTS = Supervised(Sequential(MODEL), mean_squared_error).slots
SIZE = 9 * 2 + 2 + 8 * 3 + 3


def matrix(partition):
    """Return I_{S:P}."""
    return (np.arange(partition.groups)[:, None] == partition.labels).astype(float)


@pytest.fixture(params=["single", "tensor", "layer", "output", "parameter", "scattered"])
def partition(request):
    """Every kind."""
    made = {
        "single": lambda: Partition.single(SIZE),
        "tensor": lambda: Partition.by_tensor(SLOTS),
        "layer": lambda: Partition.by_layer(SLOTS),
        "output": lambda: Partition.by_output(SLOTS),
        "parameter": lambda: Partition.by_parameter(SIZE),
        "scattered": lambda: Partition(np.arange(SIZE) * 7 % 5, "abcde"),
    }
    return made[request.param]()


def test_groups_of_a_network():
    assert Partition.single(SIZE).names == ("all",)
    np.testing.assert_array_equal(Partition.single(SIZE).labels, np.zeros(SIZE))
    np.testing.assert_array_equal(Partition.by_parameter(SIZE).labels, np.arange(SIZE))
    tensors = Partition.by_tensor(SLOTS)
    assert tensors.names == ("0.weight", "0.bias", "3.weight", "3.bias")
    np.testing.assert_array_equal(tensors.labels, np.repeat(range(4), [18, 2, 24, 3]))
    layers = Partition.by_layer(SLOTS)
    assert layers.names == ("0", "3")
    np.testing.assert_array_equal(layers.labels, np.repeat(range(2), [20, 27]))
    outputs = Partition.by_output(SLOTS)
    assert outputs.names == ("0[0]", "0[1]", "3[0]", "3[1]", "3[2]")
    weights = Supervised(Sequential(MODEL), mean_squared_error).unravel(outputs.labels)
    np.testing.assert_array_equal(weights["0.weight"], np.broadcast_to([0, 1], (3, 3, 1, 2)))
    np.testing.assert_array_equal(weights["0.bias"], [0, 1])
    np.testing.assert_array_equal(weights["3.weight"], np.broadcast_to([2, 3, 4], (8, 3)))
    np.testing.assert_array_equal(weights["3.bias"], [2, 3, 4])


def test_nested_layers_and_names_without_a_dot():
    slots = {
        "2.body.0.weight": (slice(0, 4), (2, 2)),
        "2.body.1.weight": (slice(4, 6), (1, 2)),
        "gain": (slice(6, 7), ()),
        "shift": (slice(7, 8), ()),
    }
    assert Partition.by_layer(slots).names == ("2.body.0", "2.body.1", "")
    np.testing.assert_array_equal(Partition.by_layer(slots).labels, [0, 0, 0, 0, 1, 1, 2, 2])
    outputs = Partition.by_output(slots)
    np.testing.assert_array_equal(outputs.labels, [0, 1, 0, 1, 2, 3, 4, 4])
    assert outputs.names[2:] == ("2.body.1[0]", "2.body.1[1]", "[0]")


def test_slots_in_any_order():
    slots = {"b": (slice(4, 6), (2,)), "a": (slice(0, 4), (4,))}
    np.testing.assert_array_equal(Partition.by_tensor(slots).labels, [1, 1, 1, 1, 0, 0])


def test_sums_and_spread_are_the_matrix_and_its_transpose(partition, wrap, dtype, rng):
    v = rng.standard_normal(SIZE).astype(dtype)
    sums = partition.sums(wrap(v))
    assert type(sums) is np.ndarray
    assert sums.dtype == np.float64
    np.testing.assert_allclose(sums, matrix(partition) @ v.astype(float), rtol=1e-13)
    values = rng.standard_normal(partition.groups)
    spread = partition.spread(values, wrap(v))
    assert type(spread) is type(wrap(v))
    assert spread.dtype == dtype
    np.testing.assert_array_equal(host(spread), (matrix(partition).T @ values).astype(dtype))


def test_restrictions_add_up(partition, wrap, dtype, rng):
    u = rng.standard_normal(SIZE).astype(dtype)
    parts = [partition.restrict(wrap(u), group) for group in range(partition.groups)]
    assert {part.dtype for part in parts} == {dtype}
    assert type(parts[0]) is type(wrap(u))
    parts = np.stack([host(part) for part in parts])
    np.testing.assert_array_equal(parts, matrix(partition) * u)
    np.testing.assert_array_equal(host(wrap(u)), u)


def test_restrict_keeps_out_what_is_not_finite():
    u = np.array([1.0, np.nan, np.inf])
    np.testing.assert_array_equal(Partition([0, 1, 1]).restrict(u, 0), [1.0, 0.0, 0.0])


def test_attributes(partition):
    assert partition.size == SIZE
    assert partition.groups == len(partition.names) == len(set(partition.labels.tolist()))
    assert not partition.labels.flags.writeable
    labels = np.zeros(3, np.int8)
    assert Partition(labels).labels.dtype == np.intp
    labels[0] = 1
    assert not Partition(np.zeros(3, np.intp)).labels.any()


def test_labels_are_copied():
    labels = np.arange(3)
    partition = Partition(labels)
    labels[0] = 2
    np.testing.assert_array_equal(partition.labels, [0, 1, 2])


def test_repr():
    assert repr(Partition.single(5)) == "Partition(5 parameters in 1 group: all 5)"
    expected = "Partition(47 parameters in 4 groups: 0.weight 18, 0.bias 2, 3.weight 24, 3.bias 3)"
    assert repr(Partition.by_tensor(SLOTS)) == expected
    many = repr(Partition.by_parameter(100))
    assert (
        many == "Partition(100 parameters in 100 groups: 0 1, 1 1, 2 1, 3 1, …, 97 1, 98 1, 99 1)"
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0, 1]], r"shape \(P,\), got shape \(1, 2\)"),
        ([0.0, 1.0], "labels: expected integers, .* of float64"),
        ([True, False], "labels: expected integers"),
        (np.zeros(0, int), r"labels: .* got shape \(0,\)"),
        ([0, 2], "every number from 0 to 2 to occur, got 2 different ones from 0 to 2; np.unique"),
        ([1, 2], "got 2 different ones from 1 to 2"),
        ([-1, 1], "got 2 different ones from -1 to 1"),
        ([-1, 0, 1], "got 3 different ones from -1 to 1"),
    ],
)
def test_labels_are_checked(labels, message):
    with pytest.raises(ValueError, match=message):
        Partition(labels)


def test_names_are_checked():
    with pytest.raises(ValueError, match="names: expected 2, one for every group, got 3"):
        Partition([0, 1], "abc")


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (
            [(0, 3), (3, 6)],
            r"slots: 'a': expected a slice of 2 numbers of w, as its shape \(2,\) has",
        ),
        ([(1, 3), (3, 6)], "slots: 'b': expected a slice of 3 .* got 2 within the 5 of all shapes"),
        ([(0, 2), (1, 4)], "slots: expected slices that cover w once, got 4 of 5 numbers covered"),
        ([], "slots: expected slices that cover w once, got 0 of 0"),
    ],
)
def test_slots_are_checked(places, message):
    shapes = {"a": (2,), "b": (3, 1)}
    slots = {name: (slice(*place), shapes[name]) for name, place in zip("ab", places, strict=False)}
    for make in (Partition.by_tensor, Partition.by_layer, Partition.by_output):
        with pytest.raises(ValueError, match=message):
            make(slots)


def test_arguments_are_checked():
    partition = Partition([0, 1, 1])
    with pytest.raises(ValueError, match=r"v: expected shape \(3,\), got \(2,\)"):
        partition.sums(np.ones(2))
    with pytest.raises(ValueError, match=r"u: expected shape \(3,\), got \(3, 1\)"):
        partition.restrict(np.ones((3, 1)), 0)
    for group in (-1, 2):
        with pytest.raises(ValueError, match="group: expected 0 to 1, got"):
            partition.restrict(np.ones(3), group)
    with pytest.raises(ValueError, match=r"values: expected shape \(2,\), got \(3,\)"):
        partition.spread(np.ones(3), np.ones(3))
