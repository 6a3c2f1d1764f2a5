"""Products of matrices and vectors by their names."""

from client_names.row import Row

# fmt: off
# ruff: noqa: E501
PRODUCTS = (
    Row("matmul linalg.matmul", "matmul", "The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).", "=", "other: Operand"),
    Row("mm",     "matmul", "The matrix product of (n, k) and (k, m): (n, m).", "-", "mat2: Operand", "apply({op}, of_rank(2, {x}, 'self must be a matrix'), of_rank(2, mat2, 'mat2 must be a matrix'))"),
    Row("mv",     "matmul", "The product of a matrix (n, k) and a vector (k,): (n,).", "-", "vec: Operand", "apply({op}, of_rank(2, {x}, 'mv: the first argument must be a matrix'), of_rank(1, vec, 'mv: the second argument must be a vector'))"),
    Row("dot",    "matmul", "The inner product of two vectors (k,): a scalar.", "-", "tensor: Operand", "apply({op}, of_rank(1, {x}, '1D tensors expected'), of_rank(1, tensor, '1D tensors expected'))"),
    Row("bmm",    "matmul", "The matrix products of two stacks, (b, n, k) and (b, k, m): (b, n, m).", "-", "mat2: Operand", "apply({op}, of_rank(3, {x}, 'batch1 must be a 3D tensor'), of_rank(3, mat2, 'batch2 must be a 3D tensor'))"),
)
# fmt: on
