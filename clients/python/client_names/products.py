"""Products of matrices and vectors by their names."""

from client_names.row import Row

# fmt: off
# ruff: noqa: E501
PRODUCTS = (
    Row("matmul linalg.matmul", "matmul", "The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).", "=", "other: Operand"),
    Row("mm",     "matmul", "The matrix product of (n, k) and (k, m): (n, m).", "-", "mat2: Operand"),
    Row("mv",     "matmul", "The product of a matrix (n, k) and a vector (k,): (n,).", "-", "vec: Operand"),
    Row("dot",    "matmul", "The inner product of two vectors (k,): a scalar.", "-", "tensor: Operand"),
    Row("bmm",    "matmul", "The matrix products of two stacks, (b, n, k) and (b, k, m): (b, n, m).", "-", "mat2: Operand"),
)
# fmt: on
