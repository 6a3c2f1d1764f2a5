"""Losses of classes: x holds a number for each class, along axis 1, or along the only axis.

Names and conventions are those of ``torch.nn.functional``. A hinge has the derivative 0 at its corner."""

import numpy as np

from gradproof.engine.extend import Composite, InferenceError, case, full_like, ops, registering, zeros_like
from gradproof.plugins.axes import at, integer, number
from gradproof.plugins.loss_parts import averaged, in_float32, reduced, weighted
from gradproof.plugins.names import named

GRADPROOF_API = 1

CORNER = "0 at the corner of a hinge"


def class_axis(x, weight=None):
    """The axis of classes. Raises InferenceError without any classes, and for weights that are not a number for each."""
    axis = min(x.ndim - 1, 1)
    if axis < 0 or not x.shape[axis]:
        raise InferenceError(f"{x.spec} has no classes: it needs an axis of them, the second, or the only one")
    if x.dtype.kind == "c":
        raise InferenceError("is not defined for complex numbers")
    if weight is not None and weight.shape != x.shape[axis : axis + 1]:
        raise InferenceError(f"weight has shape {weight.shape}; it must hold a number for each of {x.shape[axis]} classes")
    return axis


def require_classes(target, shape):
    """Raises InferenceError unless the target has integers, in an array of ``shape``."""
    if target.dtype.kind not in "iu":
        raise InferenceError(f"target is {target.dtype.name}; classes are integers")
    if target.shape != shape:
        raise InferenceError(f"target has shape {target.shape}; it must be {shape}, a class for each place")


def known(classes, x, axis):
    """Classes that are indices along an axis of x; others end the run with the place."""
    return ops.checked(classes, low=0, high=x.shape[axis] - 1)


def picked(x, classes, axis):
    """The elements of x at the classes, without the axis."""
    return ops.squeeze(ops.take_along_axis(x, ops.expand_dims(classes, axis=axis), axis=axis), axis=axis)


def per_class(weight, x, axis):
    """Weights of classes in the rank of x."""
    return ops.reshape(weight, shape=at((1,) * x.ndim, axis, x.shape[axis]))


# nll_loss and cross_entropy


def target_losses(logs, target, weight, axis, ignore_index):
    """-logs at the target; the weights there, which are 0 where the target is ``ignore_index``; and where it is not."""
    require_classes(target, (*logs.shape[:axis], *logs.shape[axis + 1 :]))
    target = ops.astype(target, dtype="int64")
    kept = ops.not_equal(target, integer("ignore_index", ignore_index))
    classes = known(ops.where(kept, target, 0), logs, axis)
    losses = ops.where(kept, -picked(logs, classes, axis), 0)
    weights = full_like(losses, 1) if weight is None else ops.take(weight, classes)
    return losses, ops.where(kept, weights, 0), kept


@in_float32
def nll_loss(x, target, weight=None, *, ignore_index=-100, reduction="mean"):
    losses, weights, _ = target_losses(x, target, weight, class_axis(x, weight), ignore_index)
    return averaged(losses, weights, reduction)


@in_float32
def cross_entropy(x, target, weight=None, *, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    axis = class_axis(x, weight)
    if not 0 <= number("label_smoothing", label_smoothing) <= 1:
        raise InferenceError(f"label_smoothing is {label_smoothing}; it must be from 0 to 1")
    logs, count = ops.log_softmax(x, axis=axis), x.shape[axis]
    everywhere = logs if weight is None else logs * per_class(weight, x, axis)
    if target.dtype.kind in "fV":
        if target.shape != x.shape:
            raise InferenceError(f"target has shape {target.shape}; probabilities of classes have that of x, {x.shape}")
        shares = target * (1 - label_smoothing) + label_smoothing / count
        return reduced(-ops.sum(everywhere * shares, axis=axis), reduction)
    losses, weights, kept = target_losses(logs, target, weight, axis, ignore_index)
    if not label_smoothing:
        return averaged(losses, weights, reduction)
    spread = ops.where(kept, -ops.sum(everywhere, axis=axis), 0)
    products = losses * weights * (1 - label_smoothing) + spread * (label_smoothing / count)
    return ops.sum(products) / ops.sum(weights) if reduction == "mean" else reduced(products, reduction)


# margins


def hinges(x, of_target, margin):
    """How far each number is above that of the target less the margin; 0 below."""
    return ops.relu(number("margin", margin) - of_target + x)


@in_float32
def multi_margin_loss(x, target, weight=None, *, p=1, margin=1.0, reduction="mean"):
    axis = class_axis(x, weight)
    if x.ndim > 2:
        raise InferenceError(f"x has rank {x.ndim}; it must be 1 or 2")
    if p not in (1, 2):
        raise InferenceError(f"p is {p!r}; it must be 1 or 2")
    require_classes(target, x.shape[:axis])
    classes = known(target, x, axis)
    index = ops.expand_dims(classes, axis=axis)
    of_target = ops.take_along_axis(x, index, axis=axis)
    others = ops.equal(ops.add_along_axis(zeros_like(x), index, full_like(of_target, 1), axis=axis), 0)
    losses = ops.where(others, hinges(x, of_target, margin), 0)
    losses = ops.mean(losses if p == 1 else ops.square(losses), axis=axis)
    return reduced(weighted(losses, None if weight is None else ops.take(weight, classes)), reduction)


@in_float32
def multilabel_margin_loss(x, target, *, reduction="mean"):
    axis = class_axis(x)
    if x.ndim > 2:
        raise InferenceError(f"x has rank {x.ndim}; it must be 1 or 2")
    require_classes(target, x.shape)
    target = ops.astype(target, dtype="int64")
    ends = ops.cumsum(ops.astype(target < 0, dtype="int64"), axis=axis)
    listed = ops.equal(ends, 0)
    classes = known(ops.where(listed, target, 0), x, axis)
    marks = ops.add_along_axis(zeros_like(x), classes, ops.astype(listed, dtype=x.dtype.name), axis=axis)
    pairs = ops.logical_and(ops.expand_dims(listed, axis=-1), ops.expand_dims(ops.equal(marks, 0), axis=-2))
    of_target = ops.expand_dims(ops.take_along_axis(x, classes, axis=axis), axis=-1)
    losses = ops.where(pairs, hinges(ops.expand_dims(x, axis=-2), of_target, 1), 0)
    return reduced(ops.sum(losses, axis=(-2, -1)) / x.shape[axis], reduction)


CLASS, CLASSES, PIXELS = np.array(1), np.array([2, 0]), np.array([[1, 0, -100, 1]])
LISTED = np.array([[2, -1, 0], [0, 1, -1]])
NONE, SUM = {"reduction": "none"}, {"reduction": "sum"}
LOGGED = (case((2, 3), CLASSES), case((2, 3), CLASSES, (3,)), case((3,), CLASS, **SUM), case((1, 2, 4), PIXELS, **NONE))
SMOOTH = (case((2, 3), CLASSES, (3,), label_smoothing=0.25), case((1, 2, 4), PIXELS, label_smoothing=0.25, **NONE))
SHARED = (case((2, 3), (2, 3)), case((3,), (3,), (3,), label_smoothing=0.25, **SUM), case((1, 2, 4), (1, 2, 4), **NONE))
MARGINS = (case((2, 3), CLASSES), case((2, 3), CLASSES, (3,), p=2, **SUM), case((3,), CLASS, margin=0.5, **NONE))
LISTS = (case((2, 3), LISTED), case((3,), LISTED[0], **NONE))

# fmt: off
CLASS_LOSSES = (
    Composite("nll_loss", nll_loss, cases=LOGGED,
              doc="-x at the class that is the target, weighted by class; the mean is over the sum of the weights"),
    Composite("cross_entropy", cross_entropy, cases=(*LOGGED, *SMOOTH, *SHARED),
              doc="nll_loss of log_softmax x; a target of floats holds the probability of each class"),
    Composite("multi_margin_loss", multi_margin_loss, cases=MARGINS, ties=CORNER,
              doc="the sum of max(0, margin - x[target] + x)^p over other classes by the count of all, weighted by class"),
    Composite("multilabel_margin_loss", multilabel_margin_loss, cases=LISTS, ties=CORNER,
              doc="the sum of max(0, 1 - x[k] + x) over the classes k that the target lists before its first -1 and the "
              "classes that it does not list, by the count of all"),
)
# fmt: on

register_ops = registering(*named(CLASS_LOSSES))
