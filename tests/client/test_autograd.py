"""Autograd as PyTorch 2.13 was observed to do it: the numbers and texts are those it printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.support.liveness import Living

import gradproof.client as gp
from gradproof.client.autograd import functional, grad
from gradproof.client.backward import engine
from gradproof.client.recording import runtime
from gradproof.client.tensors.tensor import Tensor

pytestmark = pytest.mark.usefixtures("tensors")


def leaf(*values: Any, **rest: Any) -> Tensor:
    return gp.tensor(values[0] if len(values) == 1 else list(values), requires_grad=True, **rest)


def row(*values: float, **rest: Any) -> Tensor:
    return gp.tensor(list(values), requires_grad=True, **rest)


def says(kind: type[Exception], text: str, function: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=re.escape(text)):
        function()


def numbers(*tensors: Tensor | None) -> list[Any]:
    return [None if t is None else t.tolist() for t in tensors]


class TestLeaves:
    @pytest.mark.slow
    def test_what_is_a_leaf_and_what_requires_grad(self) -> None:
        x, c = row(1.0, 2.0), gp.tensor([3.0, 4.0])
        found = {
            name: (t.is_leaf, t.requires_grad, t.grad_fn and t.grad_fn.name())
            for name, t in {"y": x * c, "z": c * 2, "d": (x * c).detach(), "g": x > 0, "s": x.sign(), "i": x.long()}.items()
        }
        assert found == {
            "y": (False, True, "MulBackward0"),
            "z": (True, False, None),
            "d": (True, False, None),
            "g": (True, False, None),
            "s": (False, True, "SignBackward0"),
            "i": (True, False, None),
        }

    def test_a_conversion_that_changes_nothing_is_the_leaf_itself(self) -> None:
        x = row(1.0)
        assert x.float() is x
        assert x.contiguous() is x
        assert not x.clone().is_leaf
        assert not gp.ones_like(x * 2).requires_grad

    @pytest.mark.parametrize("dtype", [gp.float16, gp.bfloat16, gp.float32, gp.float64, gp.complex64, gp.complex128])
    def test_dtypes_that_may_require_grad(self, dtype: Any) -> None:
        x = gp.ones(2, dtype=dtype, requires_grad=True)
        (x * x).backward(gp.ones(2, dtype=dtype))
        assert x.grad is not None
        assert (x.grad.dtype, x.grad.tolist()) == (dtype, [2.0, 2.0])

    def test_integers_may_not(self) -> None:
        says(RuntimeError, "Only Tensors of floating point and complex dtype can require gradients",
             lambda: gp.tensor([1, 2], requires_grad=True))  # fmt: skip
        says(RuntimeError, "only Tensors of floating point dtype can require gradients",
             lambda: gp.tensor([1, 2]).requires_grad_())  # fmt: skip
        says(RuntimeError, "only Tensors of floating point and complex dtype can require gradients",
             lambda: setattr(gp.tensor([True]), "requires_grad", True))  # fmt: skip

    def test_the_flag_of_an_inner_value_cannot_be_changed(self) -> None:
        y = row(1.0) * 2
        says(
            RuntimeError,
            "you can only change requires_grad flags of leaf variables. If you want",
            lambda: y.requires_grad_(False),
        )
        says(
            RuntimeError,
            "you can only change requires_grad flags of leaf variables.",
            lambda: setattr(y, "requires_grad", True),
        )
        assert y.requires_grad_() is y

    def test_turned_on_later(self) -> None:
        c = gp.tensor([3.0, 4.0])
        z = c * 2
        before = z * 1
        z.requires_grad_()
        (z * z).sum().backward()
        assert (z.is_leaf, numbers(z.grad), before.requires_grad) == (True, [[12.0, 16.0]], False)

    def test_turned_off_after_it_was_used(self) -> None:
        x, seen = leaf(2.0), []
        y = x * x
        x.register_hook(lambda g: seen.append(g.item()))
        x.requires_grad_(False)
        y.backward()
        assert (seen, x.grad) == ([4.0], None)


class TestNodes:
    def test_names_and_next_functions(self) -> None:
        x, a, c = leaf(3.0), leaf(4.0), gp.tensor(5.0)
        f = (a * x + c).grad_fn
        assert f is not None
        assert (f.name(), repr(f.next_functions)) == ("AddBackward0", "((<MulBackward0>, 0), (None, 0))")
        m = f.next_functions[0][0]
        assert repr(m.next_functions) == "((<AccumulateGrad>, 0), (<AccumulateGrad>, 0))"
        assert m.next_functions[1][0].variable is x
        square = (x * x).grad_fn
        assert square is not None
        assert square.next_functions[0][0] is square.next_functions[1][0]

    def test_slots_of_nodes_with_several_outputs(self) -> None:
        p, q = row(1.0, 2.0, 3.0).split((1, 2))
        f = (p * q).grad_fn
        assert f is not None
        assert repr(f.next_functions) == "((<SplitBackward0>, 0), (<SplitBackward0>, 1))"

    @pytest.mark.parametrize(
        ("expression", "name"),
        [
            ("a + b", "AddBackward0"), ("a - b", "SubBackward0"), ("1 - a", "RsubBackward1"), ("2 * a", "MulBackward0"),
            ("a / b", "DivBackward0"), ("-a", "NegBackward0"), ("a ** 2", "PowBackward0"), ("a ** b", "PowBackward1"),
            ("2 ** a", "PowBackward2"), ("m @ m", "MmBackward0"), ("m @ a", "MvBackward0"), ("a @ a", "DotBackward0"),
            ("a.sum()", "SumBackward0"), ("a.sum(0)", "SumBackward1"), ("a.mean()", "MeanBackward0"),
            ("a.mean(0)", "MeanBackward1"), ("a.prod(0)", "ProdBackward1"), ("a.amax()", "AmaxBackward0"),
            ("a.exp()", "ExpBackward0"), ("a.log1p()", "Log1PBackward0"), ("a.rsqrt()", "RsqrtBackward0"),
            ("a.square()", "PowBackward0"), ("a.clamp(0, 1)", "ClampBackward1"), ("a.softmax()", "SoftmaxBackward0"),
            ("m.t()", "TBackward0"), ("m.T", "TBackward0"), ("m.permute(1, 0)", "PermuteBackward0"),
            ("m.reshape(4)", "ViewBackward0"), ("a.expand(3, 2)", "ExpandBackward0"),
            ("a.unsqueeze(0)", "UnsqueezeBackward0"), ("a[[0, 1]]", "IndexBackward0"),
            ("gp.cat([a, b])", "CatBackward0"), ("gp.stack([a, b])", "StackBackward0"), ("a.double()", "ToCopyBackward0"),
            ("gp.where(a > 0, a, b)", "WhereBackward0"), ("a.sum_to_size(1)", "SumBackward1"),
        ],
    )  # fmt: skip
    def test_names_are_those_of_pytorch(self, expression: str, name: str) -> None:
        scope = {"a": row(1.0, 2.0), "b": row(3.0, 4.0), "m": gp.eye(2, requires_grad=True), "gp": gp}
        result = eval(expression, scope)
        assert result.grad_fn.name() == name


class TestSeeds:
    def test_only_one_element_may_go_without(self) -> None:
        y = row(1.0, 2.0) * 2
        says(RuntimeError, "grad can be implicitly created only for scalar outputs", y.backward)
        x = leaf([[1.0]])
        (x * 2).backward()
        assert numbers(x.grad) == [[[2.0]]]
        says(RuntimeError, "grad can be implicitly created only for real scalar outputs but got complex64",
             (leaf(1 + 2j) * 1).backward)  # fmt: skip

    def test_the_shape_is_exact(self) -> None:
        x = row(1.0, 2.0)
        text = (
            "Mismatch in shape: grad_output[0] has a shape of torch.Size({}) and output[0] has a shape of torch.Size({})."
        )
        says(RuntimeError, text.format("[]", "[2]"), lambda: (x * 2).backward(gp.tensor(1.0)))
        says(RuntimeError, text.format("[1]", "[]"), lambda: x.sum().backward(gp.tensor([1.0])))

    def test_the_dtype_is_cast_but_complex_and_real_do_not_mix(self) -> None:
        x = row(1.0, 2.0)
        (x * 2).backward(gp.tensor([1, 2]))
        assert x.grad is not None
        assert (numbers(x.grad), x.grad.dtype) == ([[2.0, 4.0]], gp.float32)
        says(RuntimeError, "For complex Tensors, both grad_output and output are required to have the same dtype.",
             lambda: x.sum().backward(gp.tensor(1 + 0j)))  # fmt: skip

    def test_types_and_counts(self) -> None:
        a, b = leaf(1.0) * 2, leaf(1.0) * 3
        gradient: Any = 1.0
        says(TypeError, "gradients can be either Tensors or None, but got float", lambda: a.backward(gradient))
        says(RuntimeError, "got 2 tensors and 1 gradients", lambda: gp.autograd.backward([a, b], [gp.tensor(1.0)]))
        says(RuntimeError, "element 1 of tensors does not require grad and does not have a grad_fn",
             lambda: gp.autograd.backward([a, gp.tensor(1.0)]))  # fmt: skip

    def test_several_roots_and_the_same_root_twice(self) -> None:
        x, seen = leaf(2.0), []
        y = x * 3
        y.register_hook(lambda g: seen.append(g.item()))
        gp.autograd.backward([y, y, x * x], [None, gp.tensor(1.0), None])
        assert (numbers(x.grad), seen) == ([10.0], [2.0])

    def test_a_leaf_is_a_root(self) -> None:
        v = leaf(1.0)
        v.backward()
        v.backward(gp.tensor(5.0))
        assert numbers(v.grad) == [6.0]

    def test_backward_inside_no_grad(self) -> None:
        x = leaf(3.0)
        y = x * x
        with gp.no_grad():
            y.backward()
        assert numbers(x.grad) == [6.0]


class TestAccumulation:
    def test_in_place_into_the_same_tensor(self) -> None:
        x = row(1.0, 2.0)
        (x * x).sum().backward()
        first = x.grad
        (x * x).sum().backward()
        assert first is x.grad
        assert numbers(first) == [[4.0, 8.0]]
        x.grad = None
        (3 * x).sum().backward()
        assert numbers(x.grad) == [[3.0, 3.0]]

    def test_none_is_not_zeros(self) -> None:
        x, w, u = leaf(1.0), leaf(1.0), leaf(1.0)
        (x + w * 0).backward()
        assert numbers(w.grad, u.grad) == [0.0, None]

    def test_in_the_dtype_of_the_leaf(self) -> None:
        v = gp.tensor(1.0, dtype=gp.float16, requires_grad=True)
        v.grad = gp.tensor(2048.0, dtype=gp.float16)
        (v * 1).backward()
        assert numbers(v.grad) == [2048.0]
        b = gp.tensor(1.0, dtype=gp.bfloat16, requires_grad=True)
        b.grad = gp.tensor(256.0, dtype=gp.bfloat16)
        (b * 1).backward()
        assert numbers(b.grad) == [256.0]

    def test_assigning(self) -> None:
        x, anything = row(1.0, 2.0), 3
        says(RuntimeError, "attempting to assign a gradient of size '[1]' to a tensor of size '[2]'.",
             lambda: setattr(x, "grad", gp.ones(1)))  # fmt: skip
        says(RuntimeError, "attempting to assign a gradient with dtype 'float64' to a tensor with grad_dtype 'Float'.",
             lambda: setattr(x, "grad", gp.ones(2, dtype=gp.float64)))  # fmt: skip
        says(
            TypeError,
            "assigned grad expected to be a Tensor or None but got grad of type int",
            lambda: setattr(x, "grad", anything),
        )
        says(RuntimeError, "can't assign Variable as its own grad", lambda: setattr(x, "grad", x))

    def test_all_or_nothing(self) -> None:
        x, w = leaf(2.0), leaf(5.0)
        h = x.exp()
        h.backward()
        says(RuntimeError, "Trying to backward through the graph a second time", (h + w).backward)
        assert w.grad is None  # PyTorch leaves 1.0 there

    def test_a_retained_gradient(self) -> None:
        x = row(1.0)
        y = x * 2
        with pytest.warns(UserWarning, match=r"The \.grad attribute of a Tensor that is not a leaf Tensor"):
            assert y.grad is None
        y.retain_grad()
        x.retain_grad()
        assert (y.retains_grad, x.retains_grad) == (True, False)
        y.sum().backward(retain_graph=True)
        y.sum().backward(retain_graph=True)
        assert numbers(y.grad, x.grad) == [[2.0], [4.0]]
        grad(y.sum(), x)
        assert numbers(y.grad, x.grad) == [[3.0], [4.0]]
        says(RuntimeError, "can't retain_grad on Tensor that has requires_grad=False", gp.tensor([1.0]).retain_grad)


class TestLifetime:
    @pytest.mark.parametrize(
        "make", [lambda x: x + 1, lambda x: -x, lambda x: x.sum(0), lambda x: x.reshape(1, 1), lambda x: x[0]]
    )
    def test_what_saves_nothing_can_be_run_twice(self, make: Any) -> None:
        x = row(1.0)
        y = make(x).sum()
        y.backward()
        y.backward()
        assert x.grad is not None

    @pytest.mark.parametrize(
        "make", [lambda x: x * 2, lambda x: x / 2, lambda x: x.exp(), lambda x: x.relu(), lambda x: x[[0]]]
    )
    def test_what_saves_something_cannot(self, make: Any) -> None:
        y = make(row(1.0)).sum()
        y.backward()
        says(RuntimeError, "Trying to backward through the graph a second time", y.backward)

    def test_retain_graph(self) -> None:
        x = leaf(3.0)
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
        assert numbers(x.grad) == [12.0]
        says(RuntimeError, "Specify retain_graph=True", y.backward)

    def test_what_is_changed_later_changes_no_graph(self) -> None:
        x = row(1.0, 2.0)
        y = (x * x).sum()
        with gp.no_grad():
            x.mul_(10)
        y.backward()
        assert numbers(x, x.grad) == [[10.0, 20.0], [2.0, 4.0]]
        says(RuntimeError, "a leaf Variable that requires grad is being used in an in-place operation.", lambda: x.add_(1))


class TestHigherOrder:
    def test_three_times(self) -> None:
        x = leaf(2.0)
        (g,) = grad(x**3, x, create_graph=True)
        (h,) = grad(g, x, create_graph=True)
        (k,) = grad(h, x)
        assert numbers(g, h, k) == [12.0, 12.0, 6.0]

    def test_a_constant_gradient_does_not_require_grad(self) -> None:
        x = leaf(2.0)
        (g,) = grad(3 * x, x, create_graph=True)
        assert not g.requires_grad
        says(RuntimeError, "element 0 of tensors does not require grad and does not have a grad_fn", lambda: grad(g, x))

    def test_a_hook_is_differentiated_and_fires_again(self) -> None:
        x, seen = leaf(2.0), []
        y = x**2
        y.register_hook(lambda g: g * x)
        (g,) = grad(y * 3, x, create_graph=True)
        assert numbers(g, grad(g, x)[0]) == [24.0, 24.0]
        y = x**2
        y.register_hook(lambda g: seen.append(g.item()))
        (g,) = grad(y**2, x, create_graph=True)
        g.backward()
        assert (seen, numbers(x.grad)) == ([8.0, 8.0], [48.0])

    def test_at_kinks_and_poles(self) -> None:
        found: list[Any] = [(lambda a: a.sqrt(), (np.inf, -np.inf)), (lambda a: a * a.abs(), (0.0, 0.0))]
        for function, expected in found:
            a = leaf(0.0)
            (g,) = grad(function(a), a, create_graph=True)
            assert (g.item(), grad(g, a)[0].item()) == expected

    def test_backward_with_create_graph(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "_warned", False)
        x = leaf(2.0)
        with pytest.warns(UserWarning, match="reference cycle"):
            (x**3).backward(create_graph=True)
        assert x.grad is not None
        assert x.grad.grad_fn is not None
        x.grad.backward()
        assert x.grad.item() == 24.0

    def test_retained_and_captured_inside(self) -> None:
        x = leaf(3.0)
        y = x * x
        z = y * y
        gy, gx = grad(z, [y, x], create_graph=True)
        assert numbers(gy, gx, grad(gx, x)[0]) == [18.0, 108.0, 108.0]


class TestGrad:
    def test_values_are_always_those_after_hooks(self) -> None:
        x = row(1.0)
        y = x * 2
        z = y * 3
        y.register_hook(lambda g: g * 10)
        assert numbers(*grad(z, [y], retain_graph=True)) == [[30.0]]
        assert numbers(*grad(z, [x, y], retain_graph=True)) == [[60.0], [30.0]]  # PyTorch gives [3.0] for y here
        z.backward(inputs=[x, y])
        assert numbers(x.grad, y.accumulated) == [[60.0], [30.0]]

    def test_unused_inputs(self) -> None:
        x, u = leaf(2.0), leaf(1.0)
        z = x * 3
        says(RuntimeError, "The differentiated Tensor at index 1 appears to not have been used in the graph.",
             lambda: grad(z, [x, u], retain_graph=True))  # fmt: skip
        assert numbers(*grad(z, [x, u], allow_unused=True, retain_graph=True)) == [3.0, None]
        assert numbers(*grad(z, [x, u], materialize_grads=True, retain_graph=True)) == [3.0, 0.0]
        says(ValueError, "Expected allow_unused to be True or not passed when materialize_grads=True",
             lambda: grad(z, x, allow_unused=False, materialize_grads=True))  # fmt: skip
        says(RuntimeError, "One of the differentiated Tensors does not require grad", lambda: grad(z, gp.tensor(1.0)))
        says(RuntimeError, "`inputs` argument to `grad()` cannot be empty.", lambda: grad(z, []))
        says(RuntimeError, "`inputs` argument to `backward()` cannot be empty.", lambda: z.backward(inputs=[]))

    def test_batched(self) -> None:
        v = row(1.0, 2.0)
        assert numbers(grad(v * v, v, gp.eye(2), is_grads_batched=True)[0]) == [[[2.0, 0.0], [0.0, 4.0]]]

    def test_the_root_itself_and_repeats(self) -> None:
        x = leaf(2.0)
        z = x * 3
        assert numbers(*grad(z, [z, x, x])) == [1.0, 3.0, 3.0]

    def test_a_returned_gradient_has_a_verdict(self) -> None:
        x = leaf(2.0)
        (g,) = grad(x * x, x)
        assert g.verdict is not None
        assert g.verdict.summary == "verified"


class TestModes:
    def test_no_grad_and_detach(self) -> None:
        x = row(1.0, 2.0)
        with gp.no_grad():
            z = x * 2
            with gp.enable_grad():
                assert (x * 2).requires_grad
            made = gp.ones(1, requires_grad=True)
        assert (z.requires_grad, z.is_leaf, made.requires_grad) == (False, True, True)
        (x * z).sum().backward()
        assert numbers(x.grad) == [[2.0, 4.0]]
        x.grad = None
        y = x * 3
        (y * y.detach()).sum().backward()
        assert numbers(x.grad) == [[9.0, 18.0]]

    def test_as_decorators_and_switches(self) -> None:
        @gp.no_grad()
        def f(x: Tensor) -> Tensor:
            return x * 2

        assert not f(leaf(1.0)).requires_grad
        gp.set_grad_enabled(False)
        try:
            assert not gp.is_grad_enabled()
        finally:
            gp.set_grad_enabled(True)
        with gp.set_grad_enabled(False):
            assert not (leaf(1.0) * 2).requires_grad
        assert gp.is_grad_enabled()

    def test_anomaly_names_the_node(self) -> None:
        x = row(0.0)
        with gp.autograd.detect_anomaly():
            x.sqrt().backward()
            assert numbers(x.grad) == [[np.inf]]
            with pytest.raises(
                RuntimeError, match="Function 'SqrtBackward0' returned nan values in its 0th output"
            ) as caught:
                (x.sqrt() * 0).backward()
            assert "test_autograd.py" in caught.value.__notes__[0]
            y = x * 1
            y.register_hook(lambda g: g * float("nan"))
            says(RuntimeError, "hook '<lambda>' returned nan values", y.backward)


class TestKinks:
    @pytest.mark.parametrize(
        ("function", "at", "expected"),
        [
            (lambda a: a.relu(), [0.0], [0.0]),
            (lambda a: a.abs(), [0.0], [0.0]),
            (lambda a: a.sign(), [0.0], [0.0]),
            (lambda a: a.sqrt(), [0.0], [np.inf]),
            (lambda a: (a * a).sqrt(), [0.0], [np.nan]),
            (lambda a: a.sqrt() * 0, [0.0], [np.nan]),
            (lambda a: a.log(), [0.0], [np.inf]),
            (lambda a: a.log(), [-1.0], [-1.0]),
            (lambda a: 1 / a, [0.0], [-np.inf]),
            (lambda a, b: a / b, [0.0, 0.0], [np.inf, np.nan]),
            (lambda a, b: a**b, [0.0, 0.0], [0.0, 0.0]),
            (lambda a, b: a**b, [0.0, 2.0], [0.0, 0.0]),
            (lambda a, b: a**b, [0.0, 0.5], [np.inf, 0.0]),
            (lambda a, b: a**b, [-2.0, 2.0], [-4.0, np.nan]),
            (gp.maximum, [1.0, 1.0], [0.5, 0.5]),
            (gp.minimum, [1.0, 1.0], [0.5, 0.5]),
            (lambda a: gp.maximum(a, 0.0), [0.0], [0.5]),
            (lambda a: a.clamp(0, 1), [0.0], [1.0]),
            (lambda a: a.clamp(0, 1), [1.0], [1.0]),
            (lambda a: gp.where(a > 0, a.sqrt(), 0.0), [-1.0], [np.nan]),
            (lambda a, b: a.atan2(b), [0.0, 0.0], [0.0, 0.0]),
            (lambda a, b: a.hypot(b), [0.0, 0.0], [np.nan, np.nan]),
            (lambda a: a.asin(), [1.0], [np.inf]),
            (lambda a: a.exp(), [710.0], [np.inf]),
            (lambda a: (1 + a.exp()).log(), [1000.0], [np.nan]),
            (lambda a: a.softplus(), [1000.0], [1.0]),
            (lambda a: a.sigmoid(), [-1000.0], [0.0]),
            (lambda a, b: gp.stack([a, b]).prod(), [0.0, 3.0], [3.0, 0.0]),
        ],
    )
    def test_the_conventions_are_those_of_pytorch(self, function: Any, at: list[float], expected: list[float]) -> None:
        tensors = [leaf(x, dtype=gp.float64) for x in at]
        np.testing.assert_array_equal([g.item() for g in grad(function(*tensors), tensors) if g is not None], expected)

    def test_ties_share(self) -> None:
        a = row(1.0, 3.0, 3.0, 2.0)
        assert numbers(grad(a.max(), a)[0], grad(a.amax(), a)[0]) == [[0.0, 0.5, 0.5, 0.0]] * 2


class TestComplex:
    def test_the_convention(self) -> None:
        z = leaf(3 + 4j)
        real, imag = gp.ops.real, gp.ops.imag
        assert numbers(grad(z.abs() ** 2, z)[0], grad(real(z), z)[0], grad(imag(z), z)[0]) == [6 + 8j, 1, 1j]
        assert grad(z * z, z, gp.tensor(1 + 0j))[0].item() == 6 - 8j
        w = leaf(1 + 2j, dtype=gp.complex128)
        assert grad(real(w**3), w)[0].item() == pytest.approx(-9 - 12j)

    def test_a_real_leaf_gets_the_real_part(self) -> None:
        x = leaf(2.0)
        (x * 1j).backward(gp.tensor(1j))
        assert numbers(x.grad) == [1.0]


class TestBroadcasting:
    def test_the_reverse_of_broadcasting(self) -> None:
        a, b, c = gp.ones(3, 1, requires_grad=True), gp.ones(1, 4, requires_grad=True), gp.ones((), requires_grad=True)
        ((a + b) * c * gp.ones(2, 3, 4)).sum().backward()
        assert numbers(a.grad, b.grad, c.grad) == [[[8.0]] * 3, [[6.0] * 4], 48.0]
        m = gp.ones(2, 3, requires_grad=True)
        (m @ gp.ones(5, 3, 4)).sum().backward()
        assert numbers(m.grad) == [[[20.0] * 3] * 2]
        e = gp.zeros(1, 3, requires_grad=True)
        (e + gp.zeros(0, 3)).sum().backward()
        assert numbers(e.grad) == [[[0.0] * 3]]

    def test_texts(self) -> None:
        says(RuntimeError, "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0",
             lambda: gp.ones(2) + gp.ones(3))  # fmt: skip
        says(RuntimeError, "size {[3, 3]} is not expandable to size {[2, 3]}.", lambda: gp.ones(2, 3).sum_to_size(3, 3))
        assert numbers(gp.ones(2, 3, 4).sum_to_size(3, 1)) == [[[8.0]] * 3]


class TestFunctional:
    X = staticmethod(lambda: gp.tensor([1.0, 2.0]))

    def test_products(self) -> None:
        x, v = self.X(), gp.tensor([1.0, 1.0])
        square, cubes = (lambda x: x**2), (lambda x: (x**3).sum())
        assert numbers(functional.jacobian(square, x)) == [[[2.0, 0.0], [0.0, 4.0]]]
        assert numbers(functional.hessian(cubes, x)) == [[[6.0, 0.0], [0.0, 12.0]]]
        assert numbers(functional.vjp(square, x, v)[1]) == [[2.0, 4.0]]
        assert numbers(functional.jvp(square, x, gp.tensor([1.0, 10.0]))[1]) == [[2.0, 40.0]]
        assert numbers(functional.hvp(cubes, x, v)[1], functional.vhp(cubes, x, v)[1]) == [[6.0, 12.0]] * 2

    def test_several_inputs_and_outputs(self) -> None:
        x, y = self.X(), gp.tensor([3.0, 4.0])
        rows = functional.jacobian(lambda a, b: (a * b, a.sum()), (x, y))
        assert numbers(*rows[0], *rows[1]) == [[[3.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 2.0]], [1.0, 1.0], [0.0, 0.0]]
        blocks = functional.hessian(lambda a, b: (a * a * b).sum(), (x, y))
        assert numbers(blocks[0][1], blocks[1][1]) == [[[2.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]

    def test_texts(self) -> None:
        x = self.X()
        says(RuntimeError, "should contain a single element", lambda: functional.hessian(lambda x: x, x))
        says(RuntimeError, "The vector v can only be None if the user-provided function returns a single Tensor",
             lambda: functional.vjp(lambda x: x * 2, x))  # fmt: skip
        says(RuntimeError, "Output 0 of the user-provided function does not require gradients.",
             lambda: functional.jacobian(lambda x: gp.ones(2), x, strict=True))  # fmt: skip
        says(RuntimeError, "only Tensors of floating point dtype can require gradients",
             lambda: functional.jacobian(lambda x: x, gp.tensor([1])))  # fmt: skip
        assert not functional.jacobian(lambda x: x * x, x).requires_grad

    def test_functions_of_functions(self) -> None:
        x = self.X()
        assert gp.func.grad(gp.func.grad(lambda x: x**4))(gp.tensor(2.0)).item() == 48.0
        assert numbers(gp.func.jacrev(lambda x: x**2)(x)) == [[[2.0, 0.0], [0.0, 4.0]]]
        assert numbers(gp.func.jvp(lambda x: x**2, (x,), (gp.tensor([1.0, 10.0]),))[1]) == [[2.0, 40.0]]
        out, pull = gp.func.vjp(lambda x: x**2, x)
        assert numbers(out, *pull(gp.tensor([1.0, 1.0]))) == [[1.0, 4.0], [2.0, 4.0]]
        says(RuntimeError, "Expected f(*args) to return a scalar Tensor, got tensor with 1 dims.",
             lambda: gp.func.grad(lambda x: x * 2)(x))  # fmt: skip


class TestTraining:
    @pytest.mark.slow
    def test_a_loop_sends_its_graph_once_and_holds_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        living = Living(monkeypatch)
        gp.manual_seed(0)
        data = gp.randn(16, 3)
        target = (data.sum(1) > 0).float().reshape(16, 1)
        weights = [gp.randn(3, 8), gp.randn(8, 1)]
        for w in weights:
            w.requires_grad_()
        losses: list[float] = []

        def step() -> None:
            hidden = (data @ weights[0]).tanh()
            loss = ((hidden @ weights[1]).sigmoid() - target).square().mean()
            for w in weights:
                w.grad = None
            loss.backward()
            with gp.no_grad():
                for w in weights:
                    w -= 1.0 * w.grad
            losses.append(loss.item())

        for _ in range(3):
            step()
        sent, before = runtime.current().graphs_sent, living.count()
        for _ in range(197):
            step()
        assert runtime.current().graphs_sent == sent
        assert living.count() <= before
        assert losses[-1] < losses[0] / 3
