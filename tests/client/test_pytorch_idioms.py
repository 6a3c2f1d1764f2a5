"""What PyTorch's users type without looking it up."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client.client import Client
from gradproof.client.errors import GradproofError, Unavailable
from gradproof.client.recording import runtime
from gradproof.client.tensors import method_functions

pytestmark = pytest.mark.usefixtures("tensors")

A = np.array([[0.3, -1.2, 2.0], [0.7, 0.4, -0.5]])


class TestFunctions:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("function", "expected"),
        [
            (lambda a: gp.exp(a) + gp.sin(a) * gp.abs(a), lambda a: np.exp(a) + np.sin(a) * np.abs(a)),
            (lambda a: gp.matmul(a, gp.transpose(a, 0, 1)), lambda a: a @ a.T),
            (lambda a: gp.sum(a, dim=1, keepdim=True), lambda a: a.sum(1, keepdims=True)),
            (
                lambda a: gp.mean(a, 0) + gp.std(a, unbiased=False) + gp.var(a),
                lambda a: a.mean(0) + a.std() + a.var(ddof=1),
            ),
            (lambda a: gp.max(a, a * 2) - gp.min(a, a * 2), lambda a: np.abs(a)),
            (lambda a: gp.clamp(a, 0.0, 1.0), lambda a: a.clip(0, 1)),
            (lambda a: gp.add(a, a, alpha=2) + gp.sub(a, 1, alpha=3), lambda a: 4 * a - 3),
            (lambda a: gp.reshape(a, (3, -1)), lambda a: a.reshape(3, 2)),
            (lambda a: gp.imag(a.to(gp.complex128) * 1j) + gp.real(a), lambda a: 2 * a),
            (lambda a: (a.to(gp.complex128) * (1 + 2j)).conj().imag, lambda a: -2 * a),
        ],
    )
    def test_methods_are_functions(self, function: Any, expected: Any) -> None:
        np.testing.assert_allclose(function(gp.tensor(A)).numpy(), expected(A), rtol=1e-14)

    def test_every_one_is_there_and_has_a_text(self) -> None:
        for name in method_functions.__all__:
            assert callable(getattr(gp, name))
        assert "exp" in dir(gp)
        assert "The variance" in (gp.var.__doc__ or "")

    def test_what_is_none(self) -> None:
        with pytest.raises(AttributeError, match=r"module 'gradproof\.client' has no attribute 'cuda'"):
            _ = gp.cuda  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match=r"exp\(\): the first argument must be a Tensor, not float"):
            gp.exp(1.0)  # type: ignore[type-var]

    def test_dtypes_with_names_of_pythons(self) -> None:
        found = [gp.bool, gp.float, gp.int, gp.short, gp.cfloat, gp.cdouble]
        assert [dtype.name for dtype in found] == ["bool", "float32", "int32", "int16", "complex64", "complex128"]
        assert gp.tensor([1, 0], dtype=gp.bool).tolist() == [True, False]


class TestMethods:
    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            (lambda a: a.flatten(), np.ravel),
            (lambda a: a.unsqueeze(0).flatten(0, 1), lambda a: a),
            (lambda a: a.squeeze(0).unsqueeze(1).squeeze((0, 1)), lambda a: a),
            (
                lambda a: a.norm(p=1) + a.norm(float("inf")) + a.norm(dim=0),
                lambda a: 6.1 - 1.0 + 2.0 + np.linalg.norm(a, axis=0),
            ),
            (lambda a: a.clamp_min(0.1) + a.clamp_max(0.5), lambda a: np.maximum(a, 0.1) + np.minimum(a, 0.5)),
            (lambda a: a.where(a > 0, 0.0) + a.masked_fill(a > 0, 7.0), lambda a: np.where(a > 0, a + 7, a)),
            (lambda a: a.masked_select(a > 0), lambda a: a[a > 0]),
            (lambda a: a.take(gp.tensor([0, 5])), lambda a: a.take([0, 5])),
            (lambda a: a.index_select(1, gp.tensor([2, 0])), lambda a: a[:, [2, 0]]),
            (
                lambda a: a.gather(1, gp.tensor([[0, 0], [2, 1]])),
                lambda a: np.take_along_axis(a, np.array([[0, 0], [2, 1]]), 1),
            ),
            (lambda a: a.narrow(1, 1, 2) + a.select(1, 0).unsqueeze(1), lambda a: a[:, 1:] + a[:, :1]),
            (lambda a: gp.cat(a.chunk(2, dim=1)[::-1], dim=1), lambda a: a[:, [2, 0, 1]]),
            (lambda a: a.repeat(2, 1, 3), lambda a: np.tile(a, (2, 1, 3))),
            (lambda a: a.diagonal() + a.trace(), lambda a: np.diagonal(a) + np.trace(a)),
            (lambda a: a[0].outer(a[1]), lambda a: np.outer(a[0], a[1])),
            (lambda a: (a[:, :2].inverse() @ a[:, :2]).det(), lambda a: np.float64(1.0)),
            (lambda a: a.unsqueeze(0).bmm(a.t().unsqueeze(0)), lambda a: (a @ a.T)[None]),
            (lambda a: a.view_as(gp.ones(3, 2)).expand_as(gp.ones(4, 3, 2)), lambda a: np.tile(a.reshape(3, 2), (4, 1, 1))),
            (lambda a: a.sum(dtype=gp.float32).double(), lambda a: A.astype(np.float32).sum().astype(float)),
        ],
    )
    def test_against_numpy(self, method: Any, expected: Any) -> None:
        np.testing.assert_allclose(method(gp.tensor(A)).numpy(), expected(A), rtol=1e-7)

    def test_a_gradient_flows_through_what_is_picked(self) -> None:
        x = gp.tensor(A, requires_grad=True)
        picked = x.gather(1, gp.tensor([[0, 0], [2, 1]])).sum() + 10 * x.repeat(2, 1).masked_select(gp.ones(4, 3) > 0).sum()
        picked.backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[22.0, 20.0, 20.0], [20.0, 21.0, 21.0]]

    def test_order(self) -> None:
        x = gp.tensor(A)
        assert (x.argmax().item(), x.argmin().item(), x.argmax(1).tolist()) == (2, 1, [2, 0])
        assert x.argmin(0, keepdim=True).tolist() == [[0, 0, 1]]
        largest, smallest = x.max(1), x.min(dim=0, keepdim=True)
        assert (largest.values.tolist(), largest.indices.tolist()) == ([2.0, 0.7], [2, 0])
        assert (smallest[0].tolist(), smallest[1].tolist()) == ([[0.3, -1.2, -0.5]], [[0, 0, 1]])
        values, indices = x.sort(descending=True)
        assert (values.tolist(), indices.tolist()) == (np.sort(A)[:, ::-1].tolist(), [[2, 0, 1], [0, 1, 2]])
        assert x.sort(0).values.tolist() == np.sort(A, 0).tolist()
        assert (x.topk(2).indices.tolist(), x.topk(1, 0, largest=False).values.tolist()) == (
            [[2, 0], [0, 1]], [[0.3, -1.2, -0.5]],
        )  # fmt: skip
        assert gp.argsort(x, 1).tolist() == [[1, 0, 2], [2, 1, 0]]

    def test_one_number_is_in_order(self) -> None:
        x = gp.tensor(5.0, requires_grad=True)
        for found in (x.max(0), x.min(-1, keepdim=True), x.sort(), x.topk(1)):
            assert (found.values.item(), found.indices.item(), found.values.shape, found.indices.shape) == (5.0, 0, (), ())
        x.sort().values.backward()
        assert x.grad is not None
        assert x.grad.item() == 1.0

    @pytest.mark.slow
    def test_a_gradient_flows_to_what_was_found(self) -> None:
        """Of equal elements to the first, where an index says which; to all alike, where none does."""
        x = gp.tensor([[1.0, 3.0, 3.0], [2.0, 0.0, 2.0]], requires_grad=True)
        (x.max(1).values * gp.tensor([1.0, 10.0])).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[0.0, 1.0, 0.0], [10.0, 0.0, 0.0]]
        assert x.verdict is not None
        assert x.verdict.summary == "plausible"
        assert "both sides of the comparison are equal" in x.verdict.reason
        x.grad = None
        x.amax(1).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5]]
        x.grad = None
        (x.sort(1).values * gp.tensor([1.0, 2.0, 3.0])).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]]

    def test_the_loss_and_accuracy_of_a_classifier(self) -> None:
        logits, classes = gp.tensor(A, requires_grad=True), gp.tensor([2, 1])
        loss = -logits.log_softmax(1).gather(1, classes.unsqueeze(1)).mean()
        loss.backward()
        p = np.exp(A) / np.exp(A).sum(1, keepdims=True)
        assert logits.grad is not None
        np.testing.assert_allclose(logits.grad.numpy(), (p - np.eye(3)[[2, 1]]) / 2, rtol=1e-14)
        assert loss.item() == pytest.approx(-np.log(p[[0, 1], [2, 1]]).mean())
        assert (logits.argmax(1) == classes).double().mean().item() == 0.5

    def test_whole_numbers(self) -> None:
        x = gp.tensor([-2.5, 0.5, 3.0])
        assert [x.floor().tolist(), x.ceil().tolist(), x.trunc().tolist(), x.round().tolist()] == [
            [-3.0, 0.0, 3.0], [-2.0, 1.0, 3.0], [-2.0, 0.0, 3.0], [-2.0, 0.0, 3.0],
        ]  # fmt: skip
        assert [(x // 2).tolist(), (x % 2).tolist(), (7 // x).tolist(), (7 % x).tolist(), gp.frac(x).tolist()] == [
            [-2.0, 0.0, 1.0], [1.5, 0.5, 1.0], [-3.0, 14.0, 2.0], [-0.5, 0.0, 1.0], [-0.5, 0.5, 0.0],
        ]  # fmt: skip
        assert x.div(2, rounding_mode="trunc").tolist() == [-1.0, 0.0, 1.0]
        assert x.div(2, rounding_mode="floor").tolist() == (x // 2).tolist()
        assert [(gp.tensor([7, -7]) // 2).tolist(), (gp.tensor([7, -7]) % 3).tolist()] == [[3, -4], [1, 2]]

    def test_truth(self) -> None:
        x = gp.tensor([[1.0, float("nan")], [float("inf"), 0.0]])
        assert x.isnan().tolist() == [[False, True], [False, False]]
        assert x.isinf().tolist() == [[False, False], [True, False]]
        assert x.isfinite().tolist() == [[True, False], [False, True]]
        assert (x.all(1).tolist(), x.any(dim=1).tolist()) == ([True, False], [True, True])
        assert (x.all().item(), gp.zeros(0).any().item(), gp.zeros(0).all().item()) == (False, False, True)

    def test_operators_of_bits_and_of_truth(self) -> None:
        a, b = gp.tensor([True, True, False]), gp.tensor([True, False, False])
        assert [(a & b).tolist(), (a | b).tolist(), (a ^ b).tolist(), (True ^ a).tolist(), (~a).tolist()] == [
            [True, False, False], [True, True, False], [False, True, False], [False, False, True], [False, False, True],
        ]  # fmt: skip
        c = gp.tensor([1, 6, 3])
        bits = [c & 3, 4 | c, c ^ c, ~c, c << 1, 12 >> c]
        assert [one.tolist() for one in bits] == [
            [1, 2, 3], [5, 6, 7], [0, 0, 0], [-2, -7, -4], [2, 12, 6], [6, 0, 1],
        ]  # fmt: skip
        assert ((a & c).dtype.name, (a & True).dtype.name) == ("int64", "bool")
        for wrong in ("~c", "c & 3", "a | c"):
            with pytest.raises(TypeError, match="are for tensors of bools and integers"):
                eval(wrong, {"a": a, "c": gp.tensor([1.0, 2.0, 3.0])})

    def test_what_is_no_operand_is_left_to_python(self) -> None:
        x = gp.tensor([1.0])
        results: list[object] = [x == None, x != None, x == "a"]  # noqa: E711
        assert results == [False, True, False]
        with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+: 'Tensor' and 'NoneType'"):
            x + None  # type: ignore[operator]
        with pytest.raises(TypeError, match="'<' not supported between instances of 'Tensor' and 'str'"):
            _ = x < "a"  # type: ignore[operator]

    def test_integers_stay_integers_within_one_bound(self) -> None:
        x = gp.tensor([1, 5])
        assert (x.clamp(min=2).tolist(), x.clamp(max=2).dtype.name) == ([2, 5], "int64")

    def test_what_a_tensor_says_of_itself(self) -> None:
        x = gp.ones(2, 3)
        assert (x.dim(), x.size(-1), x.size(dim=0), x.is_floating_point(), x.is_complex()) == (2, 3, 2, True, False)
        assert (x.to("cpu") is x, x.type_as(gp.tensor(1)).dtype.name, x.short().dtype.name) == (True, "int64", "int16")

    @pytest.mark.parametrize(
        ("wrong", "error", "text"),
        [
            (lambda x: x.reshape(-1, 4), RuntimeError, r"shape '\[-1, 4\]' is invalid for input of size 6"),
            (lambda x: x.view(-1, -1), RuntimeError, "only one dimension can be inferred"),
            (lambda x: x.size(2), IndexError, r"expected to be in range of \[-2, 1\], but got 2"),
            (lambda x: x.imag, RuntimeError, "imag is not implemented for tensors with non-complex dtypes"),
            (lambda x: x.narrow(0, 1, 2), RuntimeError, r"start \(1\) \+ length \(2\) exceeds dimension size \(2\)"),
            (
                lambda x: x.gather(1, gp.tensor([[3]])).value(),
                RuntimeError,
                "index 3 is out of bounds for axis 1 with size 3",
            ),
            (lambda x: x.gather(1, gp.tensor([0])), RuntimeError, "Index tensor must have the same number of dimensions"),
            (lambda x: x.gather(1, gp.zeros(3, 1).long()), RuntimeError, "Size does not match at dimension 0"),
            (lambda x: x.topk(4), RuntimeError, "selected index k out of range"),
            (lambda x: x.argmax(2), IndexError, r"expected to be in range of \[-2, 1\], but got 2"),
            (lambda x: x.div(2, rounding_mode="up"), RuntimeError, "one of None, 'trunc', or 'floor' but found 'up'"),
            (lambda x: (x.long() // 0).value(), RuntimeError, "an integer is divided by 0"),
            (lambda x: (x.long() % 0).value(), RuntimeError, "an integer is divided by 0"),
            (lambda x: x.norm(p="nuc"), RuntimeError, "order 'nuc' is not there"),
            (lambda x: x.transpose(0, 2), IndexError, r"expected to be in range of \[-2, 1\], but got 2"),
            (lambda x: x.expand(3), RuntimeError, r"the number of sizes provided \(1\) must be greater or equal"),
            (lambda x: x.split(0), RuntimeError, "split expects split_size to be positive, but got split_size=0"),
            (lambda x: f"{x:.2f}", TypeError, "unsupported format string passed to Tensor.__format__"),
            (float, ValueError, "only one element tensors can be converted to Python scalars"),
            (lambda x: bool(gp.zeros(0)), RuntimeError, "Tensor with no values is ambiguous"),
            (lambda x: list(x.sum()), TypeError, "iteration over a 0-d tensor"),
            (lambda x: gp.Tensor([1.0]), TypeError, r"not by Tensor\(\)"),  # type: ignore[arg-type]
            (lambda x: x @ x, RuntimeError, "matmul"),
        ],
    )
    def test_errors(self, wrong: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error, match=text):
            wrong(gp.ones(2, 3))

    def test_errors_of_the_server_are_runtime_errors(self) -> None:
        assert issubclass(GradproofError, RuntimeError)


class TestMaking:
    def test_sizes_as_pytorch_takes_them(self) -> None:
        made = (
            gp.zeros(size=(2, 3)),
            gp.randn(size=(2, 3)),
            gp.empty(2, 3),
            gp.randint(5, (2, 3)),
            gp.randint(0, 5, size=(2, 3)),
        )
        assert {one.shape for one in made} == {(2, 3)}
        like = gp.rand_like(gp.ones(2, dtype=gp.float64)), gp.randn_like(gp.ones(2)), gp.empty_like(gp.ones(2))
        assert [one.dtype.name for one in like] == ["float64", "float32", "float32"]
        assert sorted(gp.randperm(5).tolist()) == [0, 1, 2, 3, 4]

    def test_no_integers_are_integers(self) -> None:
        assert (gp.arange(0).dtype.name, gp.arange(0.0).dtype.name) == ("int64", "float32")


class TestInPlace:
    def test_parts_of_leaves_take_values(self) -> None:
        x = gp.arange(6.0)
        x[0] = 9
        x[1:3] = gp.tensor([7.0, 8.0])
        x[x < 5] = 0
        x[[4, 5]] += 1
        assert x.tolist() == [9.0, 7.0, 8.0, 0.0, 1.0, 6.0]
        x.neg_().clamp_(min=-7).pow_(2)
        x **= 0.5
        assert x.tolist() == [7.0, 7.0, 7.0, 0.0, 1.0, 6.0]

    def test_a_graph_keeps_what_it_was_recorded_with(self) -> None:
        x = gp.tensor([1.0, 2.0], requires_grad=True)
        loss = (x * x).sum()
        with gp.no_grad():
            x[0] = 100.0
        loss.backward()
        assert x.grad is not None
        assert (x.grad.tolist(), x.tolist()) == ([2.0, 4.0], [100.0, 2.0])

    @pytest.mark.parametrize(
        ("change", "slope"),
        [
            (lambda y, x: y.add_(x), 1.0), (lambda y, x: y.copy_(x), 1.0), (lambda y, x: y.__setitem__(0, x[0]), 1.0),
            (lambda y, x: y.__iadd__(x * x), 2.0),
        ],
    )  # fmt: skip
    def test_no_gradient_is_lost(self, change: Any, slope: float) -> None:
        x, y = gp.ones(2, requires_grad=True), gp.zeros(2)
        change(y, x)
        y[0].backward()
        assert x.grad is not None
        assert x.grad.tolist() == [slope, 0.0]
        y = gp.zeros(2)
        with gp.no_grad():
            change(y, x)
        assert (y[0].item(), y.requires_grad) == (1.0, False)

    def test_leaves_that_require_grad_are_guarded(self) -> None:
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
            gp.ones(2, requires_grad=True)[0] = 1


class TestIndexing:
    @pytest.mark.parametrize(
        ("key", "same"), [(True, True), (False, False), ([], np.zeros(0, int)), (([1], []), ([1], np.zeros(0, int)))]
    )
    def test_truth_and_nothing_are_indices(self, key: Any, same: Any) -> None:
        assert gp.tensor(A)[key].shape == A[same].shape


class TestCopies:
    def test_a_deep_copy_is_a_leaf_with_its_gradient(self) -> None:
        x = gp.tensor([1.0, 2.0], requires_grad=True)
        (x * x).sum().backward()
        once, again = copy.deepcopy([x, x])
        assert once is again
        assert once.grad is not None
        assert (once.tolist(), once.requires_grad, once.is_leaf, once.grad.tolist()) == ([1.0, 2.0], True, True, [2.0, 4.0])
        with gp.no_grad():
            once += 1
        assert x.tolist() == [1.0, 2.0]
        with pytest.raises(RuntimeError, match=r"Only Tensors created explicitly by the user \(graph leaves\)"):
            copy.deepcopy(x * 2)

    @pytest.mark.parametrize("dtype", [gp.float32, gp.bfloat16, gp.complex64])
    def test_a_pickle_has_no_history(self, dtype: Any) -> None:
        x = gp.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
        back = pickle.loads(pickle.dumps(x * 2))
        assert (back.tolist(), back.dtype, back.requires_grad, back.is_leaf) == ((x * 2).tolist(), dtype, True, True)


class TestFunctionsOfFunctions:
    def test_a_jacobian_is_recorded_only_if_its_arguments_were(self) -> None:
        x = gp.tensor([1.0, 2.0])
        assert not gp.func.jacrev(lambda x: x**2)(x).requires_grad
        assert gp.func.jacrev(gp.func.jacrev(lambda x: (x**3).sum()))(x).tolist() == [[6.0, 0.0], [0.0, 12.0]]

    def test_a_jacobian_of_several_results(self) -> None:
        squares, triples = gp.func.jacrev(lambda x: (x**2, x * 3))(gp.tensor([1.0, 2.0]))
        assert (squares.tolist(), triples.tolist()) == ([[2.0, 0.0], [0.0, 4.0]], [[3.0, 0.0], [0.0, 3.0]])

    def test_products_can_be_differentiated(self) -> None:
        one = gp.tensor(1.0)
        pulled = gp.func.grad(lambda t: gp.func.vjp(lambda u: u**3, t)[1](one)[0])
        pushed = gp.func.grad(lambda t: gp.func.jvp(lambda u: u**3, (t,), (one,))[1])
        assert (pulled(gp.tensor(2.0)).item(), pushed(gp.tensor(2.0)).item()) == (12.0, 12.0)


class TestNumbers:
    def test_they_are_no_part_of_the_structure(self) -> None:
        """A learning rate that changes with every step."""
        x = gp.tensor([1.0, 2.0], dtype=gp.float64, requires_grad=True)
        expected, sent = np.array([1.0, 2.0]), []
        for rate in (0.5, 0.25, 0.125, 0.0625):
            (x**2).sum().backward()
            assert x.grad is not None
            with gp.no_grad():
                x -= rate * x.grad
            x.grad = None
            expected -= rate * 2 * expected
            assert x.tolist() == expected.tolist()
            sent.append(runtime.current().graphs_sent)
        assert sent[-1] == sent[0]

    @pytest.mark.slow
    @pytest.mark.parametrize("looked_at", [False, True])
    def test_each_graph_has_its_own(self, looked_at: bool) -> None:
        for power in (2, 3, 4):
            x = gp.tensor(2.0, dtype=gp.float64, requires_grad=True)
            (slope,) = gp.autograd.grad(x**power, x, create_graph=True)
            (curve,) = gp.autograd.grad(slope, x)
            y = x**power
            assert not looked_at or y.item() == 2.0**power
            y.backward()
            assert x.grad is not None
            assert x.verdict is not None
            found = (x.grad.item(), slope.item(), curve.item(), x.verdict.summary)
            assert found == (power * 2.0 ** (power - 1),) * 2 + (power * (power - 1) * 2.0 ** (power - 2), "verified")


def test_modes_are_decorators_without_parentheses() -> None:
    x = gp.ones(1, requires_grad=True)
    still: Any = gp.no_grad(lambda: x * 2)
    moving: Any = gp.enable_grad(lambda: x * 2)
    assert not still().requires_grad
    with gp.no_grad():
        assert moving().requires_grad


def test_a_formula_of_what_was_looked_at() -> None:
    assert [one.text for one in gp.tensor([1.0, 2.0]).explain().formulas] == ["x0_0", "x0_1"]
    product = gp.tensor(2.0) * gp.tensor(5.0)
    before = str(product.explain())
    product.item()
    assert str(product.explain()) == before
    assert "x0*x1" in before


def test_a_client_that_was_closed_says_so(tensors: Served) -> None:
    client = Client(tensors.client.target)
    client.close()
    with pytest.raises(Unavailable, match="the client is closed"):
        client.info()
