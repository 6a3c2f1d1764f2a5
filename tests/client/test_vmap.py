"""Vectorized functions against loops over slices: axes, trees, nesting, derivatives, random numbers, errors, verdicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from tests.support.functions import Cube

import gradproof.client as gp
from gradproof.client.autograd import grad as gradients_of
from gradproof.client.func import grad, jacrev, jvp, vjp, vmap
from gradproof.client.nn import functional as F
from gradproof.client.recording.runtime import current
from gradproof.client.tensors.tensor import Tensor

pytestmark = pytest.mark.usefixtures("tensors")


def normal(*shape: int, seed: int = 0, requires_grad: bool = False) -> Tensor:
    return gp.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=requires_grad)


def close(got: Tensor, true: Any) -> None:
    expected = true.detach().numpy() if isinstance(true, Tensor) else np.asarray(true)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-12, atol=1e-13)


def looped(function: Callable[..., Tensor], *arguments: Tensor) -> Any:
    """The results for the slices along the first axes, stacked."""
    return np.stack([function(*slices).detach().numpy() for slices in zip(*arguments, strict=True)])


def tanh_sum(w: Tensor, x: Tensor) -> Tensor:
    return gp.tanh(x @ w).sum()


def test_it_is_in_both_places() -> None:
    assert gp.vmap is gp.func.vmap


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elementwise": lambda x: gp.sin(x) * 2 + x / (1 + x * x),
    "broadcasting": lambda x: x[:, None] * x[0] + gp.tensor([1.0, 2.0, 3.0, 4.0]),
    "reductions": lambda x: x.sum(0) + x.mean() * x.amax(1).sum(),
    "softmax": lambda x: x.softmax(-1) @ x.T,
    "index by an array": lambda x: x[[2, 0, 2]],
    "index by a computed array": lambda x: x[x.sum(1).argsort()],
    "index behind a slice": lambda x: x[:, x[0].argsort()],
    "gather": lambda x: x.gather(1, x.argsort(1)),
    "shapes": lambda x: x.reshape(2, 6).transpose(0, 1).flatten().unsqueeze(0).squeeze(),
    "join": lambda x: gp.cat([x, x * 2], 1).flip(0),
    "slices": lambda x: x[1:, ::2] - x[:-1, 1::2],
    "sort": lambda x: x.sort(0).values.cumsum(1),
    "where": lambda x: gp.where(x > 0, x, -2 * x),
    "composite loss": lambda x: F.cross_entropy(x, gp.tensor([0, 3, 1])),
    "no rule": lambda x: gp.block_diag(x, x * 2) if hasattr(gp, "block_diag") else x.det(),
    "constant": lambda x: gp.ones(2),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_function_of_a_slice(function: Callable[[Tensor], Tensor]) -> None:
    x = normal(5, 3, 4, requires_grad=True)
    got = vmap(function)(x)
    close(got, looped(function, x))
    if got.requires_grad:
        total = sum((function(part).sum() for part in x), gp.zeros((), dtype=gp.float64))
        close(gradients_of(got.sum(), x)[0], gradients_of(total, x)[0])


KEYS: list[Callable[[Any], Any]] = [
    lambda i: i,
    lambda i: (i, slice(1, 3)),
    lambda i: (slice(None), i),
    lambda i: (slice(None), i, i),
    lambda i: (i, slice(None), i),
    lambda i: (0, slice(None), i),
    lambda i: (..., i),
    lambda i: (None, i, ..., None),
    lambda i: (i[0], i),
    lambda i: (slice(0, 2), i[:, None], i),
]


@pytest.mark.sweep(of=4)
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("batched", [(True, True), (True, False), (False, True)])
def test_indices(key: Callable[[Any], Any], batched: tuple[bool, bool]) -> None:
    x, places = normal(5, 4, 4, 4), gp.tensor([[0, 3], [1, 1], [3, 2], [-1, 0], [2, -2]])
    arguments = [t if own else t[0] for t, own in zip((x, places), batched, strict=True)]
    in_dims = tuple(0 if own else None for own in batched)
    every = [x if batched[0] else [arguments[0]] * 5, places if batched[1] else [arguments[1]] * 5]

    def put(p: Tensor, i: Tensor) -> Tensor:
        y = p + 0 * i.sum()
        y[key(i)] = y[key(i)] * 2
        return y

    for function in (lambda p, i: p[key(i)], put):
        true = np.stack([function(p, i).numpy() for p, i in zip(*every, strict=True)])
        close(vmap(function, in_dims=in_dims)(*arguments), true)


class TestAxes:
    def test_in_dims_and_out_dims(self) -> None:
        a, b = normal(3, 5), normal(5, 2, seed=1)
        got = vmap(lambda p, q: p[:, None] * q, in_dims=(1, 0), out_dims=-1)(a, b)
        close(got, np.einsum("ib,bj->ijb", a.numpy(), b.numpy()))
        close(vmap(lambda p, q: p * q[0], in_dims=(-1, -2), out_dims=1)(a, b), a.numpy() * b.numpy()[:, 0])

    def test_arguments_that_are_the_same_for_all_slices(self) -> None:
        w, x = normal(4, 2), normal(3, 4, seed=1)
        close(vmap(tanh_sum, in_dims=(None, 0))(w, x), looped(partial(tanh_sum, w), x))
        close(vmap(lambda p: tanh_sum(w, p))(x), looped(partial(tanh_sum, w), x))
        close(vmap(lambda p, *, scale: p * scale)(x, scale=w[:, 0]), x * w[:, 0])
        close(vmap(lambda p, power: p**power, in_dims=(0, None))(x, 2), x * x)

    def test_trees(self) -> None:
        class Pair(NamedTuple):
            first: Tensor
            second: Tensor

        a, b, c = normal(3, 2), normal(2, 3, seed=1), normal(2, seed=2)

        def function(pair: Pair, rest: dict[str, Any]) -> dict[str, Any]:
            return {"sum": pair.first + rest["b"], "both": (pair.second * rest["c"], [pair.first])}

        got = vmap(function, in_dims=(0, {"b": 1, "c": None}), out_dims={"sum": 1, "both": 0})(Pair(a, a), {"b": b, "c": c})
        close(got["sum"], a.numpy().T + b.numpy())
        close(got["both"][0], a * c)
        close(got["both"][1][0], a)
        assert isinstance(got["both"], tuple)

    def test_result_that_is_the_same_for_all_slices(self) -> None:
        x = normal(3, 2)
        same, more = vmap(lambda p: (gp.ones(2), p), out_dims=(None, 0))(x)
        assert (same.shape, more.shape) == ((2,), (3, 2))

    def test_nested(self) -> None:
        a, b = normal(3), normal(4, seed=1)
        outer = vmap(vmap(lambda p, q: p * q + p, in_dims=(None, 0)), in_dims=(0, None))
        close(outer(a, b), np.multiply.outer(a.numpy(), b.numpy()) + a.numpy()[:, None])
        x = normal(2, 3, 4)
        close(vmap(vmap(vmap(lambda p: p * p)))(x), x * x)
        close(vmap(lambda row: vmap(lambda p: p + row.sum())(row))(x[0]), x[0] + x[0].sum(1, keepdim=True))

    def test_no_slices(self) -> None:
        assert vmap(lambda p: (p @ p).exp())(gp.zeros(0, 3)).shape == (0,)
        assert vmap(lambda p: gp.column_stack([p, p]))(gp.zeros(0, 3)).shape == (0, 3, 2)

    def test_the_function_runs_once_and_the_graph_does_not_grow(self) -> None:
        calls = []

        def function(p: Tensor) -> Tensor:
            calls.append(p.shape)
            return gp.tanh(p).sum()

        sizes = []
        for size in (2, 50):
            before = current().nodes_computed
            vmap(function)(normal(size, 3)).numpy()
            sizes.append(current().nodes_computed - before)
        assert calls == [(3,), (3,)]
        assert sizes[0] == sizes[1]

    @pytest.mark.parametrize("chunk_size", [1, 2, 5, 7])
    def test_chunks(self, chunk_size: int) -> None:
        x = normal(3, 5)
        close(vmap(lambda p: p.cumsum(0), in_dims=1, out_dims=1, chunk_size=chunk_size)(x), np.cumsum(x.numpy(), 0))

    def test_change_in_place(self) -> None:
        x = normal(3, 2)

        def function(p: Tensor) -> Tensor:
            y = p * 2
            y.add_(p)
            y[0] = p[1]
            z = gp.zeros_like(p) * p
            z.copy_(y)
            return z

        for batch in (x, x.detach().requires_grad_()):
            got = vmap(function)(batch)
            close(got, np.stack([x.numpy()[:, 1], 3 * x.numpy()[:, 1]], 1))
        (gradient,) = gradients_of(got.sum(), batch)
        close(gradient, [[0.0, 4.0]] * 3)
        close(vmap(lambda p: p.mul_(3))(x.clone()), 3 * x)


class TestDerivatives:
    def test_gradient_of_each_sample(self) -> None:
        w, x = normal(4, 2, requires_grad=True), normal(3, 4, seed=1)
        got = vmap(grad(tanh_sum), in_dims=(None, 0))(w.detach(), x)
        close(got, looped(lambda p: grad(tanh_sum)(w.detach(), p), x))
        assert not got.requires_grad
        vmap(partial(tanh_sum, w))(x).sum().backward()
        assert w.grad is not None
        close(w.grad, got.sum(0))

    def test_gradient_of_the_vectorized_function(self) -> None:
        x = normal(3, 4)
        close(grad(lambda t: vmap(lambda p: (p**3).sum())(t).sum())(x), 3 * x.numpy() ** 2)
        close(grad(lambda t: vmap(grad(lambda p: (p**3).sum()))(t).sum())(x), 6 * x.numpy())

    def test_products_and_jacobians(self) -> None:
        x, v = normal(3, 4), normal(3, 4, seed=1)

        def function(p: Tensor) -> Tensor:
            return gp.sin(p) * p[0]

        close(vmap(jacrev(function))(x), looped(jacrev(function), x))
        close(
            vmap(lambda p, q: jvp(function, (p,), (q,))[1])(x, v), looped(lambda p, q: jvp(function, (p,), (q,))[1], x, v)
        )
        close(vmap(lambda p, q: vjp(function, p)[1](q)[0])(x, v), looped(lambda p, q: vjp(function, p)[1](q)[0], x, v))
        pull = vjp(function, x[0])[1]
        close(vmap(pull)(gp.eye(4, dtype=gp.float64))[0], jacrev(function)(x[0]))
        close(
            jacrev(vmap(function))(x).sum(2), looped(lambda p: jacrev(function)(p), x).reshape(3, 4, 3, 4).sum(2)
        ) if 0 else None

    def test_rows_of_a_jacobian_by_autograd(self) -> None:
        x = normal(3, requires_grad=True)
        y = gp.sin(x) * x[0]
        got = vmap(lambda v: gradients_of(y, x, v, retain_graph=True)[0])(gp.eye(3, dtype=gp.float64))
        close(got, jacrev(lambda p: gp.sin(p) * p[0])(x.detach()))

    def test_history_of_the_arguments(self) -> None:
        x = normal(3, 2, requires_grad=True)
        got = vmap(grad(lambda p: (p**3).sum()))(x)
        got.sum().backward()
        assert x.grad is not None
        close(x.grad, 6 * x.detach().numpy())

    def test_function_with_a_backward_of_its_own(self) -> None:
        x = normal(3, 2, requires_grad=True)
        close(vmap(Cube.apply)(x), x.detach().numpy() ** 3)
        close(vmap(grad(lambda p: Cube.apply(p).sum()))(x.detach()), 3 * x.detach().numpy() ** 2)
        with pytest.raises(RuntimeError, match="You tried to vmap over Cube, but it does not have vmap support"):
            vmap(Cube.apply)(x).sum().backward()

    def test_hooks(self) -> None:
        def function(p: Tensor) -> Tensor:
            y = p * 2
            y.register_hook(lambda g: g * 10)
            return y.sum()

        x = normal(3, 2, requires_grad=True)
        close(vmap(grad(function))(x.detach()), np.full((3, 2), 20.0))
        with pytest.raises(RuntimeError, match="vmap: a hook was registered on a Tensor inside"):
            vmap(function)(x).sum().backward()

    def test_no_grad_and_detach(self) -> None:
        x = normal(3, 2, requires_grad=True)

        def function(p: Tensor) -> Tensor:
            with gp.no_grad():
                scale = p * 2
            return scale * p * p.detach()

        close(gradients_of(vmap(function)(x).sum(), x)[0], 2 * x.detach().numpy() ** 2)


class TestVerdicts:
    @pytest.mark.parametrize(
        "function",
        [
            lambda w, x: vmap(grad(tanh_sum), in_dims=(None, 0))(w, x),
            lambda w, x: vmap(grad(lambda p: (gp.exp(p) * p).sum()))(x),
            lambda w, x: vmap(grad(grad(lambda p: gp.exp(p) * p)))(x[0]),
            lambda w, x: vmap(vmap(grad(lambda p: gp.exp(p) * p)))(x),
            lambda w, x: vmap(jacrev(lambda p: gp.sin(p) * p[0]))(x),
            lambda w, x: vmap(grad(lambda p: gp.exp(p).sum()), out_dims=1)(x),
            lambda w, x: vmap(grad(lambda p: gp.exp(p).sum()), chunk_size=2)(x),
            lambda w, x: vmap(grad(lambda p: gp.relu(p).sum()))(x.detach().requires_grad_()),
        ],
    )
    def test_gradients_of_samples(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        verdict = function(normal(4, 2), normal(3, 4, seed=1)).verdict
        assert verdict is not None
        assert verdict.summary == "verified", verdict.reason

    def test_nodes_are_named_by_the_rules_they_were_derived_by(self) -> None:
        x = normal(3, 2, requires_grad=True)
        got = vmap(grad(lambda p: gp.exp(2 * p).sum()))(x)
        assert got.node is not None
        assert got.node.derived
        assert got.node.rules
        got.sum().backward()
        verdict = x.verdict
        assert verdict is not None
        assert verdict.summary == "verified", verdict.reason

    def test_place(self) -> None:
        def function(p: Tensor) -> Tensor:
            return p.exp()

        node = vmap(function)(normal(3, requires_grad=True)).grad_fn
        assert node is not None
        assert node.place == f"{__file__}:{function.__code__.co_firstlineno + 1}"


class TestRandomness:
    def test_error(self) -> None:
        with pytest.raises(RuntimeError, match="vmap: called random operation while in randomness error mode"):
            vmap(lambda p: p + gp.randn(2))(normal(3, 2))

    def test_same_and_different(self) -> None:
        x = gp.zeros(3, 2)
        for draw in (
            lambda: gp.randn(2),
            lambda: gp.rand(2),
            lambda: gp.randint(0, 10**9, (2,)),
            lambda: gp.randperm(50)[:2],
        ):
            same = vmap(lambda p, draw=draw: p + draw(), randomness="same")(x).numpy()
            different = vmap(lambda p, draw=draw: p + draw(), randomness="different")(x).numpy()
            assert (same == same[0]).all()
            assert len({row.tobytes() for row in different}) == 3

    def test_nested(self) -> None:
        x = gp.zeros(2, 3)
        for outer, inner, count in (("same", "different", 3), ("different", "same", 2), ("different", "different", 6)):
            function = vmap(vmap(lambda p: p + gp.randn(), randomness=inner), randomness=outer)
            assert len(set(function(x).numpy().ravel())) == count

    def test_chunks(self) -> None:
        x = gp.zeros(4)
        for randomness, count in (("same", 1), ("different", 4)):
            got = vmap(lambda p: p + gp.randn(), randomness=randomness, chunk_size=2)(x)
            assert len(set(got.tolist())) == count

    def test_seed(self) -> None:
        gp.manual_seed(3)
        first = gp.randn(3, 2)
        gp.manual_seed(3)
        close(vmap(lambda p: p + gp.randn(2), randomness="different")(gp.zeros(3, 2)), first)


def f(x: Tensor) -> Tensor:
    return x


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "in_dims of another type": (lambda: vmap(f, in_dims=[0])(gp.ones(2)), ValueError, "expected `in_dims` to be int or a"),
    "no inputs": (
        lambda: vmap(cast("Any", f))(),
        ValueError,
        "vmap(f)(<inputs>): got no inputs. Maybe you forgot to add inputs",
    ),
    "another structure": (
        lambda: vmap(f, in_dims=(0, 0))(gp.ones(2)),
        ValueError,
        "in_dims has structure (*, *) but inputs has structure (*,)",
    ),
    "no axis": (
        lambda: vmap(f, in_dims=("a",))(gp.ones(2)),
        ValueError,
        "in_dim must be either an integer dimension or None",
    ),
    "no tensor": (
        lambda: vmap(f)(cast("Tensor", 3)),
        ValueError,
        "We cannot vmap over non-Tensor arguments, please use None",
    ),
    "out of range": (
        lambda: vmap(f, in_dims=2)(gp.ones(2, 2)),
        ValueError,
        "that input is a Tensor of dimensionality 2 so expected in_dim to satisfy -2 <= in_dim < 2.",
    ),
    "nothing to map": (
        lambda: vmap(f, in_dims=(None,))(gp.ones(2)),
        ValueError,
        "vmap: Expected at least one Tensor to vmap over",
    ),
    "sizes": (
        lambda: vmap(lambda a, b: a)(gp.ones(2), gp.ones(3)),
        ValueError,
        "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes [2, 3] for the mapped",
    ),
    "result": (
        lambda: vmap(lambda x: 3)(gp.ones(2)),
        ValueError,
        "`<lambda>` must only return Tensors, got type <class 'int'>. Did you mean to set out_dims= to None for output?",
    ),
    "batched result without axis": (
        lambda: vmap(f, out_dims=None)(gp.ones(2)),
        ValueError,
        "vmap(f, ...): `f` can not return a BatchedTensor when out_dim is None",
    ),
    "out_dims": (
        lambda: vmap(f, out_dims=(0, 0))(gp.ones(2)),
        ValueError,
        "out_dims is not compatible with the structure of `outputs`",
    ),
    "out_dims of another type": (
        lambda: vmap(f, out_dims="a")(gp.ones(2)),
        ValueError,
        "`out_dims` must be an int, None or a",
    ),
    "out_dim out of range": (lambda: vmap(f, out_dims=2)(gp.ones(2, 2)), IndexError, "Dimension out of range"),
    "randomness": (
        lambda: vmap(f, randomness="x")(gp.ones(2)),
        RuntimeError,
        "Only allowed values for randomness are 'error'",
    ),
    "chunk_size": (lambda: vmap(f, chunk_size=0), ValueError, "vmap: chunk_size should be None or greater than 0. (got 0)"),
    "item": (
        lambda: vmap(lambda x: x.item())(gp.ones(2)),
        RuntimeError,
        "vmap: It looks like you're calling .item() on a Tensor",
    ),
    "float": (lambda: vmap(lambda x: float(x))(gp.ones(2)), RuntimeError, "vmap: It looks like you're calling .item()"),
    "control flow": (
        lambda: vmap(lambda x: x if x > 0 else -x)(gp.ones(2)),
        RuntimeError,
        "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow",
    ),
    "numpy": (lambda: vmap(lambda x: x.numpy())(gp.ones(2)), RuntimeError, "vmap: the values of a Tensor are needed here"),
    "mask": (
        lambda: vmap(lambda x: x[x > 0])(gp.ones(2, 2)),
        RuntimeError,
        "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch over indexing",
    ),
    "nonzero": (lambda: vmap(lambda x: x.nonzero())(gp.ones(2, 2)), RuntimeError, "Attempted to vmap over aten::nonzero"),
    "masked_select": (
        lambda: vmap(lambda x: x.masked_select(x > 0))(gp.ones(2, 2)),
        RuntimeError,
        "Attempted to vmap over aten::masked_select",
    ),
    "value behind ops": (
        lambda: vmap(lambda x: (x * 2).tolist())(gp.ones(2)),
        RuntimeError,
        "the values of a Tensor are needed",
    ),
    "backward": (
        lambda: vmap(lambda x: x.sum().backward())(gp.ones(2, requires_grad=True)),
        RuntimeError,
        "backward() called inside a functorch transform",
    ),
    "in place": (
        lambda: vmap(lambda x: gp.zeros(()).add_(x))(gp.ones(2)),
        RuntimeError,
        "vmap: a change in place of a Tensor",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)


def test_errors_name_the_line() -> None:
    def function(p: Tensor) -> float:
        return float(p)

    with pytest.raises(RuntimeError) as raised:
        vmap(function)(gp.ones(2))
    assert f"{__file__}:{function.__code__.co_firstlineno + 1}" in str(raised.value)


def test_a_tensor_that_leaves_its_function() -> None:
    kept: list[Tensor] = []

    def function(p: Tensor) -> Tensor:
        kept.append(p * 2)
        return p

    vmap(function)(gp.ones(2))
    with pytest.raises(RuntimeError, match="is used after the function has returned"):
        kept[0].tolist()
    assert repr(kept[0]) == "Placeholder(shape=(), dtype=float32)"
