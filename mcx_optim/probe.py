"""Checks of an objective, a start, and what an objective returns."""

import math

import numpy as np

from mcx_optim.errors import NonDeterministicError, NonFiniteError
from mcx_optim.parts import weighted


def check_point(w, name: str = "w"):
    """Raise TypeError or ValueError unless w is a flat vector of float32 or float64."""
    if getattr(w, "dtype", None) not in (np.float32, np.float64):
        got = getattr(w, "dtype", type(w).__name__)
        raise TypeError(f"{name}: expected an array of float32 or float64, got {got}; use astype")
    if w.ndim != 1 or w.size == 0:
        raise ValueError(f"{name}: expected one flat vector (P,) with P > 0, got shape {w.shape}")


def describe(batch) -> str:
    """Return how many samples a batch has, in brackets, for messages."""
    return "(no data)" if batch is None else f"({len(batch[0])} samples)"


def expect_given(method: str, **given):
    """Raise ValueError unless all functions that a method of Objective needs were given."""
    missing = [name for name, function in given.items() if function is None]
    if missing:
        raise ValueError(
            f"{method}: expected an objective with {' and '.join(given)}, got one without "
            f"{' and '.join(missing)}; pass them to Objective, or make it by Objective.of(problem)"
        )


def finite(shares, results, w, where):
    """Return the loss and the gradient of a batch from those of its parts.

    Raises
    ------
    TypeError, ValueError
        If a gradient is not an array like w, or a loss is not one number.
    NonFiniteError
        If the loss or the gradient is not finite; `where` returns the batch and the reason.
    """
    for loss, gradient in results:
        if not hasattr(gradient, "shape"):
            raise TypeError(
                f"gradient: expected an array of shape {w.shape}, got a {type(gradient).__name__}; "
                "use np.stack"
            )
        if gradient.shape != w.shape or gradient.dtype != w.dtype:
            raise ValueError(
                f"gradient: expected shape {w.shape} and dtype {w.dtype} as w has, got "
                f"{gradient.shape} and {gradient.dtype}; value_and_grad must return them alike"
            )
        if np.size(loss) != 1:
            raise ValueError(f"loss: expected one number, got shape {np.shape(loss)}")
    loss = weighted(shares, [float(loss) for loss, _ in results])
    gradient = weighted(shares, [gradient for _, gradient in results])
    fails = None if math.isfinite(loss) else f"loss is {loss}"
    if fails is None and not np.isfinite(gradient).all():
        fails = "gradient is not finite"
    if fails is not None:
        batch, reason = where()
        raise NonFiniteError(
            f"{fails} on the batch {batch}: {reason}; check the data, reduce the learning rate or "
            "the scale of w"
        )
    return loss, gradient


def first_failure(first_nonfinite, w, batch) -> str:
    """Return a sentence that says where the evaluation of a loss leaves the reals.

    `first_nonfinite` is that of `Objective`, or None.
    """
    if not np.isfinite(w).all():
        return "w itself is not finite"
    if first_nonfinite is None:
        return "pass first_nonfinite to Objective to have the layer named"
    with np.errstate(all="ignore"):
        name = first_nonfinite(w, batch)
    if name is None:
        return "all layers are finite, so the loss function or the backward pass is the cause"
    return f"the first layer with a non-finite output is {name!r}"


def probe(objective, w, batch):
    """Check an objective at w: repeatable, of one mind on the loss, and dependent on w.

    Raises
    ------
    NonDeterministicError
        If two evaluations differ by more than rounding.
    ValueError
        If `value` and `value_and_grad` give different losses, the gradient is not like w, or the
        loss does not depend on w: the gradient is zero at w and the loss the same at another w.
    NonFiniteError
        If the loss or the gradient is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> probe(Objective(lambda w, batch: (1.0, np.zeros_like(w))), np.ones(2), None)
    Traceback (most recent call last):
        ...
    ValueError: loss does not depend on w on the batch (no data): ...
    """
    tolerance = math.sqrt(np.finfo(w.dtype).eps)
    loss, gradient = objective.value_and_grad(w, batch)
    again, gradient_again = objective.value_and_grad(w, batch)
    change = float(np.max(np.abs(gradient_again - gradient)))
    largest = float(np.max(np.abs(gradient)))
    for name, difference, size in (
        ("loss", abs(again - loss), abs(loss)),
        ("gradient", change, largest),
    ):
        if difference > tolerance * size:
            raise NonDeterministicError(
                f"{name} differs by {difference:.3g} of {size:.3g} between two evaluations of "
                f"the same batch {describe(batch)} at the same w (dropout, noise or shuffling "
                "inside value_and_grad?); draw random numbers beforehand and pass them in the "
                "batch"
            )
    value = loss if objective.value is None else objective.loss(w, batch)
    if not abs(value - loss) <= tolerance * max(abs(loss), largest):
        raise ValueError(
            f"value and value_and_grad disagree on the loss of the same batch {describe(batch)}: "
            f"{value:.17g} and {loss:.17g}; compute both by one function"
        )
    if objective.separable:
        _check_separable(objective, w, batch, tolerance)
    if largest == 0.0 and _same_elsewhere(objective, w, batch, value):
        raise ValueError(
            f"loss does not depend on w on the batch {describe(batch)}: its gradient is exactly "
            f"zero and it is {loss:.17g} at another w, too; compute it from w (are all units "
            "saturated at the start?)"
        )


def _check_separable(objective, w, batch, tolerance):
    """Raise ValueError unless the loss of a batch is the mean of those of two halves."""
    half = len(batch[0]) // 2 if batch is not None else 0
    if not half:
        return
    whole, shares = (
        float(objective.whole_loss(w, batch)),
        (half / len(batch[0]), 1 - half / len(batch[0])),
    )
    parts = [tuple(x[:half] for x in batch), tuple(x[half:] for x in batch)]
    losses = [float(objective.whole_loss(w, part)) for part in parts]
    mean = weighted(shares, losses)
    if not abs(whole - mean) <= tolerance * weighted(shares, [abs(loss) for loss in losses]):
        raise ValueError(
            f"separable: expected a loss that is a mean over samples, got {whole:.7g} on the batch "
            f"{describe(batch)} and {mean:.7g} as the mean of its halves (batch normalization?); "
            "pass separable=False to Objective"
        )


def _same_elsewhere(objective, w, batch, loss):
    """Return whether f is `loss` at a w that differs by about its own size everywhere, too."""
    generic = np.cos(np.cumsum(np.ones_like(w)))
    with np.errstate(all="ignore"):
        return objective.loss(w + (1 + np.max(np.abs(w))) * generic, batch) == loss
