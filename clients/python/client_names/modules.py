"""The modules of functions: what they have beside the rows of their namespaces."""

from client_names.row import Module

TENSORS = "gradproof.client.tensors"
METHODS = (
    "add", "all", "any", "argmax", "argmin", "argsort", "broadcast_to", "chunk", "clamp", "clamp_max", "clamp_min", "clip",
    "clone", "conj", "det", "diagonal", "div", "divide", "flatten", "flip", "frac", "gather", "imag", "index_select",
    "inverse", "is_complex", "is_floating_point", "isfinite", "isinf", "isnan", "logical_xor", "masked_fill",
    "masked_select", "max", "min", "narrow", "norm", "numel", "outer", "permute", "real", "reshape", "select", "sort",
    "split", "squeeze", "sub", "t", "take", "topk", "trace", "transpose", "tril", "triu", "unbind", "unsqueeze",
)  # fmt: skip
"""Methods that are written by hand, and functions too: ``chunk(x, 2)`` is ``x.chunk(2)``."""

MODULES = (
    Module(
        "",
        "tensors/method_functions.py",
        "Functions that call the method of the same name, or record an op: ``exp(x)`` is ``x.exp()``.",
        {name: name for name in METHODS},
        {},
    ),
    Module(
        "nn.functional",
        "nn/functional.py",
        "Activations, losses and distances, by the names of `torch.nn.functional`.",
        {"softmax": "softmax", "log_softmax": "log_softmax"},
        {},
    ),
    Module(
        "special",
        "special.py",
        "Special functions, by the names of `torch.special`.",
        {"softmax": "softmax", "log_softmax": "log_softmax"},
        {},
    ),
    Module(
        "linalg",
        "linalg.py",
        "Linear algebra, by the names of `torch.linalg`.",
        {"det": "det", "inv": "inverse", "matmul": "matmul", "diagonal": "diagonal"},
        {},
    ),
)
