"""A progress bar for `fit`."""


class ProgressBar:
    """Callback for `fit` that shows one tqdm bar per epoch.

    tqdm is imported here and nowhere else.

    Raises
    ------
    ImportError
        If tqdm is not installed.

    Examples
    --------
    >>> ProgressBar(disable=True)  # doctest: +ELLIPSIS
    <mcx_optim.progress.ProgressBar object at ...>
    """

    def __init__(self, **options):
        try:
            from tqdm import tqdm
        except ImportError as error:
            raise ImportError(
                "ProgressBar needs tqdm (pip install tqdm); fit runs without it, with other "
                "callbacks or none"
            ) from error
        self._tqdm = tqdm
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
                desc=f"epoch {event.epoch}/{event.epochs}",
                **self._options,
            )
        self._bar.update()
        self._bar.set_postfix(loss=f"{event.info.loss:.4g}", refresh=False)
