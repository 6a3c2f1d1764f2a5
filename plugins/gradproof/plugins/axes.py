"""Axes and indices: what the families that work along axes share."""

from gradproof.engine.extend import InferenceError


def axis_of(axis, ndim):
    """A canonical axis: 0 <= axis < ndim."""
    if not -ndim <= axis < ndim:
        raise InferenceError(f"axis {axis} is out of range for rank {ndim}")
    return int(axis) % ndim


def axes_of(axis, ndim):
    """Canonical axes, sorted and each once; None means all."""
    if axis is None:
        return tuple(range(ndim))
    found = [axis_of(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if len(set(found)) != len(found):
        raise InferenceError(f"axis {axis} names an axis twice")
    return tuple(sorted(found))


def at(index, axis, k):
    """``index`` with position ``axis`` replaced by ``k``."""
    return (*index[:axis], k, *index[axis + 1 :])
