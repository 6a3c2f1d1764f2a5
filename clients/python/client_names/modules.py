"""The modules of functions: what they have beside the rows of their namespaces."""

from client_names.row import Module

TENSORS = "gradproof.client.tensors"


def same(*names: str) -> dict[str, str]:
    """Functions that have the names of the methods."""
    return {name: name for name in names}


SEVERAL = (
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_tensors", "cartesian_prod", "cat", "column_stack",
    "concat", "concatenate", "dstack", "hstack", "meshgrid", "polygamma", "row_stack", "stack", "vstack", "where",
)  # fmt: skip
LINES = ("bucketize", "cumulative_trapezoid", "searchsorted", "std_mean", "trapezoid", "trapz", "var_mean")
"""Functions of several tensors, and functions along lines, which are no methods."""

MODULES = (
    Module(
        "",
        "tensors/method_functions.py",
        "Functions that call the method of the same name, or record an op: ``exp(x)`` is ``x.exp()``.",
        same("broadcast_to", "clip", "cross", "divide", "ger", "matrix_power", "true_divide"),
        dict.fromkeys(SEVERAL, f"{TENSORS}.functions")
        | dict.fromkeys(LINES, f"{TENSORS}.lines")
        | dict.fromkeys(("einsum", "tensordot"), f"{TENSORS}.linear_algebra"),
    ),
    Module(
        "nn.functional",
        "nn/functional.py",
        "Activations, losses and distances, by the names of `torch.nn.functional`.",
        {},
        dict.fromkeys(
            ("batch_norm", "dropout", "embedding", "group_norm", "layer_norm", "linear", "one_hot", "pad"),
            f"{TENSORS}.layers",
        )
        | dict.fromkeys(("avg_pool2d", "conv2d", "max_pool2d"), f"{TENSORS}.convolutions"),
    ),
    Module(
        "special",
        "special.py",
        "Special functions, by the names of `torch.special`.",
        {},
        {"polygamma": f"{TENSORS}.functions"},
    ),
    Module(
        "linalg",
        "linalg.py",
        "Linear algebra, by the names of `torch.linalg`.",
        {"inv": "inverse", **same("cross", "det", "matrix_power")},
        dict.fromkeys(("cholesky", "multi_dot", "solve", "solve_triangular", "vecdot"), f"{TENSORS}.linear_algebra"),
    ),
)
