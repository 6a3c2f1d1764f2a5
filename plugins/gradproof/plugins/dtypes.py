"""Keeping dtypes: what NumPy's and SciPy's functions would widen."""

import numpy as np


def narrow(function):
    """``function`` in the dtype of its first argument where that is a float: the libraries widen float16 or bfloat16."""

    def forward(x, *others):
        result = function(x, *others)
        return result if result.dtype == x.dtype or x.dtype.kind in "biu" else result.astype(x.dtype)

    if isinstance(function, np.ufunc):
        setattr(forward, "ufunc", function)  # noqa: B010 - which it is, for float32 and float64
    return forward
