"""What `fit` keeps of a run."""

import json
import os
from dataclasses import dataclass, field

from mcx_optim.step_info import StepInfo


@dataclass
class History:
    """Log of a run: one row of metrics per epoch, one StepInfo per step.

    Attributes
    ----------
    epochs : list of dict
        Rows with "epoch" (0 is the start), "seconds" and "gradient_equivalents" spent on training
        so far, "train_loss" over all data, and what `evaluate` returned.
    steps : list of StepInfo
        All steps in order; those that failed say why (see `on_nonfinite` of `fit`).

    Examples
    --------
    >>> history = History([{"epoch": 0, "train_loss": 2.5}, {"epoch": 1, "train_loss": 0.5}])
    >>> history.column("train_loss")
    [2.5, 0.5]
    """

    epochs: list[dict] = field(default_factory=list)
    steps: list[StepInfo] = field(default_factory=list)

    def column(self, name: str) -> list:
        """Return one metric of all epochs."""
        return [row[name] for row in self.epochs]

    def to_dict(self) -> dict:
        """Return the log as lists, dicts, numbers and strings."""
        return {"epochs": self.epochs, "steps": [info.to_dict() for info in self.steps]}

    @classmethod
    def from_dict(cls, log: dict) -> "History":
        """Return the History of which `to_dict` returned `log`."""
        return cls(log["epochs"], [StepInfo.from_dict(fields) for fields in log["steps"]])

    def save(self, path):
        """Write the log to a JSON file, at once or not at all."""
        partial = f"{os.fspath(path)}.partial"
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(self.to_dict(), file, indent=1)
        os.replace(partial, path)
