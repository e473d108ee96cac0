"""The loss that an optimizer sees: one batch of it, all of it, and its curvature."""

import functools
import operator
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, fields

import numpy as np

import mcx
from mcx_optim.counts import Counts
from mcx_optim.curvature import Product
from mcx_optim.hessian import Hessian
from mcx_optim.linear_operator import as_linear_operator
from mcx_optim.parts import on_each, weighted
from mcx_optim.probe import check_point, describe, expect_given, finite, first_failure
from mcx_optim.samples import Samples

OBSERVED = 256  # most samples of a part that has its own random draws
_GRADIENT = operator.itemgetter(1)  # of (loss, gradient)


class Objective(Samples):
    """Loss f(w; batch) with its gradient and curvature products, counting what it evaluates.

    The full loss is the mean over the samples of `data`,

        F(w) = Σ_c (n_c/N) f(w; chunk c),

    exact where f is a mean over its batch (a regularizer that does not depend on the batch is
    one), whatever the chunks.

    Parameters
    ----------
    value_and_grad : callable
        (w, batch) -> (loss, gradient (P,)), in NumPy syntax that works on Multicomplex w.
    value : callable, optional
        (w, batch) -> loss, for less than the gradient costs; default: from `value_and_grad`.
    first_nonfinite : callable, optional
        (w, batch) -> name of the first layer whose output is not finite, or None.
    forward : callable, optional
        (w, batch) -> (output z, backward) with ``backward(dz) -> Jᵀ dz`` (P,), J = ∂z/∂w.
    output_loss : callable, optional
        (z, batch) -> (loss, ∂loss/∂z), so that f(w; batch) is the loss of the output. Both are for
        `gauss_newton`, in NumPy syntax as well.
    observe : callable, optional
        (rng, w, batch) -> (vector, rows), as `mcx_nn.Supervised.observe` returns.
    piecewise_linear : callable, optional
        (w, batch) -> the network as a chain of affine layers, see `mcx_nn.PiecewiseLinear`.
    slots : dict, optional
        Name of a parameter -> (slice of w, shape), for preconditioners.
    ridge : float or array (P,)
        What a regularizer adds to the diagonal of the Hessian, for preconditioners.
    data : tuple of arrays, optional
        Arrays of equal length N, such as (X, y). A batch is the tuple of their rows. Without data
        the function has no samples: N = 1 and the batch is None.
    chunk : int
        Rows per evaluation of F, which bounds the memory.
    separable : bool
        Promise that f is a mean over the samples of a batch: not so with batch normalization. Every
        batch is then evaluated in parts of at most `chunk` rows, which bounds the memory of
        batches too, and at the same time on the threads of mcx (`mcx.set_num_threads`; BLAS is
        best left one thread).

    Attributes
    ----------
    counts : Counts
        Evaluations so far.
    samples : int
        N.

    Examples
    --------
    Least squares, f(w) = mean (x·w - y)²/2:

    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> def value_and_grad(w, batch):
    ...     X, y = batch
    ...     residual = X @ w - y
    ...     return np.mean(residual**2) / 2, residual @ X / len(X)
    >>> data = (np.array([[1.0], [2.0], [3.0]]), np.array([2.0, 4.0, 6.0]))
    >>> objective = Objective(value_and_grad, data=data, chunk=2)
    >>> loss, gradient = objective.full(np.array([1.0]))
    >>> round(loss, 4), gradient.round(4)
    (2.3333, array([-4.6667]))
    >>> objective.gradient_equivalents()
    1.0
    """

    def __init__(
        self,
        value_and_grad: Callable,
        value: Callable | None = None,
        first_nonfinite: Callable | None = None,
        forward: Callable | None = None,
        output_loss: Callable | None = None,
        observe: Callable | None = None,
        piecewise_linear: Callable | None = None,
        slots: dict | None = None,
        ridge=0.0,
        data: tuple | None = None,
        chunk: int = 1024,
        separable: bool = False,
    ):
        super().__init__(data, chunk, separable)
        self.counts = Counts()
        self._value_and_grad = value_and_grad
        self.value = value
        self._first_nonfinite = first_nonfinite
        self._forward, self._output_loss = forward, output_loss
        self._observe, self._piecewise_linear = observe, piecewise_linear
        self.slots, self.ridge = slots, ridge
        self._point = None  # (w, F(w), ∇F(w)) of the last full gradient

    @classmethod
    def of(cls, problem, data: tuple | None = None, **keywords) -> "Objective":
        """Return the objective of a learning problem, with all that the problem can evaluate.

        Parameters
        ----------
        problem : object
            With attributes of the names of the parameters above, or some of them, as
            `mcx_nn.Supervised` and `mcx_nn.L2Regularized` have them.
        data, **keywords
            data, chunk and separable, see above.
        """
        functions = "value first_nonfinite forward output_loss observe piecewise_linear slots"
        given = {name: getattr(problem, name, None) for name in functions.split()}
        ridge = getattr(problem, "ridge", 0.0)
        return cls(problem.value_and_grad, **given, ridge=ridge, data=data, **keywords)

    def loss(self, w, batch) -> float:
        """Return f(w; batch), which may be NaN or infinite."""
        self._count("gradient" if self.value is None else "loss", batch)
        return weighted(*self.on_parts(batch, lambda part: float(self.whole_loss(w, part))))

    def value_and_grad(self, w, batch):
        """Return f(w; batch) and its gradient, both finite; raise NonFiniteError otherwise."""
        check_point(w)
        self._count("gradient", batch)
        shares, results = self.on_parts(batch, lambda part: self._value_and_grad(w, part))
        return finite(shares, results, w, self._where(w, batch))

    def grad(self, w, batch):
        """Return the gradient of f(w; batch)."""
        return self.value_and_grad(w, batch)[1]

    def linearize(self, w, batch):
        """Return f(w; batch), its gradient g and p -> Hp, a `Product` that reruns neither.

        Examples
        --------
        >>> import numpy as np
        >>> from mcx_optim import Objective
        >>> objective = Objective(lambda w, batch: (np.sum(w**3) / 6, w**2 / 2))
        >>> loss, gradient, hvp = objective.linearize(np.array([1.0, 2.0]), None)
        >>> hvp(np.ones(2))
        array([1., 2.])
        """
        check_point(w)
        self._count("linearize", batch)

        def record(part):
            return mcx.linearize(lambda v: self._value_and_grad(v, part), w)

        shares, recorded = self.on_parts(batch, record)
        values = [values for values, _ in recorded]
        loss, gradient = finite(shares, values, w, self._where(w, batch))
        steps = [(lin, _GRADIENT) for _, lin in recorded]
        terms = list(zip(shares, steps, strict=True))
        return loss, gradient, Product(terms, functools.partial(self._count, "hvp", batch))

    def gauss_newton(self, w, batch):
        """Return f(w; batch), its gradient and p -> Gp, a `Product`.

        G = Jᵀ H_L J, with J = ∂z/∂w for the output z and H_L = ∂²loss/∂z² there: see `GaussNewton`.

        Raises
        ------
        ValueError
            If the objective has no `forward` or no `output_loss`.
        NonFiniteError
            If the loss or the gradient is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from mcx_optim import Objective
        >>> forward = lambda w, batch: (w * w, lambda dz: 2 * w * dz)
        >>> output_loss = lambda z, batch: (z @ z / 2, z)
        >>> value_and_grad = lambda w, batch: (np.sum(w**4) / 2, 2 * w**3)
        >>> objective = Objective(value_and_grad, forward=forward, output_loss=output_loss)
        >>> loss, gradient, product = objective.gauss_newton(np.array([1.0, 2.0]), None)
        >>> loss, gradient, product(np.ones(2))
        (8.5, array([ 2., 16.]), array([ 4., 16.]))
        """
        expect_given("gauss_newton", forward=self._forward, output_loss=self._output_loss)
        check_point(w)
        self._count("linearize_gauss_newton", batch)

        def record(part):
            z, jacobian = mcx.linearize(lambda v: self._forward(v, part)[0], w)
            (loss, slope), loss_hessian = mcx.linearize(lambda z: self._output_loss(z, part), z)
            gradient, transposed = mcx.linearize(self._forward(w, part)[1], slope)
            return (loss, gradient), (jacobian, loss_hessian, _GRADIENT, transposed)

        shares, recorded = self.on_parts(batch, record)
        values = [values for values, _ in recorded]
        loss, gradient = finite(shares, values, w, self._where(w, batch))
        terms = [(share, steps) for share, (_, steps) in zip(shares, recorded, strict=True)]
        return loss, gradient, Product(terms, functools.partial(self._count, "gauss_newton", batch))

    def observe(self, w, batch, rng):
        """Draw a random vector whose covariance is the Gauss-Newton matrix, and show its making.

        Returns
        -------
        vector : (P,) array
            Its mean is 0.
        parts : list of (float, dict)
            Share of every part of the batch, and name -> rows whose product is the part's share of
            the vector for that weight; see `mcx_nn.Supervised.observe`.

        Raises
        ------
        ValueError
            If the objective has no `observe`.
        """
        expect_given("observe", observe=self._observe)
        self._count("gradient", batch)
        parts = self.parts(batch, min(self.chunk, OBSERVED), threads=1)
        rngs = rng.spawn(len(parts)) if len(parts) > 1 else [rng]
        jobs = [(part, rng) for (_, part), rng in zip(parts, rngs, strict=True)]
        shares = [share for share, _ in parts]
        drawn = on_each(lambda job: self._observe(job[1], w, job[0]), jobs)
        # The noise of a part is that of a mean over fewer samples.
        vector = weighted([share**0.5 for share in shares], [vector for vector, _ in drawn])
        return vector, [(share, rows) for share, (_, rows) in zip(shares, drawn, strict=True)]

    def hvp(self, w, batch, p):
        """Return Hp, once; `linearize` is for several products at the same w."""
        return self.linearize(w, batch)[2](p)

    def as_linear_operator(self, w, batch):
        """Return the Hessian as a `LinearOperator` of SciPy or CuPy; see `as_linear_operator`."""
        return as_linear_operator(Hessian(self, w, batch))

    def curvature(self, w, batch, p) -> float:
        """Return pᵀHp by one evaluation of the loss (equation 11 of Shen et al.)."""
        self._count("curvature", batch)

        def of_part(part):
            return float(mcx.csdd2(lambda v: self.whole_loss(v, part), w, p))

        return weighted(*self.on_parts(batch, of_part))

    def taylor(self, w, batch, delta, order: int):
        """Return the coefficients c_0, …, c_k of f(w + γΔ; batch) in γ, from one evaluation.

        Counted as 2k+1 losses: w has two coefficients and the outputs of a layer have k+1, so that
        a matrix product becomes (k+1) + k of them.

        Parameters
        ----------
        w, delta : arrays (P,)
            Point and direction Δ.
        order : int
            Order k, 1 and up.

        Returns
        -------
        array (k+1,) of float64
            c_j = φ⁽ʲ⁾(0)/j! of φ(γ) = f(w + γΔ), which may be NaN or infinite.

        Examples
        --------
        >>> import numpy as np
        >>> from mcx_optim import Objective
        >>> objective = Objective(lambda w, batch: (np.sum(np.exp(w)), np.exp(w)))
        >>> objective.taylor(np.zeros(2), None, np.array([1.0, -2.0]), order=3).round(4)
        array([ 2.    , -1.    ,  2.5   , -1.1667])
        """
        check_point(w)
        self._count("taylor", batch, 2 * order + 1)

        def coefficients(part):
            found = mcx.taylor(lambda v: self.whole_loss(v, part), w, delta, order)
            return np.array([float(c) for c in found])

        return weighted(*self.on_parts(batch, coefficients))

    def taylor_gradient(self, w, batch, delta, order: int):
        """Return the Taylor coefficients of ∇f(w + γΔ; batch) in γ, from one evaluation.

        Counted in losses: 2k+1 forward, as many to send slopes back, (k+1)(k+2)/2 for the weights.

        Returns
        -------
        array (k+1, P)
            Rows ∇f, HΔ, ½ ∇³f[Δ, Δ], …, which may be NaN or infinite.

        Examples
        --------
        >>> import numpy as np
        >>> from mcx_optim import Objective
        >>> objective = Objective(lambda w, batch: (np.sum(w**3), 3 * w**2))
        >>> objective.taylor_gradient(np.ones(2), None, np.array([1.0, 2.0]), order=2)
        array([[ 3.,  3.],
               [ 6., 12.],
               [ 3., 12.]])
        """
        check_point(w)
        self._count("taylor", batch, 2 * (2 * order + 1) + (order + 1) * (order + 2) // 2)

        def coefficients(part):
            return mcx.taylor(lambda v: self._value_and_grad(v, part)[1], w, delta, order)

        return weighted(*self.on_parts(batch, coefficients))

    def piecewise_linear(self, w, batch):
        """Return the network on a batch as the chain of affine layers that it is there.

        Counted as a gradient, and for each of the K outputs a third of one: the way back to all
        layers.

        Raises
        ------
        ValueError
            If the objective has no `piecewise_linear`, or the network is none.
        """
        expect_given("piecewise_linear", piecewise_linear=self._piecewise_linear)
        check_point(w)
        network = self._piecewise_linear(w, batch)
        self._count("gradient", batch)
        self._count("loss", batch, network.output.shape[-1])
        return network

    def full(self, w):
        """Return F(w) and ∇F(w), evaluated in chunks; free at the w of the last call."""
        if self._point is None or not np.array_equal(self._point[0], w):
            loss, gradient = 0.0, np.zeros_like(w)
            for batch, weight in self.chunks():
                part, part_gradient = self.value_and_grad(w, batch)
                loss, gradient = loss + weight * part, gradient + weight * part_gradient
            self._point = (w.copy(), loss, gradient)
        return self._point[1], self._point[2].copy()

    def full_loss(self, w) -> float:
        """Return F(w), evaluated in chunks; free at the w of the last call of `full`."""
        if self._point is not None and np.array_equal(self._point[0], w):
            return self._point[1]
        return sum(weight * self.loss(w, batch) for batch, weight in self.chunks())

    def diagnose(self, w, batch) -> str:
        """Return a sentence that says where the evaluation of f(w; batch) leaves the reals."""
        return first_failure(self._first_nonfinite, w, batch)

    @contextmanager
    def uncounted(self):
        """Leave `counts` as they are: for evaluations that only report."""
        counts = self.counts
        try:
            yield self
        finally:
            self.counts = counts

    def gradient_equivalents(self) -> float:
        """Return the cost so far, where 1 is one gradient over all N samples."""
        return self.counts.cost() / self.samples

    def state_dict(self):
        """Return the counts and the last full evaluation as a flat dict."""
        state = asdict(self.counts)
        if self._point is not None:
            state |= dict(zip(("w", "full_loss", "full_gradient"), self._point, strict=True))
        return state

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        names = [field.name for field in fields(Counts) if field.name in state]
        self.counts = Counts(**{name: int(state[name]) for name in names})
        self._point = None
        if "w" in state:
            self._point = (state["w"], float(state["full_loss"]), state["full_gradient"])

    def whole_loss(self, w, batch):
        """Return f(w; batch) in one piece, for a Multicomplex w as well; not counted."""
        if self.value is None:
            return self._value_and_grad(w, batch)[0]
        return self.value(w, batch)

    def _where(self, w, batch):
        """Return what tells on which batch, and where in the model, numbers fail."""
        return lambda: (describe(batch), self.diagnose(w, batch))

    def _count(self, kind, batch, times=1):
        self.counts += Counts(**{kind: times * (1 if batch is None else len(batch[0]))})
