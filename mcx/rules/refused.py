"""What has no rule, each with its reason."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import REFUSED, REFUSED_MODULES

_INDICES = "its arguments are integers (indices, counts, dates or bits), which have no derivative"
_FILES = "it writes text or bytes and would drop the derivative planes; pickle the number"
_PRINTING = "it would show the value plane alone; use repr(z), or np.array2string(z.value)"

_WITH_REASON = {
    _INDICES: (
        np.busday_count, np.busday_offset, np.datetime_as_string, np.is_busday,
        np.packbits, np.unpackbits, np.ravel_multi_index, np.unravel_index, np.diag_indices_from,
        np.tril_indices_from, np.triu_indices_from,
    ),
    _FILES: (
        np.save, np.savetxt, np.savez, np.savez_compressed,
    ),
    _PRINTING: (np.array2string, np.array_repr, np.array_str),
}  # fmt: skip

REFUSED.update({func: reason for reason, funcs in _WITH_REASON.items() for func in funcs})

REFUSED_MODULES.update(
    {
        "numpy.strings": "strings have no derivative",
        "numpy.char": "strings have no derivative",
        "numpy.lib.recfunctions": "structured arrays have no planes; differentiate each field",
    }
)
