"""Functions that write into their first argument and return nothing."""

from __future__ import annotations

import inspect

from mcx.dispatch import is_number, real_out
from mcx.verbs.base import Rule


class Assigning(Rule):
    """A function that writes into its first argument: by assignments to the number.

    `assign(target, …)` has the signature of the function and is in NumPy syntax over z[...] = item.
    """

    verb = "assigning"

    def __init__(self, assign):
        super().__init__(None)
        self.assign = assign

    def apply(self, func, args, kwargs, like=None):
        """Assign, if the target is a number: a plain array would drop the derivatives."""
        target = inspect.signature(self.assign).bind(*args, **kwargs).args[0]
        if not is_number(target):
            raise real_out(func)
        self.assign(*args, **kwargs)
