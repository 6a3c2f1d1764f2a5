"""Names of ops in the client: each op has one, and each name its op."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradproof.client as gp
from client_names.families import FAMILIES
from gradproof.client.nn import functional as F
from gradproof.engine.op import REQUIRED
from gradproof.engine.registry import build_registry
from gradproof.plugins import BUILTIN

pytestmark = pytest.mark.usefixtures("tensors")

CLIENT = Path(gp.__file__).parent
PARTS = """
add_along_axis argcummax argcummin argkth argtopk checked cofactors euclidean_norm flatnonzero gamma_density
last_occurrence number_true overlap_add p_norm polygamma_rise put_along_axis ratio ravel_multi_index recurrence unslice
iv jv yv i0e_decay k0e_decay sections
"""
CONSTANTS = "arange eye full_like linspace ones_like zeros_like"
OF_NUMPY = "compress cumulative_prod cumulative_sum median nanmedian sliding_window_view"
WITHOUT_A_NAME = {
    **dict.fromkeys(PARTS.split(), "a part of other ops, or of their derivatives"),
    **dict.fromkeys(CONSTANTS.split(), "constants are leaves, which the client makes"),
    **dict.fromkeys(OF_NUMPY.split(), "PyTorch has another name for nearly the same, which is here"),
    "stop_gradient": "detach() is not recorded",
}
"""The ops that have no name in the client but in `gp.ops`, and why."""

OPS = build_registry(BUILTIN).ops
ROWS = {
    f"{name}-{row.op}": (name, row.op)
    for family in FAMILIES
    for row in family.rows
    if row.op in OPS
    if not family.call and not row.call and ":" not in row.parameters.replace(": Operand", "")
    for name in row.names.split()
    if row.op not in ("masked_fill", "masked_scatter", "prelu") and REQUIRED not in OPS[row.op].attributes.values()
}


def applied() -> Iterator[str]:
    """The ops that the source of the client applies, but for that of `gp.ops`."""
    for path in sorted(CLIENT.rglob("*.py")):
        if path.name != "builtin_ops.py":
            for call in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(call, ast.Call) and ast.unparse(call.func) != "first":
                    yield from (x.value for x in call.args if isinstance(x, ast.Constant) and isinstance(x.value, str))


def test_each_op_has_a_name() -> None:
    assert OPS.keys() - set(applied()) == WITHOUT_A_NAME.keys()


@pytest.mark.sweep(of=3)
@pytest.mark.parametrize("key", ROWS)
def test_a_name_is_its_op(key: str) -> None:
    name, op = ROWS[key]
    x = gp.tensor(np.linspace(0.3, 0.9, 4).reshape(2, 2))
    operands = [x, x.T + 0.05, x * 0.5][: len(OPS[op].inputs)]
    if op.startswith("bitwise"):
        operands = [(10 * x).long() for x in operands]
    if op == "zeta":
        operands[0] = operands[0] + 1
    if op == "ldexp":
        operands[1] = (10 * operands[1]).long()
    expected = getattr(gp.ops, op)(*operands)
    if name.startswith("Tensor.") or "." not in name:
        check(getattr(operands[0], name.removeprefix("Tensor."))(*operands[1:]), expected)
    if not name.startswith("Tensor."):
        check(attrgetter(name.removeprefix("torch."))(gp)(*operands), expected)


def check(result: Any, expected: Any) -> None:
    """Assert that two tensors are equal."""
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(result.numpy(), expected.numpy())


A, B = np.arange(1.0, 7.0).reshape(2, 3) / 4, np.arange(6.0).reshape(3, 2) - 2.5
S = np.array([[2.0, 0.5], [0.5, 1.0]])


@pytest.mark.sweep(of=3)
@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: gp.inner(gp.tensor(A), gp.tensor(A)), np.inner(A, A)),
        (lambda: gp.inner(gp.tensor(A[0]), gp.tensor(A)), np.inner(A[0], A)),
        (lambda: gp.inner(gp.tensor(2.0, dtype=gp.float64), gp.tensor(A)), 2 * A),
        (lambda: gp.vdot(gp.tensor(A[0] * 1j), gp.tensor(A[1] * 1j)), np.vdot(A[0] * 1j, A[1] * 1j)),
        (lambda: gp.ger(gp.tensor(A[0]), gp.tensor(A[1])), np.outer(A[0], A[1])),
        (lambda: gp.kron(gp.tensor(A), gp.tensor(B)), np.kron(A, B)),
        (lambda: gp.kron(gp.tensor(A), gp.tensor(B[0])), np.kron(A, B[0])),
        (lambda: gp.cross(gp.tensor(A), gp.tensor(A[1])), np.cross(A, A[1])),
        (lambda: gp.linalg.cross(gp.tensor(A.T), gp.tensor(B), dim=0), np.cross(A.T, B, axis=0)),
        (lambda: gp.addmm(gp.tensor(S), gp.tensor(A), gp.tensor(B), beta=2, alpha=0.5), 2 * S + A @ B / 2),
        (lambda: gp.tensor(S * np.nan).addmm(gp.tensor(A), gp.tensor(B), beta=0), A @ B),
        (lambda: gp.addmv(gp.tensor(S[0]), gp.tensor(A), gp.tensor(B[:, 0])), S[0] + A @ B[:, 0]),
        (lambda: gp.addr(gp.tensor(S), gp.tensor(S[0]), gp.tensor(S[1])), S + np.outer(S[0], S[1])),
        (lambda: gp.baddbmm(gp.tensor(S), gp.tensor(A[None]), gp.tensor(B[None])), (S + A @ B)[None]),
        (lambda: gp.addbmm(gp.tensor(S), gp.tensor(np.stack([A, A])), gp.tensor(np.stack([B, B]))), S + 2 * A @ B),
        (lambda: gp.matrix_power(gp.tensor(S), 5), np.linalg.matrix_power(S, 5)),
        (lambda: gp.linalg.matrix_power(gp.tensor(S), -2), np.linalg.matrix_power(S, -2)),
        (lambda: gp.linalg.matrix_power(gp.tensor(np.stack([S, S])), 0), np.stack([np.eye(2)] * 2)),
        (lambda: gp.linalg.solve(gp.tensor(S), gp.tensor(A)), np.linalg.solve(S, A)),
        (lambda: gp.linalg.solve(gp.tensor([S, 2 * S]), gp.tensor(S)), np.stack([S[0], S[1] / 2]) @ np.linalg.inv(S)),
        (lambda: gp.linalg.solve(gp.tensor(np.stack([S, 2 * S])), gp.tensor(A)), np.linalg.solve(np.stack([S, 2 * S]), A)),
        (lambda: gp.index_select(gp.tensor(A), -1, gp.tensor(2)), A[:, [2]]),
        (lambda: gp.take(gp.tensor(A), gp.tensor([[0, 1], [2, 0]])), A.reshape(-1)[[[0, 1], [2, 0]]]),
        (lambda: gp.div(gp.tensor([7, -7, 2**53 + 1]), 2, rounding_mode="trunc"), np.array([3, -3, 2**52])),
        (lambda: gp.linalg.solve(gp.tensor(S), gp.tensor(B), left=False), B @ np.linalg.inv(S)),
        (lambda: gp.linalg.cholesky(gp.tensor(S), upper=True), np.linalg.cholesky(S).T),
        (lambda: gp.linalg.multi_dot([gp.tensor(A[0]), gp.tensor(B), gp.tensor(S)]), A[0] @ B @ S),
        (lambda: gp.linalg.vecdot(gp.tensor(A), gp.tensor(B.T), dim=0), (A * B.T).sum(0)),
        (lambda: gp.linalg.inv(gp.tensor(S)), np.linalg.inv(S)),
        (lambda: gp.tensordot(gp.tensor(A), gp.tensor(B), 1), A @ B),
        (lambda: gp.tensordot(gp.tensor(A), gp.tensor(B), ([0, 1], [1, 0])), np.tensordot(A, B, ([0, 1], [1, 0]))),
        (lambda: gp.hstack([gp.tensor(A), gp.tensor(B.T)]), np.hstack([A, B.T])),
        (lambda: gp.vstack([gp.tensor(A), A[0]]), np.vstack([A, A[0]])),
        (lambda: gp.row_stack([gp.tensor(A[0]), A[1]]), A),
        (lambda: gp.column_stack([gp.tensor(A[0]), gp.tensor(B)]), np.column_stack([A[0], B])),
        (lambda: gp.dstack([gp.tensor(A), gp.tensor(B.T)]), np.dstack([A, B.T])),
        (lambda: gp.block_diag(gp.tensor(S), gp.tensor(A[0])), np.block([[S, 0 * A], [0 * S[:1], A[:1]]])),
        (lambda: gp.cartesian_prod(gp.tensor(A[0]), gp.tensor(A[1])), [[a, b] for a in A[0] for b in A[1]]),
        (lambda: gp.meshgrid(gp.tensor(A[0]), gp.tensor(B[0]))[1], np.meshgrid(A[0], B[0], indexing="ij")[1]),
        (lambda: gp.meshgrid([gp.tensor(A[0]), gp.tensor(B[0])], indexing="xy")[0], np.meshgrid(A[0], B[0])[0]),
        (lambda: gp.broadcast_tensors(gp.tensor(A[0]), gp.tensor(A))[0], np.broadcast_to(A[0], A.shape)),
        (lambda: gp.atleast_2d(gp.tensor(A[0]), 1.0)[0], A[:1]),
        (lambda: gp.tensor(A).unbind(1)[2], A[:, 2]),
        (lambda: gp.tensor(A).tensor_split((1, 2), 1)[2], A[:, 2:]),
        (lambda: gp.tensor(A).repeat_interleave(gp.tensor([2, 0, 1]), 1), A[:, [0, 0, 2]]),
        (lambda: gp.tensor(A).take_along_dim(gp.tensor([[2], [0]]), 1), np.take_along_axis(A, np.array([[2], [0]]), 1)),
        (lambda: gp.tensor(A).take_along_dim(gp.tensor([4, 0])), A.ravel()[[4, 0]]),
        (lambda: gp.tensor(A).index_put(([0, 1], [1, 1]), 7.0), [[A[0, 0], 7, A[0, 2]], [A[1, 0], 7, A[1, 2]]]),
        (lambda: gp.tensor(A).index_put((gp.tensor(A > 1),), 1.0, accumulate=True), np.where(A > 1, A + 1, A)),
        (lambda: gp.tensor(A).slice_scatter(gp.tensor(B.T[:, :2]), 1, 0, None, 2), np.insert(B.T[:, :2], 1, A[:, 1], 1)),
        (lambda: gp.tensor(A > 1).nonzero(), np.argwhere(A > 1)),
        (lambda: gp.nonzero(gp.tensor(A > 1), as_tuple=True)[1], (A > 1).nonzero()[1]),
        (lambda: gp.tensor(3.0).nonzero(), np.zeros((1, 0))),
        (lambda: gp.tensor([[1.0, np.nan, 3.0], [4.0, 2.0, 6.0]], dtype=gp.float64).median(1).values, [np.nan, 4.0]),
        (lambda: gp.tensor(A).median(), 3 / 4),
        (lambda: gp.tensor(5.0, dtype=gp.float64).kthvalue(1).values, 5.0),
        (lambda: gp.aminmax(gp.tensor(A), dim=0).max, A.max(0)),
        (lambda: gp.diff(gp.tensor(A), append=gp.tensor(A[:, :1])), np.diff(A, append=A[:, :1])),
        (lambda: gp.std_mean(gp.tensor(A), 1, correction=0)[0], A.std(1)),
        (lambda: gp.trapezoid(gp.tensor(A), gp.tensor(A[1]), dim=-1), ((A[:, 1:] + A[:, :-1]) / 2 * np.diff(A[1])).sum(1)),
        (lambda: gp.bucketize(gp.tensor(A), [0.5, 1.0]), np.searchsorted([0.5, 1.0], A)),
        (lambda: F.linear(gp.tensor(A), gp.tensor(S @ A), gp.tensor(S[0])), A @ (S @ A).T + S[0]),
        (lambda: F.pad(gp.tensor(A), (1, -1, 0, 2), value=2.0), np.pad(A[:, :2], ((0, 2), (1, 0)), constant_values=2)),
        (lambda: F.pad(gp.tensor(A), (1, 1), mode="circular"), np.pad(A, ((0, 0), (1, 1)), mode="wrap")),
        (lambda: F.one_hot(gp.tensor([2, 0])), np.eye(3)[[2, 0]]),
        (lambda: F.embedding([[1, 0]], gp.tensor(A)), A[[[1, 0]]]),
        (lambda: gp.tensor(A * 1j).mH + gp.tensor(A * 1j).H, -2j * A.T),
    ],
)  # fmt: skip
def test_names_that_are_made_of_ops(made: Any, expected: Any) -> None:
    result = made()
    assert result.shape == np.shape(expected)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-13)


class TestAxes:
    """As PyTorch has them."""

    @pytest.mark.parametrize("dim", [0, -1, (), (0,), [-1], None])
    def test_a_number_has_an_axis(self, dim: Any) -> None:
        x = gp.tensor(3.0, requires_grad=True)
        for result in (x.sum(dim), x.mean(dim, keepdim=True), x.amax(dim), x.norm(dim=dim), x.logsumexp(dim)):
            assert (result.shape, result.item()) == ((), 3.0)
        if isinstance(dim, int):
            assert [f(dim).item() for f in (x.cumsum, x.softmax, x.flip)] == [3.0, 1.0, 3.0]
            assert gp.tensor(3.0).index_select(dim, gp.tensor([0])).shape == ()
            x.cumsum(dim).backward()
            assert x.grad is not None
            assert x.grad.item() == 1.0

    def test_none_named_are_all(self) -> None:
        assert gp.ones(2, 3).sum(()).item() == gp.ones(2, 3).sum(dim=[]).item() == 6.0
        assert gp.ones(2, 3).sum(()).shape == ()
        assert gp.tensor(A).flip(()).tolist() == A.tolist()

    @pytest.mark.parametrize("name", ["sum", "softmax", "cumsum", "argmax", "squeeze", "unsqueeze", "flip", "std", "norm"])
    def test_what_is_no_axis(self, name: str) -> None:
        function = getattr(gp.ones(2, 3), name)
        for wrong in (1.0, "rows") if name == "std" else (True, 1.0, "rows"):  # std(True) is unbiased
            with pytest.raises(TypeError, match=r"must be an integer, not (bool|float|str)"):
                function(**{"dims" if name == "flip" else "dim": wrong})
        for wrong in (3, -4):
            with pytest.raises(IndexError, match=rf"expected to be in range of \[-\d, \d\], but got {wrong}"):
                function(**{"dims" if name == "flip" else "dim": wrong})

    def test_an_axis_that_is_named_twice(self) -> None:
        with pytest.raises(RuntimeError, match="dim 1 appears multiple times in the list of dims"):
            gp.ones(2, 3).sum((1, -1))

    def test_a_bool_is_meant_for_another_argument(self) -> None:
        with pytest.raises(TypeError, match="keepdim is an argument of its own"):
            gp.ones(2, 3).sum(True)


class TestNumbers:
    def test_they_may_come_first(self) -> None:
        x = gp.tensor([1.0, 2.0], requires_grad=True)
        assert (gp.pow(2.0, x).dtype, gp.pow(2.0, x).tolist()) == (gp.float32, [2.0, 4.0])
        assert gp.atan2(0.0, x).tolist() == [0.0, 0.0]
        assert gp.maximum([1.5, 1.5], [1, 2]).tolist() == [1.5, 2.0]
        gp.pow(2.0, x).sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), np.log(2) * np.array([2.0, 4.0]), rtol=1e-6)

    def test_where_a_tensor_has_to_be(self) -> None:
        with pytest.raises(TypeError, match=r"expit\(\): the first argument must be a Tensor, not float"):
            gp.special.expit(1.0)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda x: x.mm(x[0]), RuntimeError, "mat2 must be a matrix, but it has 1 dimensions"),
        (lambda x: x[0].mv(x[0]), RuntimeError, "mv: the first argument must be a matrix"),
        (lambda x: gp.dot(x, x), RuntimeError, "1D tensors expected"),
        (lambda x: gp.vdot(x, x), RuntimeError, "1D tensors expected"),
        (lambda x: gp.bmm(x, x), RuntimeError, "batch1 must be a 3D tensor"),
        (lambda x: gp.outer(x, x[0]), RuntimeError, "outer: Expected 1-D argument self, but got 2-D"),
        (lambda x: x.index_select(0, gp.tensor([[0]])), IndexError, "Index is supposed to be a vector"),
        (lambda x: x[1.5], IndexError, "only integers, slices"),
        (lambda x: x["a"], IndexError, "(got str)"),
    ],
)
def test_products_and_keys_of_another_rank_or_kind_are_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=re.escape(text)):
        call(gp.tensor(S))


def test_division_of_integers_that_rounds_gives_integers() -> None:
    quotient = gp.div(gp.tensor([7, -7]), gp.tensor([2, 2]), rounding_mode="trunc")
    assert (quotient.dtype, quotient.tolist()) == (gp.int64, [3, -3])


def test_reciprocals_of_integers_are_floats() -> None:
    assert gp.tensor([2, 4]).reciprocal().tolist() == gp.reciprocal(gp.tensor([2, 4])).tolist() == [0.5, 0.25]
