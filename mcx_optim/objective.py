"""The loss that an optimizer sees: one batch of it, all of it, and its curvature."""

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, fields

import numpy as np

import mcx
from mcx_optim.counts import Counts
from mcx_optim.errors import NonDeterministicError, NonFiniteError


class Objective:
    """Loss f(w; batch) with its gradient and Hessian-vector products, counting what it evaluates.

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
    data : tuple of arrays, optional
        Arrays of equal length N, such as (X, y). A batch is the tuple of their rows. Without data
        the function has no samples: N = 1 and the batch is None.
    chunk : int
        Rows per evaluation of F, which bounds the memory.

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
        data: tuple | None = None,
        chunk: int = 1024,
    ):
        if data is not None and len({len(part) for part in data}) != 1:
            lengths = ", ".join(str(len(part)) for part in data)
            raise ValueError(f"data: expected arrays of one length, got lengths ({lengths})")
        if data is not None and len(data[0]) == 0:
            raise ValueError("data: expected at least one sample, got none")
        if chunk < 1:
            raise ValueError(f"chunk: expected a positive number of rows, got {chunk}")
        self.data = data
        self.samples = 1 if data is None else len(data[0])
        self.counts = Counts()
        self._value_and_grad = value_and_grad
        self._value = value
        self._first_nonfinite = first_nonfinite
        self._chunk = chunk
        self._point = None  # (w, F(w), ∇F(w)) of the last full gradient

    # ----- one batch -----

    def loss(self, w, batch) -> float:
        """Return f(w; batch), which may be NaN or infinite."""
        if self._value is None:
            self._count("gradient", batch)
            return float(self._value_and_grad(w, batch)[0])
        self._count("loss", batch)
        return float(self._value(w, batch))

    def value_and_grad(self, w, batch):
        """Return f(w; batch) and its gradient, both finite; raise NonFiniteError otherwise."""
        check_point(w)
        self._count("gradient", batch)
        loss, gradient = self._value_and_grad(w, batch)
        return self._checked(loss, gradient, w, batch)

    def grad(self, w, batch):
        """Return the gradient of f(w; batch)."""
        return self.value_and_grad(w, batch)[1]

    def linearize(self, w, batch):
        """Return f(w; batch), its gradient g and p -> Hp, a `HessianProduct` that reruns neither.

        Examples
        --------
        >>> import numpy as np
        >>> from mcx_optim import Objective
        >>> objective = Objective(lambda w, batch: (np.sum(w**3) / 6, w**2 / 2))
        >>> loss, gradient, hvp = objective.linearize(np.array([1.0, 2.0]), None)
        >>> hvp(np.ones(2))
        array([1., 2.])
        >>> hvp(np.eye(2))
        array([[1., 0.],
               [0., 2.]])
        """
        check_point(w)
        self._count("linearize", batch)
        (loss, gradient), lin = mcx.linearize(lambda v: self._value_and_grad(v, batch), w)
        loss, gradient = self._checked(loss, gradient, w, batch)
        return loss, gradient, HessianProduct(lin, lambda times: self._count("hvp", batch, times))

    def hvp(self, w, batch, p):
        """Return Hp, once; `linearize` is for several products at the same w."""
        return self.linearize(w, batch)[2](p)

    def curvature(self, w, batch, p) -> float:
        """Return pᵀHp by one evaluation of the loss (equation 11 of Shen et al.)."""
        self._count("curvature", batch)
        value = self._value or (lambda v, batch: self._value_and_grad(v, batch)[0])
        return float(mcx.csdd2(lambda v: value(v, batch), w, p))

    # ----- all data -----

    def full(self, w):
        """Return F(w) and ∇F(w), evaluated in chunks; free at the w of the last call."""
        if self._point is None or not np.array_equal(self._point[0], w):
            loss, gradient = 0.0, np.zeros_like(w)
            for batch, weight in self._chunks():
                part, part_gradient = self.value_and_grad(w, batch)
                loss, gradient = loss + weight * part, gradient + weight * part_gradient
            self._point = (w.copy(), loss, gradient)
        return self._point[1], self._point[2].copy()

    def full_loss(self, w) -> float:
        """Return F(w), evaluated in chunks; free at the w of the last call of `full`."""
        if self._point is not None and np.array_equal(self._point[0], w):
            return self._point[1]
        return sum(weight * self.loss(w, batch) for batch, weight in self._chunks())

    def rows(self, index):
        """Return the batch of the samples `index`; None where there are no data."""
        return None if self.data is None else tuple(part[index] for part in self.data)

    def sample(self, size, rng):
        """Return a batch of `size` different samples drawn by the generator `rng`."""
        if not 1 <= size <= self.samples:
            raise ValueError(f"size: expected 1 to {self.samples} samples, got {size}")
        return self.rows(rng.choice(self.samples, size, replace=False))

    # ----- checks and counts -----

    def diagnose(self, w, batch) -> str:
        """Return a sentence that says where the evaluation of f(w; batch) leaves the reals."""
        if not np.isfinite(w).all():
            return "w itself is not finite"
        if self._first_nonfinite is None:
            return "pass first_nonfinite to Objective to have the layer named"
        with np.errstate(all="ignore"):
            name = self._first_nonfinite(w, batch)
        if name is None:
            return "all layers are finite, so the loss function or the backward pass is the cause"
        return f"the first layer with a non-finite output is {name!r}"

    def probe(self, w, batch):
        """Check value_and_grad and value at w: repeatable, and of one mind on the loss.

        Raises
        ------
        NonDeterministicError
            If two evaluations differ by more than rounding.
        ValueError
            If `value` and `value_and_grad` give different losses, or the gradient is not like w.
        NonFiniteError
            If the loss or the gradient is not finite.
        """
        tolerance = math.sqrt(np.finfo(w.dtype).eps)
        loss, gradient = self.value_and_grad(w, batch)
        again, gradient_again = self.value_and_grad(w, batch)
        change = float(np.max(np.abs(gradient_again - gradient)))
        largest = float(np.max(np.abs(gradient)))
        for name, difference, size in (
            ("loss", abs(again - loss), abs(loss)),
            ("gradient", change, largest),
        ):
            if difference > tolerance * size:
                raise NonDeterministicError(
                    f"{name} differs by {difference:.3g} of {size:.3g} between two evaluations of "
                    f"the same batch {self._describe(batch)} at the same w (dropout, noise or "
                    "shuffling inside value_and_grad?); draw random numbers beforehand and pass "
                    "them in the batch"
                )
        value = loss if self._value is None else self.loss(w, batch)
        if not abs(value - loss) <= tolerance * max(abs(loss), largest):
            raise ValueError(
                "value and value_and_grad disagree on the loss of the same batch "
                f"{self._describe(batch)}: {value:.17g} and {loss:.17g}; compute both by one "
                "function"
            )

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
        self.counts = Counts(**{field.name: int(state[field.name]) for field in fields(Counts)})
        self._point = None
        if "w" in state:
            self._point = (state["w"], float(state["full_loss"]), state["full_gradient"])

    def _chunks(self):
        for start in range(0, self.samples, self._chunk):
            stop = min(start + self._chunk, self.samples)
            yield self.rows(slice(start, stop)), (stop - start) / self.samples

    def _count(self, kind, batch, times=1):
        self.counts += Counts(**{kind: times * (1 if batch is None else len(batch[0]))})

    def _describe(self, batch):
        return "(no data)" if batch is None else f"({len(batch[0])} samples)"

    def _checked(self, loss, gradient, w, batch):
        if gradient.shape != w.shape or gradient.dtype != w.dtype:
            raise ValueError(
                f"gradient: expected shape {w.shape} and dtype {w.dtype} as w has, got "
                f"{gradient.shape} and {gradient.dtype}; value_and_grad must return them alike"
            )
        if np.size(loss) != 1:
            raise ValueError(f"loss: expected one number, got shape {np.shape(loss)}")
        loss = float(loss)
        for name, finite, size in (
            ("loss", math.isfinite(loss), loss),
            ("gradient", bool(np.isfinite(gradient).all()), "not finite"),
        ):
            if not finite:
                raise NonFiniteError(
                    f"{name} is {size} on the batch {self._describe(batch)}: "
                    f"{self.diagnose(w, batch)}; check the data, reduce the learning rate or the "
                    "scale of w"
                )
        return loss, gradient


class HessianProduct:
    """The function p -> Hp of one batch, replayed from a recording. Made by `Objective.linearize`.

    Attributes
    ----------
    nbytes : int
        Bytes of the arrays that the recording keeps; they are freed with this object.
    """

    def __init__(self, lin, count):
        self._lin = lin
        self._count = count
        self.nbytes = lin.nbytes

    def __call__(self, p):
        """Return Hp for p (P,), or the rows H p_1, …, H p_k for p (k, P), counted as k products."""
        products = self._lin(p)[1]
        self._count(1 if products.ndim == 1 else len(products))
        return products


def check_point(w):
    """Raise TypeError or ValueError unless w is a flat vector of float32 or float64."""
    if getattr(w, "dtype", None) not in (np.float32, np.float64):
        got = getattr(w, "dtype", type(w).__name__)
        raise TypeError(f"w: expected an array of float32 or float64, got {got}; use w.astype")
    if w.ndim != 1 or w.size == 0:
        raise ValueError(f"w: expected one flat vector (P,) with P > 0, got shape {w.shape}")
