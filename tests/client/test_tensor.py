"""Tensors: making them, their ops and indices, how they look, what they share with NumPy, what they cost."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client.errors import InvalidRequest, RunError
from gradproof.client.recording import runtime
from gradproof.client.recording.apply import apply

pytestmark = pytest.mark.usefixtures("tensors")


class TestMaking:
    @pytest.mark.parametrize(
        ("made", "dtype", "value"),
        [
            (lambda: gp.tensor(1.5), "float32", 1.5),
            (lambda: gp.tensor([1, 2]), "int64", [1, 2]),
            (lambda: gp.tensor([True]), "bool", [True]),
            (lambda: gp.tensor(1j), "complex64", 1j),
            (lambda: gp.tensor(np.float64(2.0)), "float64", 2.0),
            (lambda: gp.tensor([gp.tensor(1.0), gp.tensor(2.0)]), "float32", [1.0, 2.0]),
            (lambda: gp.DoubleTensor([1, 2]), "float64", [1.0, 2.0]),
            (lambda: gp.HalfTensor([1]), "float16", [1.0]),
            (lambda: gp.BFloat16Tensor([1.0]), "bfloat16", [1.0]),
            (lambda: gp.zeros(2, 2), "float32", [[0.0, 0.0], [0.0, 0.0]]),
            (lambda: gp.ones((1, 2), dtype=gp.int32), "int32", [[1, 1]]),
            (lambda: gp.full((2,), 3), "int64", [3, 3]),
            (lambda: gp.full((2,), 3.5, dtype=gp.float16), "float16", [3.5, 3.5]),
            (lambda: gp.arange(3), "int64", [0, 1, 2]),
            (lambda: gp.arange(1, 2, 0.5), "float32", [1.0, 1.5]),
            (lambda: gp.linspace(0, 1, 3), "float32", [0.0, 0.5, 1.0]),
            (lambda: gp.eye(2), "float32", [[1.0, 0.0], [0.0, 1.0]]),
            (lambda: gp.zeros_like(gp.ones(2, dtype=gp.float64)), "float64", [0.0, 0.0]),
            (lambda: gp.full_like(gp.ones(2), 7.0), "float32", [7.0, 7.0]),
            (lambda: gp.from_numpy(np.arange(2)), "int64", [0, 1]),
            (lambda: gp.from_dlpack(np.arange(2.0)), "float64", [0.0, 1.0]),
        ],
    )
    def test_constructors(self, made: Any, dtype: str, value: Any) -> None:
        found = made()
        assert (found.dtype.name, found.tolist(), found.is_leaf) == (dtype, value, True)

    def test_random_numbers_have_seeds(self) -> None:
        gp.manual_seed(3)
        first = gp.rand(2, 2), gp.randn(3), gp.randint(0, 10, (4,))
        gp.manual_seed(3)
        again = gp.rand(2, 2), gp.randn(3), gp.randint(0, 10, (4,))
        assert [t.tolist() for t in first] == [t.tolist() for t in again]

    def test_the_default_dtype(self) -> None:
        gp.set_default_dtype(gp.float64)
        try:
            assert gp.tensor(1.0).dtype == gp.get_default_dtype() == gp.float64
            assert gp.tensor(1j).dtype == gp.complex128
        finally:
            gp.set_default_dtype(gp.float32)
        with pytest.raises(TypeError, match="only floating-point types are supported"):
            gp.set_default_dtype(gp.int64)

    def test_a_tensor_does_not_share_its_array(self) -> None:
        array = np.ones(2)
        x = gp.tensor(array)
        array[0] = 7
        assert x.tolist() == [1.0, 1.0]
        with pytest.raises(ValueError, match="read-only"):
            x.numpy()[0] = 7

    def test_what_is_no_number(self) -> None:
        with pytest.raises(TypeError, match="can't make a tensor of list"):
            gp.tensor(["a"])
        with pytest.raises(TypeError, match=r"expected np.ndarray \(got list\)"):
            gp.from_numpy([1])  # type: ignore[arg-type]


X = np.arange(24.0).reshape(2, 3, 4)


class TestIndexing:
    @pytest.mark.parametrize(
        "key",
        [
            0, -1, slice(1, None), (slice(None), 1), (..., 2), (0, ..., 1), None, (slice(None), None, 1),
            slice(None, None, -1),
            (slice(None), slice(None, None, 2), slice(3, 0, -2)), [1, 0], ([0, 1], [2, 0]), (slice(None), [2, 0, 2]),
            np.array([[0, 1], [1, 0]]), X > 5, (X[:, 0, 0] > 3), (1, 2, 3), (slice(0, 0),),
        ],
        ids=str,
    )  # fmt: skip
    def test_it_is_numpys(self, key: Any) -> None:
        x = gp.tensor(X, requires_grad=True)
        found = x[key]
        np.testing.assert_array_equal(found.detach().numpy(), X[key])
        expected = np.zeros_like(X)
        np.add.at(expected, key, 1.0)
        (gradient,) = gp.autograd.grad(found.sum(), x, materialize_grads=True)
        np.testing.assert_array_equal(gradient.numpy(), expected)

    def test_tensors_as_indices(self) -> None:
        x = gp.tensor(X)
        assert x[gp.tensor(1), gp.tensor([0, 2])].tolist() == X[1, [0, 2]].tolist()
        assert x[x > 20].tolist() == [21.0, 22.0, 23.0]

    def test_out_of_bounds(self) -> None:
        with pytest.raises(IndexError, match="index 2 is out of bounds for dimension 0 with size 2"):
            gp.tensor(X)[2]
        with pytest.raises(IndexError, match="too many indices for tensor of dimension 1"):
            gp.ones(2)[0, 0]

    def test_iteration_and_len(self) -> None:
        x = gp.tensor([[1.0, 2.0], [3.0, 4.0]])
        assert ([row.tolist() for row in x], len(x)) == ([[1.0, 2.0], [3.0, 4.0]], 2)
        with pytest.raises(TypeError, match=re.escape("len() of a 0-d tensor")):
            len(gp.tensor(1.0))


class TestMethods:
    A = np.array([[0.3, 1.2], [0.7, 0.4]])

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            (lambda a: a.add(1) + a.sub(1) - a.mul(2) + a.div(2), lambda a: a + 1 + a - 1 - 2 * a + a / 2),
            (lambda a: 2**a - a**2 + (-a).abs() + (+a), lambda a: 2**a - a**2 + 2 * a),
            (lambda a: a.std(0), lambda a: a.std(0, ddof=1)),
            (lambda a: a.var(1, correction=0), lambda a: a.var(1)),
            (lambda a: a.norm(), np.linalg.norm),
            (lambda a: a.clamp(min=0.5), lambda a: np.maximum(a, 0.5)),
            (lambda a: a.clip(0.4, 0.8), lambda a: np.clip(a, 0.4, 0.8)),
            (lambda a: a.amax(1) + a.amin(dim=1), lambda a: a.max(1) + a.min(1)),
            (lambda a: a.sum(dim=0, keepdim=True), lambda a: a.sum(0, keepdims=True)),
            (lambda a: a.logsumexp(1), lambda a: np.log(np.exp(a).sum(1))),
            (lambda a: a.logsumexp(1, b=[[2.0], [0.5]]), lambda a: scipy.special.logsumexp(a, 1, [[2.0], [0.5]])),
            (lambda a: a.softmax(0).sum(), lambda a: np.float64(2.0)),
            (lambda a: a.t() @ a.mT, lambda a: a.T @ a.T),
            (lambda a: a.transpose(0, 1).flatten(), lambda a: a.T.ravel()),
            (lambda a: a.view(1, -1).squeeze(0).unsqueeze(1), lambda a: a.reshape(4, 1)),
            (lambda a: a.expand(3, -1, -1).permute(1, 0, 2), lambda a: np.broadcast_to(a, (3, 2, 2)).transpose(1, 0, 2)),
            (lambda a: a.flip(0).cumsum(1), lambda a: np.cumsum(a[::-1], 1)),
            (lambda a: a.tril() + a.triu(1), lambda a: a),
            (lambda a: gp.cat(a.unbind(1)) + gp.stack([*a.split(1)], 1).reshape(4), lambda a: a.T.ravel() + a.ravel()),
            (
                lambda a: gp.minimum(a, a.T) + gp.where(a > 0.5, a, 0.0),
                lambda a: np.minimum(a, a.T) + np.where(a > 0.5, a, 0),
            ),
            (lambda a: a.split(3, 1)[0], lambda a: a),
            (lambda a: a.mv(gp.tensor([1.0, 2.0], dtype=gp.float64)), lambda a: a @ [1.0, 2.0]),
        ],
    )
    def test_against_numpy(self, method: Any, expected: Any) -> None:
        np.testing.assert_allclose(method(gp.tensor(self.A)).numpy(), expected(self.A), rtol=1e-14)

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float64", "complex64"])
    @pytest.mark.parametrize("number", [True, 1, 1.5], ids=str)
    def test_numbers_of_python_promote_as_in_numpy(self, dtype: str, number: float) -> None:
        x = np.array([1, 0]).astype(dtype)
        np.testing.assert_array_equal((gp.tensor(x) * number).numpy(), x * number, strict=True)

    def test_truths_stay_truths(self) -> None:
        x = np.array([True, False])
        for name in ("bitwise_xor", "bitwise_and", "bitwise_or"):
            np.testing.assert_array_equal(
                getattr(gp, name)(gp.tensor(x), True).numpy(), getattr(np, name)(x, True), strict=True
            )

    @pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
    def test_a_clip_has_one_bound_or_two(self, dtype: str) -> None:
        x = np.array([0, 3, 7]).astype(dtype)
        for low, high in ((2, None), (None, 5), (2, 5), (np.array(300), None), (None, np.array(-300))):
            expected = np.clip(x, low, high)
            np.testing.assert_array_equal(gp.tensor(x).clip(low, high).numpy(), expected, strict=True)
            np.testing.assert_array_equal(gp.ops.clip(gp.tensor(x), low, high).numpy(), expected, strict=True)

    def test_truth_values_of_a_graph_that_comes_again(self) -> None:
        """From the second run on a plan is compiled, and numbers without axes are Python's."""
        for k in range(5):
            x = gp.tensor(1.0 + k, dtype=gp.float64)
            assert ((x * 2).sin() > 0).item() is bool(np.sin(2 + 2 * k) > 0)
            assert (x > 2).logical_and(x < 4).item() is (2 < 1 + k < 4)

    def test_every_op_of_the_server_is_a_function(self) -> None:
        assert gp.ops.hypot(gp.tensor(3.0), gp.tensor(4.0)).item() == 5.0
        assert [t.tolist() for t in gp.ops.split(gp.tensor([1.0, 2.0]), sections=2)] == [[1.0], [2.0]]
        assert gp.ops.planted.cube(gp.tensor(2.0)).item() == 8.0
        assert "planted" in dir(gp.ops)
        assert dir(gp.ops.planted) == ["cube"]
        assert "Inputs: x" in (gp.ops.sin.__doc__ or "")
        with pytest.raises(AttributeError, match="no op and no namespace 'sine'"):
            _ = gp.ops.sine
        with pytest.raises(AttributeError, match=r"no op 'planted\.square'"):
            gp.ops.planted.square(gp.tensor(1.0))

    def test_a_plugins_wrong_rule_is_seen(self) -> None:
        x = gp.tensor(2.0, dtype=gp.float64, requires_grad=True)
        gp.ops.planted.cube(x).backward()
        assert x.verdict is not None
        assert (x.grad.item(), x.verdict.summary) == (8.0, "wrong")

    def test_comparisons_are_tensors_and_truth_is_of_one_element(self) -> None:
        a = gp.tensor([1.0, 2.0])
        assert (a == 1.0).tolist() == [True, False]
        assert ((a != 1.0) & (a >= 2.0) | ~(a < 5)).tolist() == [False, True]
        assert bool(gp.tensor(1.0))
        with pytest.raises(RuntimeError, match="Boolean value of Tensor with more than one value is ambiguous"):
            bool(a)

    def test_conversions(self) -> None:
        a = gp.tensor([1.7])
        turned = a.half(), a.bfloat16(), a.double(), a.int(), a.long(), a.bool(), a.to(gp.complex64)
        names = ["float16", "bfloat16", "float64", "int32", "int64", "bool", "complex64"]
        assert [t.dtype.name for t in turned] == names
        assert (int(gp.tensor(3)), complex(gp.tensor(1j)), [10, 20][gp.tensor(1)]) == (3, 1j, 20)
        with pytest.raises(TypeError, match="only integer tensors of a single element can be converted to an index"):
            [1, 2][gp.tensor(1.0)]
        with pytest.warns(UserWarning, match="Converting a tensor with requires_grad=True to a scalar"):
            float(gp.tensor(1.0, requires_grad=True))
        with pytest.raises(RuntimeError, match="a Tensor with 2 elements cannot be converted to Scalar"):
            gp.ones(2).item()

    def test_in_place(self) -> None:
        x = gp.tensor([1.0, 2.0])
        same = x
        x += 1
        x *= 2
        x -= 1
        x /= 3
        assert same is x
        assert x.tolist() == [1.0, pytest.approx(5 / 3)]
        assert x.fill_(4).zero_().copy_(gp.tensor(2.5)).tolist() == [2.5, 2.5]
        assert x.add_(1, alpha=2).sub_(1, alpha=0.5).tolist() == [4.0, 4.0]
        with pytest.raises(RuntimeError, match="result type Double can't be cast to the desired output type Long"):
            gp.tensor([1]).add_(gp.tensor(0.5))
        with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
            x.add_(gp.ones(3, 2))

    def test_results_recorded_before_a_change_keep_the_values_of_then(self) -> None:
        a = gp.tensor(3.0, requires_grad=True)
        computed, detached = gp.tensor(3.0) * 2, (a * 2).detach()
        y, z = computed * 10, detached * a
        computed /= 2
        detached += 1
        assert (y.item(), z.item(), computed.item(), detached.item()) == (60.0, 18.0, 3.0, 7.0)
        z.backward()
        assert a.grad is not None
        assert a.grad.item() == 6.0


class TestNumPy:
    def test_both_ways(self) -> None:
        x = gp.tensor([1.0, 2.0])
        assert np.asarray(x).tolist() == [1.0, 2.0]
        assert np.from_dlpack(x).tolist() == [1.0, 2.0]
        assert (np.array([1.0, 2.0], np.float32) * x).tolist() == [1.0, 4.0]
        with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
            gp.ones(1, requires_grad=True).numpy()

    @given(
        st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=5), st.sampled_from(["tanh", "square", "exp", "sin"])
    )
    def test_values_are_those_of_numpy(self, values: list[float], name: str) -> None:
        array = np.array(values, np.float32)
        with np.errstate(over="ignore"), warnings.catch_warnings():
            assert getattr(gp.tensor(array), name)().numpy().tobytes() == getattr(np, name)(array).tobytes()


class TestText:
    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda: gp.tensor(3.0), "tensor(3.)"),
            (lambda: gp.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
            (lambda: gp.tensor([1.0, 2.0]), "tensor([1., 2.])"),
            (lambda: gp.tensor([1, 2]), "tensor([1, 2])"),
            (lambda: gp.tensor([1.0], dtype=gp.float64), "tensor([1.], dtype=float64)"),
            (lambda: gp.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
            (lambda: gp.tensor(2.0, requires_grad=True) * 2, "tensor(4., grad_fn=<MulBackward0>)"),
            (lambda: gp.tensor([[1.0], [2.0]]), "tensor([[1.],\n        [2.]])"),
            (lambda: gp.zeros(0, 3), "tensor([], size=(0, 3))"),
            (lambda: gp.tensor([float("nan"), float("inf")]), "tensor([nan, inf])"),
            (lambda: gp.tensor(1e-10), "tensor(1.0000e-10)"),
            (lambda: gp.tensor([True]), "tensor([True])"),
            (lambda: gp.tensor([True, False]), "tensor([ True, False])"),
            (lambda: gp.tensor([float("nan"), 1.0]), "tensor([nan, 1.])"),
            (lambda: gp.tensor([-1.0, float("-inf"), 20.0]), "tensor([-1., -inf, 20.])"),
            (lambda: gp.tensor([1.0, 2.5, float("nan")]), "tensor([1.0000, 2.5000,    nan])"),
            (lambda: gp.tensor(1 + 2j), "tensor(1.+2.j)"),
            (lambda: gp.tensor(1j, dtype=gp.complex128), "tensor(0.+1.j, dtype=complex128)"),
        ],
    )
    def test_it_is_like_pytorchs(self, make: Any, text: str) -> None:
        assert repr(make()) == text

    def test_in_a_notebook(self) -> None:
        x = gp.tensor(3.0, requires_grad=True)
        (x * x).backward()
        assert "verdict" not in x._repr_html_()  # nothing is found out for a picture
        assert x.verdict is not None
        for part in ("tensor(3., requires_grad=True)", "grad", "tensor(6.)", "verified"):
            assert part in x._repr_html_()
        assert "&lt;MulBackward0&gt;" in (x * 1)._repr_html_()

    def test_formats(self) -> None:
        assert f"{gp.tensor(1.25):.1f} {gp.tensor([1])}" == "1.2 tensor([1])"


class TestCost:
    def test_nothing_is_computed_before_someone_looks(self, tensors: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        send = tensors.client.send_evaluate
        monkeypatch.setattr(
            tensors.client, "send_evaluate", lambda r, **o: asked.append(",".join(r.input.fetch)) or send(r, **o)
        )
        x = gp.tensor([1.0, 2.0])
        y = (x * 3).exp()
        z = y.sum()
        assert (y.shape, y.dtype, z.shape, asked) == ((2,), gp.float32, (), [])
        z.item()
        y.tolist()  # came along, being small and held
        assert len(asked) == 1

    def test_inference_is_remembered(self, tensors: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        gp.ones(3) + gp.ones(3)
        monkeypatch.setattr(tensors.client, "infer", None)
        gp.zeros(3) + gp.ones(3)

    def test_backward_is_one_request_with_the_forward_half(self, tensors: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tensors.client, "send_evaluate", None)
        x = gp.tensor([1.0, 2.0], requires_grad=True)
        loss = (x * x).sum()
        loss.backward()
        assert (loss.item(), x.grad.tolist()) == (5.0, [2.0, 4.0])

    def test_a_graph_that_the_server_forgot_is_sent_again(self, tensors: Served) -> None:
        x = gp.tensor(3.0)
        (x * 7).item()
        tensors.host.handler.graphs.clear()
        assert (x * 7).item() == 21.0
        assert runtime.current().graphs_sent >= 2


class TestErrors:
    def test_what_does_not_fit_is_said_at_once(self) -> None:
        with pytest.raises(InvalidRequest, match="matmul"):
            gp.ones(2, 3) @ gp.ones(2, 3)
        with pytest.raises(AttributeError, match="the server has no op 'sine'"):
            apply("sine", gp.ones(1))

    def test_a_node_that_fails_says_where_it_was_recorded(self) -> None:
        bad = gp.ops.inv(gp.zeros(2, 2))
        with pytest.raises(RunError) as caught:
            bad.tolist()
        assert "test_tensor.py" in caught.value.__notes__[0]
