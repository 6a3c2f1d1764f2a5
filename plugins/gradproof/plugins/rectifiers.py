"""Activations that are made of pieces, such as lines and exponentials: small graphs of other ops.

A piece is chosen by ``where``, which sends no gradient to the pieces that it did not choose. So the slope at a corner is
that of the piece that holds there, and the pieces are chosen such that it is PyTorch's.
"""

from fractions import Fraction
from functools import wraps

from gradproof.engine.extend import Composite, InferenceError, case, full_like, ops, registering
from gradproof.plugins.axes import number
from gradproof.plugins.names import named

GRADPROOF_API = 1

SELU_ALPHA = Fraction("1.6732632423543772848170429916717")
SELU_SCALE = Fraction("1.0507009873554804934193349852946")


def of_reals(function):
    """``function`` that refuses complex numbers, which have no order, and attributes that are no numbers."""

    @wraps(function)
    def checked(*inputs, **attributes):
        for x in inputs:
            if x.dtype.kind == "c":
                raise InferenceError(f"does not take {x.dtype.name}: complex numbers have no order")
        return function(*inputs, **{name: number(name, value) for name, value in attributes.items()})

    return checked


def between(x, low, high, below, inside, above):
    """``inside`` where low < x < high, and ``below`` or ``above`` else."""
    return ops.where(x <= low, below, ops.where(x >= high, above, inside))


def with_tail(x, tail):
    """x where x > 0, and tail(x) else. No tail is computed of a positive number, for which it may overflow."""
    positive = x > 0
    return ops.where(positive, x, tail(ops.where(positive, 0, x)))


def leaky_relu(x, *, negative_slope=0.01):
    return x * ops.where(x > 0, full_like(x, 1), negative_slope)


def rrelu(x, *, lower=1 / 8, upper=1 / 3):
    if lower > upper:
        raise InferenceError(f"lower is {lower}, which is above upper, {upper}")
    return ops.leaky_relu(x, negative_slope=(lower + upper) / 2)


def prelu(x, weight):
    """Raises InferenceError for a weight that is neither a single number nor a number for each channel."""
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise InferenceError(
            f"weight has shape {weight.shape}; it must be a number, or one for each of {channels} channels"
        )
    each = ops.reshape(weight, shape=(-1,) + (1,) * (x.ndim - 2) if weight.size > 1 else ())
    return x * ops.where(x > 0, 1, each)


def elu(x, *, alpha=1.0):
    return with_tail(x, lambda tail: alpha * ops.expm1(tail))


def selu(x):
    return SELU_SCALE * with_tail(x, lambda tail: SELU_ALPHA * ops.expm1(tail))


def celu(x, *, alpha=1.0):
    if alpha == 0:
        raise InferenceError("alpha is 0; x / alpha has no value")
    return with_tail(x, lambda tail: alpha * ops.expm1(tail / alpha))


def hardtanh(x, *, min=-1.0, max=1.0):  # noqa: A002 - as `clip` names them
    if min > max:
        raise InferenceError(f"min is {min}, which is above max, {max}")
    return between(x, min, max, min, x, max)


def hardshrink(x, *, lambd=0.5):
    return ops.where(ops.abs(x) <= lambd, 0, x)


def softshrink(x, *, lambd=0.5):
    if lambd < 0:
        raise InferenceError(f"lambd is {lambd}; it must be 0 or more")
    return ops.where(ops.abs(x) <= lambd, 0, ops.where(x < 0, x + lambd, x - lambd))


def threshold(x, *, threshold, value):
    return ops.where(x <= threshold, value, x)


CHANNELS = (case((2, 3, 2), (3,)), case((3, 2), (2,)), case((3,), ()))
LIMIT = (case((2, 3), threshold=0.5, value=-2.0),)

# fmt: off
RECTIFIERS = (
    # op         graph, cases, ties
    Composite("relu6", of_reals(lambda x: between(x, 0, 6, 0, x, 6)), ties="0 at 0 and at 6",
              doc="x limited to [0, 6]"),
    Composite("leaky_relu", of_reals(leaky_relu), ties="the negative slope at 0",
              doc="x where x > 0, else the negative slope times x"),
    Composite("rrelu", of_reals(rrelu), ties="as of leaky_relu",
              doc="leaky_relu with the mean of lower and upper, as of randomised ReLU in evaluation"),
    Composite("prelu", of_reals(prelu),      cases=CHANNELS, ties="the weight for x at 0",
              doc="x where x > 0, else the weight times x; a weight, or one for each channel (axis 1)"),
    Composite("elu", of_reals(elu), ties="alpha at 0",
              doc="x where x > 0, else alpha (exp x - 1)"),
    Composite("selu", of_reals(selu), ties="that of the exponential at 0",
              doc="elu with alpha 1.6733, times 1.0507 (Klambauer et al., Self-normalizing neural networks, 2017)"),
    Composite("celu", of_reals(celu),
              doc="x where x > 0, else alpha (exp(x / alpha) - 1)"),
    Composite("hardtanh", of_reals(hardtanh), ties="0 at min and at max",
              doc="x limited to [min, max]"),
    Composite("hardsigmoid", of_reals(lambda x: between(x, -3, 3, 0, (x + 3) / 6, 1)), ties="0 at -3 and at 3",
              doc="(x + 3) / 6 limited to [0, 1]"),
    Composite("hardswish", of_reals(lambda x: x * ops.hardsigmoid(x)), ties="0 at -3, 1 at 3",
              doc="x hardsigmoid(x)"),
    Composite("hardshrink", of_reals(hardshrink), ties="0 at -lambd and at lambd",
              doc="x where |x| > lambd, else 0"),
    Composite("softshrink", of_reals(softshrink), ties="0 at -lambd and at lambd",
              doc="x moved by lambd towards 0; 0 where |x| <= lambd"),
    Composite("threshold", of_reals(threshold),  cases=LIMIT, ties="0 at the threshold",
              doc="x where x > threshold, else value"),
)
# fmt: on

register_ops = registering(*named(RECTIFIERS))
