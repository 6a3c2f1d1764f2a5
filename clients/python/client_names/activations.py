"""Activations by their names."""

from client_names.row import Row

# fmt: off
# ruff: noqa: E501
ACTIVATIONS = (
    Row("relu nn.functional.relu",            "relu",        "The larger of x and 0, element by element."),
    Row("nn.functional.relu6",                "relu6",       "Each element limited to [0, 6]."),
    Row("nn.functional.leaky_relu",           "leaky_relu",  "Each element, times ``negative_slope`` where it is negative.", "-", "negative_slope: float = 0.01"),
    Row("torch.rrelu nn.functional.rrelu",          "rrelu",       "`leaky_relu` with the mean of ``lower`` and ``upper``, as randomised ReLU is in evaluation.", "-", "lower: float = 0.125, upper: float = 1 / 3"),
    Row("prelu nn.functional.prelu",          "prelu",       "Each element, times ``weight`` where it is negative; a single weight, or one for each channel (axis 1).", "-", "weight: Operand"),
    Row("nn.functional.elu",                  "elu",         "x where x > 0, elsewhere alpha (eˣ - 1).", "-", "alpha: float = 1.0"),
    Row("torch.selu nn.functional.selu",            "selu",        "1.0507 times `elu` with alpha 1.6733."),
    Row("torch.celu nn.functional.celu",            "celu",        "x where x > 0, elsewhere alpha (e^(x / alpha) - 1).", "-", "alpha: float = 1.0"),
    Row("gelu nn.functional.gelu",            "gelu",        "x Φ(x) of each element, Φ the normal distribution function; ``approximate`` is \"none\" or \"tanh\".", "-", "approximate: Literal['none', 'tanh'] = 'none'", follows="nn.functional.gelu"),
    Row("silu nn.functional.silu",            "silu",        "x · sigmoid(x) of each element.", follows="nn.functional.silu"),
    Row("nn.functional.mish",                 "mish",        "x tanh(ln(1 + eˣ)) of each element."),
    Row("softplus nn.functional.softplus",    "softplus",    "ln(1 + e^(beta x)) / beta of each element, and the element itself where beta x > threshold.", "-", "beta: float = 1.0, threshold: float = 20.0", follows="nn.functional.softplus"),
    Row("nn.functional.softsign",             "softsign",    "x / (1 + |x|) of each element."),
    Row("nn.functional.hardtanh",             "hardtanh",    "Each element limited to [``min_val``, ``max_val``].", "-", "min_val: float = -1.0, max_val: float = 1.0", "apply({op}, {x}, min=min_val, max=max_val)"),
    Row("nn.functional.hardsigmoid",          "hardsigmoid", "(x + 3) / 6 of each element, limited to [0, 1]."),
    Row("nn.functional.hardswish",            "hardswish",   "x · hardsigmoid(x) of each element."),
    Row("nn.functional.logsigmoid",           "logsigmoid",  "ln(1 / (1 + e⁻ˣ)) of each element."),
    Row("nn.functional.tanhshrink",           "tanhshrink",  "x - tanh x of each element."),
    Row("hardshrink nn.functional.hardshrink", "hardshrink", "x where |x| > lambd, elsewhere 0.", "-", "lambd: float = 0.5"),
    Row("nn.functional.softshrink",           "softshrink",  "Each element moved by ``lambd`` towards 0; 0 where |x| <= lambd.", "-", "lambd: float = 0.5"),
    Row("torch.threshold nn.functional.threshold", "threshold", "x where x > threshold, elsewhere ``value``.", "-", "threshold: float, value: float"),
    Row("nn.functional.glu",                  "glu",         "The first half along ``dim``, times the sigmoid of the second.", "-", "dim: int = -1"),
)

DISTANCES = (
    Row("nn.functional.normalize",         "normalize",         "Vectors along ``dim`` over their ``p``-norm, which counts as at least ``eps``.", "-", "p: float = 2.0, dim: int = 1, eps: float = 1e-12"),
    Row("torch.cosine_similarity nn.functional.cosine_similarity", "cosine_similarity", "The cosines of the angles between vectors along ``dim``; norms count as at least ``eps``.", "-", "x2: Operand, dim: int = 1, eps: float = 1e-08", first="x1"),
    Row("torch.pairwise_distance nn.functional.pairwise_distance", "pairwise_distance", "The ``p``-norms along the last axis of x1 - x2 + eps.", "-", "x2: Operand, p: float = 2.0, eps: float = 1e-06, keepdim: bool = False", first="x1"),
    Row("torch.cdist",                     "cdist",             "The ``p``-norms of the differences of all rows of (..., n, k) and (..., m, k); (..., n, m).", "-", "x2: Operand, p: float = 2.0", first="x1"),
)
# fmt: on
