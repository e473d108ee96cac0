"""Second order of piecewise-linear networks, all layers: identities against mcx.hessian."""

import re
import sys
from itertools import combinations, pairwise

import numpy as np
import pytest

from mcx_nn import Supervised, mlp, softmax_cross_entropy
from mcx_optim import Objective, spectrum
from mcx_optim.joint_hessian import JointHessian
from mcx_optim.sample_layers import backpropagate, matrices_of, vector_of
from mcx_optim.spectral_adjustment import SpectralAdjustment
from tests.optim.piecewise import CASES, Problem, case_of, close, make, names, of_matrix, padded

# ----- one sample, all layers (1.2) -----


@pytest.mark.parametrize("case", CASES, ids=names)
def test_what_is_left_of_gauss_newton_couples_layers_by_their_tangents(case):
    rng = np.random.default_rng(1)
    for sample in case_of(*case)[1]:
        T, scale = sample.T(), np.linalg.norm(sample.H)
        for place in sample.places:
            close(T[place, place], np.zeros_like(T[place, place]), scale)
        count = len(sample.places)
        V = [rng.standard_normal(W.shape) for W in sample.W]
        image = [np.zeros_like(v) for v in V]
        for k, m in combinations(range(count), 2):
            P = sample.P(m, k)
            block = V[m].ravel() @ T[sample.places[m], sample.places[k]] @ V[k].ravel()
            close(block, sample.delta[m] @ V[m].T @ P @ V[k].T @ sample.a[k], scale)
            image[m] += np.outer(P @ V[k].T @ sample.a[k], sample.delta[m])  # α_m δ_mᵀ
            image[k] += np.outer(sample.a[k], P.T @ V[m] @ sample.delta[m])  # a_k β_kᵀ
        flat = [np.concatenate([v.ravel() for v in part]) for part in (V, image)]
        close(T @ flat[0], flat[1], scale * np.linalg.norm(flat[0]))


@pytest.mark.parametrize("case", CASES, ids=names)
def test_image_of_the_hessian_is_the_subspace(case):
    problem, samples = case_of(*case)
    sizes, joint = case[0], JointHessian(problem.hessians.layers, problem.hessians.curvature)
    bound = sum(n + m for m, n in pairwise(sizes))  # inputs with their 1, less 1
    assert joint.size == bound - sizes[0]
    for sample in samples:
        Q = sample.image()
        assert Q.shape[1] <= bound
        outside = np.eye(len(sample.w)) - Q @ Q.T
        close(outside @ sample.H, np.zeros_like(sample.H), np.linalg.norm(sample.H), 1e-12)
        close(outside @ sample.g, np.zeros_like(sample.g), np.linalg.norm(sample.g), 1e-12)
        assert np.linalg.matrix_rank(sample.H, 1e-10 * np.linalg.norm(sample.H)) <= joint.size


@pytest.mark.parametrize("case", CASES, ids=names)
def test_spectrum_is_that_of_the_dense_hessian(case):
    problem, samples = case_of(*case)
    values, traces = problem.hessians.eigenvalues(), problem.hessians.trace()
    for b, sample in enumerate(samples):
        close(padded(values[b], len(sample.w)), np.linalg.eigvalsh(sample.H))
        close(traces[b], np.trace(sample.H))
        indefinite = values[b].min() < -1e-6 * values[b].max()
        assert indefinite == (np.abs(sample.T()).max() > 1e-6 * np.abs(sample.H).max())


@pytest.mark.parametrize("case", CASES, ids=names)
def test_coordinates_are_orthonormal_and_hold_hessian_and_gradient(case):
    rng = np.random.default_rng(2)
    problem, samples = case_of(*case)
    network = problem.network
    layers, _, curvature = backpropagate(network)
    joint = JointHessian(layers, curvature)
    x, y = rng.standard_normal((2, 3, joint.size))
    Hx = joint.product(np.stack([x, y]))[0]
    matrices, gradients = joint.matrices(), joint.gradient()
    for b, sample in enumerate(samples):
        own = joint.at(slice(b, b + 1))

        def vector(coordinates, own=own):
            pairs = own.split(coordinates[None])
            return vector_of(
                network,
                [each.combine(*pair) for each, pair in zip(own.layers, pairs, strict=True)],
            )

        if all(delta.any() for delta in sample.delta):  # otherwise some α stand for nothing
            close(vector(x[b]) @ vector(y[b]), x[b] @ y[b], scale=np.linalg.norm(x[b]) ** 2)
        close(vector(Hx[b]), sample.H @ vector(x[b]), tolerance=1e-12)
        close(matrices[b], matrices[b].T)
        close(matrices[b] @ x[b], Hx[b])
        close(vector(gradients[b]), sample.g, scale=max(1, np.abs(sample.J).max()))
        # The coordinates of any matrices are those of their projection.
        pairs = [
            each.coordinates(*pair)
            for each, pair in zip(own.layers, matrices_of(network, sample.w), strict=True)
        ]
        basis = np.array([vector(e) for e in np.eye(joint.size)])
        close(own.join(pairs)[0], basis @ sample.w)


# ----- samples that vanish -----


@pytest.mark.parametrize("mode", ["layer", "joint"])
@pytest.mark.parametrize("dead", [2, 5])
@pytest.mark.parametrize("loss", ["softmax", "squares"])
def test_dead_units(loss, dead, mode):
    problem = make((4, 5, 4, 3), "relu", loss, dead=dead)
    values = problem.hessians.eigenvalues()
    step = problem.hessians.direction(SpectralAdjustment(0.1), mode)
    expected = []
    for b, sample in enumerate(problem.samples()):
        assert np.count_nonzero(sample.delta[0]) <= 5 - dead
        close(padded(values[b], len(sample.w)), np.linalg.eigvalsh(sample.H))
        blocks = sample.places if mode == "layer" else [slice(None)]
        parts = [of_matrix(sample.H[p, p], sample.g[p], SpectralAdjustment(0.1)) for p in blocks]
        expected.append(np.concatenate(parts))
    close(step, np.mean(expected, axis=0), tolerance=1e-12)


@pytest.mark.parametrize("mode", ["layer", "joint"])
def test_sample_that_is_fitted_exactly(mode):
    problem = make((3, 4, 4, 2), "leaky_relu", "squares")
    X, y = problem.batch
    alone = Problem(problem.problem, problem.w, (X[1:2], y[1:2]))
    y[1:2] = alone.network.output
    assert not alone.hessians.layers[0].delta.any()
    (sample,) = alone.samples()
    (values,) = alone.hessians.eigenvalues()
    close(padded(values, len(sample.w)), np.linalg.eigvalsh(sample.H))  # JᵀCJ alone
    assert not alone.hessians.direction(SpectralAdjustment(), mode).any()
    step = alone.hessians.direction(SpectralAdjustment(), mode, problem.w, 0.3)
    blocks = sample.places if mode == "layer" else [slice(None)]
    for place in blocks:
        H, g = sample.H[place, place], 0.3 * problem.w[place]
        dense = of_matrix(H, g, lambda h: SpectralAdjustment()(h) + 0.3)
        close(step[place], dense, tolerance=1e-12)


@pytest.mark.parametrize("mode", ["layer", "joint"])
def test_where_all_is_zero_so_is_the_direction(mode):
    problem = make((3, 4, 2), "relu", "hinge")
    problem.w[:] = 0
    problem.problem.unravel(problem.w)["2.bias"][:] = 5.0, -5.0  # beyond both margins
    problem.batch[1][:] = 0
    assert not problem.hessians.eigenvalues().any()
    step = problem.hessians.direction(SpectralAdjustment(0.0), mode)
    assert not step.any()
    pull = problem.hessians.direction(lambda h: h, mode, problem.w, 0.25)
    assert np.array_equal(pull, -problem.w)


def test_sample_that_is_nearly_fitted_keeps_its_digits():
    """In float32 the squares of its slopes underflow."""
    problem = make((3, 4, 3), "leaky_relu", "softmax", samples=1)
    problem.problem.unravel(problem.w)["2.bias"][:] = 60.0, 0.0, 1.0
    problem.batch[1][:] = 0
    (sample,) = problem.samples()
    assert 0 < np.abs(sample.g).max() < 1e-22
    rounded = Problem(
        problem.problem, problem.w.astype(np.float32), (problem.batch[0].astype(np.float32), [0])
    )
    rounded.batch = rounded.batch[0], problem.batch[1]
    values = rounded.hessians.eigenvalues()[0]
    assert values.dtype == np.float32
    close(padded(values, len(sample.w)), np.linalg.eigvalsh(sample.H), tolerance=1e-4)


# ----- sizes, Lanczos -----


def test_largest_eigenvalues():
    problem = make((6, 8, 7, 3), "leaky_relu", "softmax")
    values = problem.hessians.eigenvalues()
    for count in (1, 4, len(values[0]), 1000):
        found = problem.hessians.eigenvalues(largest=count)
        order = np.argsort(np.abs(values), axis=1)[:, -count:]
        expected = np.sort(np.take_along_axis(values, order, axis=1), axis=1)
        close(found, expected, tolerance=1e-12)
    one = problem.hessians.eigenvalues(layer=1, largest=1)
    assert np.array_equal(one, problem.hessians.eigenvalues(layer=1)[:, -1:])
    assert problem.hessians.eigenvalues(1, 9).shape == (3, 3)


def test_largest_eigenvalues_of_a_sample_without_curvature():
    """Sample 1 has a saturated softmax; the other samples keep their eigenvalues."""
    problem = Supervised(mlp((4, 6, 3), "relu"), softmax_cross_entropy)
    rng = np.random.default_rng(0)
    objective, w = Objective.of(problem), problem.init(rng)
    X = rng.standard_normal((3, 4))
    X[1] *= 1e5
    y = np.argmax(problem.predict(w, X), axis=1)
    assert not spectrum(objective, w, (X, y))[1].any()
    found = spectrum(objective, w, (X, y), largest=2)
    assert np.array_equal(found[1], [0.0, 0.0])
    others = spectrum(objective, w, (X[[0, 2]], y[[0, 2]]), largest=2)
    assert np.array_equal(found[[0, 2]], others)
    assert others.any(axis=1).all()


def test_a_missing_scipy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
    with pytest.raises(ImportError, match=r"largest: expected SciPy, .* pip install scipy"):
        make((4, 5, 3), "relu", "softmax").hessians.eigenvalues(largest=2)


def test_large_networks_are_left_to_lanczos():
    problem = make((3, 1500, 1500, 2), "relu", "squares", samples=2)
    hessians = problem.hessians
    message = re.escape("expected at most 2048 coordinates, got 6002")
    for call in (hessians.eigenvalues, lambda: hessians.direction(abs, "joint")):
        with pytest.raises(ValueError, match=message):
            call()
    (value,) = hessians.eigenvalues(largest=1).T
    blocks = [hessians.eigenvalues(k)[:, -1] for k in range(3)]
    assert (value > np.max(blocks, axis=0)).all()  # Cauchy's interlacing


def test_matrices_are_formed_for_a_few_samples_at_a_time():
    problem = make((3, 5, 2), "leaky_relu", "squares", samples=7)
    joint = JointHessian(problem.hessians.layers, problem.hessians.curvature)
    parts = list(joint.parts(entries=3 * joint.size**2))
    assert [len(part.curvature) for part in parts] == [3, 3, 1]
    assert [len(part.curvature) for part in joint.parts(entries=1)] == [1] * 7
    whole = np.concatenate([part.matrices() for part in parts])
    close(whole, joint.matrices())
