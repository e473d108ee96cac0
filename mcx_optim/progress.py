"""A progress bar for `fit`."""


class ProgressBar:
    """Callback for `fit` that shows one tqdm bar per epoch.

    tqdm is imported here and nowhere else.

    Parameters
    ----------
    name : str
        Shown before the epoch.
    **options
        Passed on to tqdm.

    Raises
    ------
    ImportError
        If tqdm is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import SGD, Objective, ProgressBar, fit
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> show = ProgressBar("parabola", leave=False)
    >>> result = fit(objective, SGD(), np.ones(2), epochs=3, callbacks=[show])
    """

    def __init__(self, name: str = "", **options):
        try:
            from tqdm import tqdm
        except ImportError as error:
            raise ImportError(
                "ProgressBar needs tqdm (pip install tqdm); fit runs without it, with other "
                "callbacks or none"
            ) from error
        self._tqdm = tqdm
        self._name = name
        self._options = options
        self._bar = None

    def __call__(self, event):
        """Show a `FitEvent`."""
        if event.metrics is not None:
            if self._bar is not None:
                self._bar.set_postfix(train_loss=f"{event.metrics['train_loss']:.4g}")
                self._bar.close()
            self._bar = None
            return
        if self._bar is None:
            self._bar = self._tqdm(
                total=event.steps,
                initial=event.step - 1,
                desc=f"{self._name} epoch {event.epoch}/{event.epochs}".lstrip(),
                **self._options,
            )
        self._bar.update()
        if event.info.loss is not None:  # a step may fail before it has one
            self._bar.set_postfix(loss=f"{event.info.loss:.4g}", refresh=False)
