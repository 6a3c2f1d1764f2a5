"""The modules of functions: what they have beside the rows of their namespaces."""

from client_names.row import Module

TENSORS = "gradproof.client.tensors"


def same(*names: str) -> dict[str, str]:
    """Functions that have the names of the methods."""
    return {name: name for name in names}


MODULES = (
    Module(
        "",
        "tensors/method_functions.py",
        "Functions that call the method of the same name, or record an op: ``exp(x)`` is ``x.exp()``.",
        same("broadcast_to", "clip", "cross", "divide", "ger", "matrix_power"),
        dict.fromkeys(("cat", "stack", "where"), f"{TENSORS}.functions"),
    ),
    Module(
        "nn.functional",
        "nn/functional.py",
        "Activations, losses and distances, by the names of `torch.nn.functional`.",
        same("log_softmax", "softmax"),
        {},
    ),
    Module(
        "special",
        "special.py",
        "Special functions, by the names of `torch.special`.",
        same("log_softmax", "softmax"),
        {},
    ),
    Module(
        "linalg",
        "linalg.py",
        "Linear algebra, by the names of `torch.linalg`.",
        {
            "det": "det",
            "inv": "inverse",
            "matmul": "matmul",
            "diagonal": "diagonal",
            "matrix_power": "matrix_power",
            "cross": "cross",
        },
        dict.fromkeys(("cholesky", "multi_dot", "solve", "vecdot"), f"{TENSORS}.linear_algebra"),
    ),
)
