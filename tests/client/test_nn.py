"""Modules: values and gradients as PyTorch has them, registration, state, hooks, texts, and distributions of weights."""

from __future__ import annotations

import copy
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.client.torch_networks import CLIPPED, GAINS, LEAKY_GAIN, MODULES, data

import gradproof.client as gp
from gradproof.client import Tensor, nn
from gradproof.client.nn import functional, init, utils

pytestmark = pytest.mark.usefixtures("tensors")


def given(*shape: int, k: float = 0.0) -> Tensor:
    return gp.tensor(data(*shape, k=k))


def probabilities() -> Tensor:
    exponentials = np.exp(data(2, 3, k=4.0))
    return gp.tensor(exponentials / exponentials.sum(1, keepdims=True))


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(3, 2), (2, 3)),
    "conv2d": (lambda: nn.Conv2d(2, 4, (2, 3), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2), (1, 2, 3, 6)),
    "conv2d_same": (lambda: nn.Conv2d(1, 2, (2, 3), padding="same", bias=False), (1, 1, 3, 3)),
    "conv2d_reflect": (lambda: nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), (1, 1, 3, 4)),
    "conv2d_unbatched": (lambda: nn.Conv2d(2, 1, 2, stride=2), (2, 4, 3)),
    "layer_norm": (lambda: nn.LayerNorm((2, 3)), (2, 2, 3)),
    "max_pool2d": (lambda: nn.MaxPool2d((2, 3), stride=(1, 2), padding=(1, 1)), (1, 1, 3, 5)),
    "avg_pool2d": (lambda: nn.AvgPool2d(2, padding=1), (1, 2, 3, 4)),
    "sequential": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Flatten(0)), (2, 3)),
    "ReLU": (nn.ReLU, (2, 3)),
    "Tanh": (nn.Tanh, (2, 3)),
    "Sigmoid": (nn.Sigmoid, (2, 3)),
    "GELU": (nn.GELU, (2, 3)),
    "GELUtanh": (lambda: nn.GELU("tanh"), (2, 3)),
    "Softmax": (lambda: nn.Softmax(dim=1), (2, 3)),
    "LogSoftmax": (lambda: nn.LogSoftmax(dim=-1), (2, 3)),
    "SiLU": (nn.SiLU, (2, 3)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.1), (2, 3)),
    "ELU": (lambda: nn.ELU(0.7), (2, 3)),
    "Softplus": (lambda: nn.Softplus(2.0), (2, 3)),
}
FLOATS = "only Tensors of floating point dtype can require gradients"
TOO_FEW = "shape '[3, 2]' is invalid for input of size 2"
WEIGHT = [0.2, 0.3, 0.5]
LOSSES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    "MSELoss": (nn.MSELoss, lambda: given(2, 3, k=4.0)),
    "L1Loss": (lambda: nn.L1Loss(reduction="sum"), lambda: given(2, 3, k=4.0)),
    "SmoothL1Loss": (lambda: nn.SmoothL1Loss(beta=0.5), lambda: given(2, 3, k=4.0)),
    "HuberLoss": (lambda: nn.HuberLoss("none", 0.4), lambda: given(2, 3, k=4.0)),
    "CrossEntropyLoss": (
        lambda: nn.CrossEntropyLoss(gp.tensor(np.array(WEIGHT)), label_smoothing=0.1),
        lambda: gp.tensor([2, 0]),
    ),
    "NLLLoss": (lambda: nn.NLLLoss(gp.tensor(np.array(WEIGHT))), lambda: gp.tensor([2, 0])),
    "BCEWithLogitsLoss": (lambda: nn.BCEWithLogitsLoss(pos_weight=gp.tensor(np.array(WEIGHT))), probabilities),
    "KLDivLoss": (lambda: nn.KLDivLoss(reduction="batchmean"), probabilities),
    "BCELoss": (nn.BCELoss, probabilities),
}


def with_data(module: nn.Module) -> nn.Module:
    """The module in float64, with the weights of the cases."""
    module.double()
    with gp.no_grad():
        for j, parameter in enumerate(module.parameters()):
            parameter.copy_(data(*parameter.shape, k=j + 0.5))
    return module


def hold(name: str, result: Tensor, x: Tensor | None, module: nn.Module) -> None:
    case = MODULES[name]
    assert list(result.shape) == case["shape"]
    np.testing.assert_allclose(result.detach().numpy().reshape(-1), case["value"], rtol=1e-11, atol=1e-14)
    if x is not None:
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy().reshape(-1), case["input"], rtol=1e-10, atol=1e-13)
    for parameter, expected in zip(module.parameters(), case["parameters"], strict=True):
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy().reshape(-1), expected, rtol=1e-10, atol=1e-13)


class TestAgainstPyTorch:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", LAYERS)
    def test_layers(self, name: str) -> None:
        make, shape = LAYERS[name]
        module, x = with_data(make()), given(*shape).requires_grad_()
        y = module(x)
        assert type(y) is Tensor
        (y * given(*y.shape, k=2.0)).sum().backward()
        hold(name, y, x, module)

    def test_embedding(self) -> None:
        module = with_data(nn.Embedding(4, 2, padding_idx=1))
        y = module(gp.tensor([[0, 1], [3, 3]]))
        (y * given(*y.shape, k=2.0)).sum().backward()
        hold("embedding", y, None, module)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", LOSSES)
    def test_losses(self, name: str) -> None:
        make, target = LOSSES[name]
        module = make()
        x = (given(2, 3).sigmoid().detach() if name == "BCELoss" else given(2, 3)).requires_grad_()
        y = module(x, target())
        y.sum().backward()
        hold(name, y, x, module)

    @pytest.mark.parametrize("norm", CLIPPED)
    def test_gradients_are_clipped_by_their_norm(self, norm: str) -> None:
        a, b = nn.Parameter(gp.zeros(3).double()), nn.Parameter(gp.zeros(2, 2).double())
        a.grad, b.grad = given(3), given(2, 2, k=1.0)
        total = utils.clip_grad_norm_([a, b, nn.Parameter()], 1.0, float(norm))
        found = [total.item(), *a.grad.numpy(), *b.grad.numpy().reshape(-1)]
        np.testing.assert_allclose(found, CLIPPED[norm], rtol=1e-12)


class TestRegistration:
    def test_parameters_buffers_and_modules_by_name(self) -> None:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = nn.Parameter(gp.ones(1))
                self.first = nn.Linear(2, 3)
                self.register_buffer("mean", gp.zeros(3))
                self.register_buffer("count", gp.zeros(1), persistent=False)
                self.rest = nn.Sequential(nn.ReLU(), nn.Linear(3, 1, bias=False))
                self.tied = self.rest[1]

        net = Net()
        names = ["scale", "first.weight", "first.bias", "rest.1.weight"]
        assert [name for name, _ in net.named_parameters()] == names
        assert [name for name, _ in net.named_parameters(recurse=False)] == ["scale"]
        assert [name for name, _ in net.named_parameters("net", remove_duplicate=False)][-1] == "net.tied.weight"
        assert [name for name, _ in net.named_buffers()] == ["mean", "count"]
        assert [name for name, _ in net.named_children()] == ["first", "rest", "tied"]
        assert [name for name, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
        assert list(net.state_dict()) == [names[0], "mean", *names[1:], "tied.weight"]
        assert len(list(net.modules())) == 5
        assert len(list(net.children())) == 3
        assert len(list(net.buffers())) == 2
        assert net.get_submodule("rest.1") is net.tied
        assert net.get_parameter("first.weight") is net.first.weight
        assert net.get_buffer("mean").shape == (3,)
        assert {"scale", "first", "mean"} <= set(dir(net))

    def test_an_attribute_changes_its_kind(self) -> None:
        net = nn.Module()
        net.x = 3
        net.x = nn.Parameter(gp.zeros(1))
        assert len(list(net.parameters())) == 1
        net.x = nn.ReLU()
        assert (len(list(net.parameters())), len(list(net.children()))) == (0, 1)
        del net.x
        assert not hasattr(net, "x")
        net.register_buffer("b", None)
        net.b = gp.ones(2)
        assert len(list(net.buffers())) == 1

    @pytest.mark.parametrize(
        ("change", "error", "text"),
        [
            (
                lambda m: setattr(m, "weight", gp.zeros(2)),
                TypeError,
                "cannot assign 'torch.FloatTensor' as parameter 'weight' (torch.nn.Parameter or None expected)",
            ),
            (
                lambda m: m.register_parameter("weight", gp.zeros(2)),
                TypeError,
                "cannot assign 'torch.FloatTensor' object to parameter 'weight' (torch.nn.Parameter or None required)",
            ),
            (lambda m: m.register_parameter("x.y", None), KeyError, "parameter name can't contain \".\""),
            (lambda m: m.register_parameter("", None), KeyError, "parameter name can't be empty string \"\""),
            (lambda m: m.register_parameter("forward", None), KeyError, "attribute 'forward' already exists"),
            (
                lambda m: m.register_buffer("b", 3),
                TypeError,
                "cannot assign 'int' object to buffer 'b' (torch Tensor or None required)",
            ),
            (lambda m: m.add_module("b", 3), TypeError, "int is not a Module subclass"),
            (lambda m: m.add_module("b.c", nn.ReLU()), KeyError, "module name can't contain \".\", got: b.c"),
            (lambda m: m.foo, AttributeError, "'Linear' object has no attribute 'foo'"),
            (lambda m: nn.Module()(1), NotImplementedError, 'Module [Module] is missing the required "forward" function'),
            (lambda m: m.train(3), ValueError, "training mode is expected to be boolean"),
            (lambda m: m.get_submodule("a.b"), AttributeError, "Linear has no attribute `a`"),
            (lambda m: m.get_submodule("weight"), AttributeError, "`weight` is not an nn.Module"),
            (lambda m: m.get_buffer("weight"), AttributeError, "`weight` is not a buffer"),
            (lambda m: nn.Sequential(3), TypeError, "int is not a Module subclass"),
            (lambda m: nn.ModuleList([m])[3], IndexError, "index 3 is out of range"),
            (lambda m: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels must be divisible by groups"),
            (lambda m: nn.Conv2d(2, 3, 3, groups=2), ValueError, "out_channels must be divisible by groups"),
            (
                lambda m: nn.Conv2d(4, 3, 3, padding="same", stride=2),
                ValueError,
                "padding='same' is not supported for strided convolutions",
            ),
            (lambda m: nn.Dropout(2), ValueError, "dropout probability has to be between 0 and 1, but got 2"),
            (lambda m: nn.Embedding(3, 2, padding_idx=5), AssertionError, "Padding_idx must be within num_embeddings"),
            (
                lambda m: m.to(gp.int64),
                TypeError,
                "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=int64",
            ),
            (lambda m: nn.Parameter(gp.tensor([1])), RuntimeError, FLOATS),
            (lambda m: utils.vector_to_parameters(gp.zeros(2), m.parameters()), RuntimeError, TOO_FEW),
        ],
    )  # fmt: skip
    def test_errors_have_the_texts_of_pytorch(self, change: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error) as raised:
            change(nn.Linear(2, 3))
        assert raised.value.args[0] == text

    @pytest.mark.parametrize(("kind", "value"), [("parameters", nn.Parameter), ("module", nn.ReLU)])
    def test_nothing_is_assigned_before_the_constructor(self, kind: str, value: Any) -> None:
        class Net(nn.Module):
            def __init__(self) -> None:
                self.a = value()

        with pytest.raises(AttributeError, match=rf"cannot assign {kind} before Module\.__init__\(\) call"):
            Net()


class TestParameter:
    def test_results_are_plain_tensors(self) -> None:
        p = nn.Parameter(gp.tensor([1.0, 2.0]))
        for result in (p * 2, p.detach(), p.data * 2, p.data.clone(), p.clone(), gp.stack([p, p]), p[0], p.double(), -p):
            assert type(result) is Tensor
        assert p.requires_grad
        assert p.is_leaf
        assert not nn.Parameter(gp.zeros(1), requires_grad=False).requires_grad

    def test_copies_are_parameters(self) -> None:
        p = nn.Parameter(gp.tensor([1.0, 2.0]))
        for duplicate in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
            assert type(duplicate) is nn.Parameter
            assert duplicate.requires_grad
            assert duplicate.tolist() == [1.0, 2.0]

    def test_it_is_changed_in_place_under_no_grad(self) -> None:
        p = nn.Parameter(gp.tensor([1.0, 2.0]))
        (p * p).sum().backward()
        with gp.no_grad():
            assert p.grad is not None
            p -= 0.5 * p.grad
        assert type(p) is nn.Parameter
        assert p.tolist() == [0.0, 0.0]

    def test_its_data_are_its_value(self) -> None:
        p = nn.Parameter(gp.tensor([1.0, 2.0]))
        y = (p * p).sum()
        p.data.mul_(2).add_(1)
        assert (p.tolist(), p.requires_grad, p.is_leaf, p.data.requires_grad) == ([3.0, 5.0], True, True, False)
        p.data[0] = 7.0
        p.data -= 1
        assert p.tolist() == [6.0, 4.0]
        p.data = gp.zeros(3)
        assert p.tolist() == [0.0] * 3
        kept = copy.deepcopy(p.data)
        kept.fill_(2.0)
        assert p.tolist() == [0.0] * 3
        assert y.item() == 5.0


class TestFunctionalCall:
    def test_gradients_of_each_sample(self) -> None:
        """By the closed form of least squares: 2 (w x + b - t) times (x, 1)."""
        model = nn.Sequential(nn.Linear(2, 1))
        x, t = gp.tensor([[1.0, 2.0], [3.0, -1.0]]), gp.tensor([0.5, -2.0])
        parameters = {name: p.detach() for name, p in model.named_parameters()}

        def loss(parameters: dict[str, Any], x: Any, t: Any) -> Any:
            return (gp.func.functional_call(model, parameters, x)[0] - t) ** 2

        gradients: Any = gp.vmap(gp.func.grad(loss), in_dims=(None, 0, 0))(parameters, x, t)  # type: ignore[arg-type]
        w, b = (parameters[f"0.{name}"].numpy() for name in ("weight", "bias"))
        residual = 2 * (x.numpy() @ w[0] + b - t.numpy())
        np.testing.assert_allclose(gradients["0.bias"].numpy()[:, 0], residual, rtol=1e-6)
        np.testing.assert_allclose(gradients["0.weight"].numpy()[:, 0], residual[:, None] * x.numpy(), rtol=1e-6)

    def test_parameters_come_back(self) -> None:
        layer = nn.Linear(2, 2, bias=False)
        before = layer.weight
        assert gp.func.functional_call(layer, {"weight": gp.eye(2)}, (gp.ones(2),)).tolist() == [1.0, 1.0]
        with pytest.raises(gp.InvalidRequest):
            gp.func.functional_call(layer, {"weight": gp.eye(3)}, gp.ones(2))
        assert layer.weight is before

    def test_tied_weights(self) -> None:
        both = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
        both[1].weight = both[0].weight
        with gp.no_grad():
            both[0].weight.fill_(3.0)
        two = {"0.weight": gp.full((1, 1), 2.0)}
        assert gp.func.functional_call(both, two, gp.ones(1)).item() == 4.0
        assert gp.func.functional_call(both, two, gp.ones(1), tie_weights=False).item() == 6.0

    def test_names_at_fault(self) -> None:
        layer = nn.Linear(1, 1)
        with pytest.raises(KeyError, match="Linear has no parameter or buffer"):
            gp.func.functional_call(layer, {"wieght": gp.ones(1, 1)}, gp.ones(1))
        with pytest.raises(ValueError, match="appeared in multiple dictionaries"):
            gp.func.functional_call(layer, [{"bias": gp.ones(1)}, {"bias": gp.ones(1)}], gp.ones(1))


class TestState:
    def test_a_round_trip(self) -> None:
        a, b = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)), nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
        state = a.state_dict()
        assert list(state) == ["0.weight", "0.bias", "1.weight", "1.bias"]
        assert not any(tensor.requires_grad for tensor in state.values())
        assert repr(b.load_state_dict(pickle.loads(pickle.dumps(state)))) == "<All keys matched successfully>"
        x = gp.ones(2)
        assert a(x).tolist() == b(x).tolist()
        assert b[0].weight.requires_grad
        assert a.state_dict(keep_vars=True)["0.weight"] is a[0].weight

    def test_a_state_stays_as_it_was(self) -> None:
        layer = nn.Linear(1, 1)
        state = layer.state_dict()
        before = state["weight"].tolist()
        init.ones_(layer.weight)
        assert state["weight"].tolist() == before != layer.weight.tolist()

    def test_faults_are_told_at_once(self) -> None:
        layer = nn.Linear(2, 3)
        with pytest.raises(RuntimeError) as raised:
            layer.load_state_dict({"weight": gp.zeros(2, 2), "foo": 1})
        assert str(raised.value) == (
            "Error(s) in loading state_dict for Linear:\n"
            '\tMissing key(s) in state_dict: "bias". \n'
            '\tUnexpected key(s) in state_dict: "foo". \n'
            "\tsize mismatch for weight: copying a param with shape torch.Size([2, 2]) from checkpoint, the shape in "
            "current model is torch.Size([3, 2])."
        )
        kept = layer.load_state_dict({"weight": gp.zeros(3, 2), "foo": 1}, strict=False)
        assert (kept.missing_keys, kept.unexpected_keys) == (["bias"], ["foo"])
        assert layer.weight.tolist() == [[0.0, 0.0]] * 3

    def test_copies_have_parameters_of_their_own(self) -> None:
        net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        for duplicate in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            assert duplicate[0].weight is not net[0].weight
            assert duplicate[0].weight.tolist() == net[0].weight.tolist()
            assert duplicate(gp.ones(2)).tolist() == net(gp.ones(2)).tolist()

    def test_dtypes(self) -> None:
        net = nn.Sequential(nn.Linear(2, 2), nn.Embedding(3, 2))
        net.register_buffer("count", gp.tensor([1]))
        net[0](gp.ones(2)).sum().backward()
        assert net.double() is net
        assert {p.dtype for p in net.parameters()} == {gp.float64}
        assert net[0].weight.grad is not None
        assert net[0].weight.grad.dtype == gp.float64
        assert net.get_buffer("count").dtype == gp.int64
        assert net.to(gp.zeros(1)).half().bfloat16().float().to("cpu").cpu()[0].weight.dtype == gp.float32

    def test_train_eval_requires_grad_zero_grad_and_apply(self) -> None:
        net = nn.Sequential(nn.Linear(2, 1), nn.Sequential(nn.Dropout()))
        net(gp.ones(2)).sum().backward()
        assert [m.training for m in net.eval().modules()] == [False] * 4
        assert [m.training for m in net.train().modules()] == [True] * 4
        net.zero_grad(set_to_none=False)
        assert net[0].bias.grad.tolist() == [0.0]
        net.zero_grad()
        assert net[0].bias.grad is None
        assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())
        seen: list[str] = []
        assert net.apply(lambda m: seen.append(type(m).__name__)) is net
        assert seen == ["Linear", "Dropout", "Sequential", "Sequential"]

    def test_vectors(self) -> None:
        layer = nn.Linear(2, 1)
        utils.vector_to_parameters(gp.tensor([1.0, 2.0, 3.0]), layer.parameters())
        assert (layer.weight.tolist(), layer.bias and layer.bias.tolist()) == ([[1.0, 2.0]], [3.0])
        assert utils.parameters_to_vector(layer.parameters()).tolist() == [1.0, 2.0, 3.0]

    def test_gradients_are_limited(self) -> None:
        p = nn.Parameter(gp.zeros(3))
        p.grad = gp.tensor([-2.0, 0.25, 3.0])
        utils.clip_grad_value_(p, 0.5)
        assert p.grad.tolist() == [-0.5, 0.25, 0.5]
        assert utils.clip_grad_norm_(p, 10.0).item() == pytest.approx(0.75)
        assert p.grad.tolist() == [-0.5, 0.25, 0.5]
        p.grad = gp.tensor([math.nan, 0.0, 0.0])
        with pytest.raises(RuntimeError, match=r"total norm of order 2\.0 for gradients from `parameters` is non-finite"):
            utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)


class TestHooks:
    def test_before_and_after(self) -> None:
        layer = nn.Identity()
        calls: list[Any] = []

        def before(module: nn.Module, args: Any) -> Any:
            calls.append((module is layer, args[0].tolist()))
            return args[0] + 1

        first = layer.register_forward_pre_hook(before)
        second = layer.register_forward_hook(lambda module, args, result: result * 10)
        third = layer.register_forward_hook(lambda module, args, kwargs, result: calls.append(kwargs), with_kwargs=True)
        assert layer(gp.tensor([1.0])).tolist() == [20.0]
        assert calls == [(True, [1.0]), {}]
        for handle in (first, second, third):
            handle.remove()
        assert layer(gp.tensor([1.0])).tolist() == [1.0]
        assert len(calls) == 2

    def test_keywords(self) -> None:
        layer = nn.Flatten(0)
        layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {"input": gp.ones(2, 2)}), with_kwargs=True)
        assert layer(input=gp.zeros(1)).tolist() == [1.0] * 4
        layer.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
        with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kwargs\), but got 3"):
            layer(input=gp.zeros(1))


TEXTS: dict[str, Callable[[], object]] = {
    "Linear(in_features=2, out_features=3, bias=True)": lambda: nn.Linear(2, 3),
    "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1))": lambda: nn.Conv2d(2, 4, 3),
    "Conv2d(2, 4, kernel_size=(3, 2), stride=(2, 2), padding=(1, 1), dilation=(2, 2), groups=2, bias=False, "
    "padding_mode=reflect)": lambda: nn.Conv2d(2, 4, (3, 2), 2, 1, 2, 2, bias=False, padding_mode="reflect"),
    "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=same)": lambda: nn.Conv2d(2, 4, 3, padding="same"),
    "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)": lambda: nn.LayerNorm(4),
    "LayerNorm((2, 3), eps=1e-05, elementwise_affine=False, bias=False)": lambda: nn.LayerNorm((2, 3), 1e-5, False),
    "Embedding(5, 3, padding_idx=1)": lambda: nn.Embedding(5, 3, padding_idx=1),
    "Embedding(5, 3)": lambda: nn.Embedding(5, 3),
    "Dropout(p=0.2, inplace=False)": lambda: nn.Dropout(0.2),
    "Flatten(start_dim=1, end_dim=-1)": nn.Flatten,
    "Unflatten(dim=1, unflattened_size=(2, 3))": lambda: nn.Unflatten(1, (2, 3)),
    "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)": lambda: nn.MaxPool2d(2),
    "AvgPool2d(kernel_size=2, stride=2, padding=0)": lambda: nn.AvgPool2d(2),
    "ReLU()": nn.ReLU,
    "ReLU(inplace=True)": lambda: nn.ReLU(inplace=True),
    "LeakyReLU(negative_slope=0.1)": lambda: nn.LeakyReLU(0.1),
    "ELU(alpha=1.0)": nn.ELU,
    "Softplus(beta=1.0, threshold=20.0)": nn.Softplus,
    "GELU(approximate='none')": nn.GELU,
    "Softmax(dim=1)": lambda: nn.Softmax(dim=1),
    "CrossEntropyLoss()": lambda: nn.CrossEntropyLoss(gp.ones(2)),
    "Identity()": lambda: nn.Identity(3, a=2),
    "Sequential()": nn.Sequential,
    "Sequential(\n  (0): Linear(in_features=1, out_features=2, bias=True)\n  (1): ReLU()\n)": lambda: nn.Sequential(
        nn.Linear(1, 2), nn.ReLU()
    ),
    "Sequential(\n  (a): Sequential(\n    (0): ReLU()\n  )\n)": lambda: nn.Sequential(
        OrderedDict[str, nn.Module](a=nn.Sequential(nn.ReLU()))
    ),
    "ModuleList(\n  (0-2): 3 x Linear(in_features=1, out_features=2, bias=True)\n  (3): ReLU()\n)": lambda: nn.ModuleList(
        [*(nn.Linear(1, 2) for _ in range(3)), nn.ReLU()]
    ),
    "ModuleDict(\n  (a): ReLU()\n)": lambda: nn.ModuleDict({"a": nn.ReLU()}),
    "ParameterList(\n    (0): Parameter containing: [float32 of size 2x3]\n)": lambda: nn.ParameterList([gp.zeros(2, 3)]),
    "Parameter containing:\ntensor([0., 0.], requires_grad=True)": lambda: nn.Parameter(gp.zeros(2)),
    "Parameter containing:\ntensor([], requires_grad=True)": nn.Parameter,
}


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_those_of_pytorch(text: str) -> None:
    assert repr(TEXTS[text]()) == text


class TestContainers:
    def test_a_list(self) -> None:
        layers = nn.ModuleList([nn.ReLU()])
        layers.append(nn.Tanh()).extend([nn.Sigmoid()]).insert(0, nn.Linear(1, 1))
        layers += [nn.ReLU()]
        assert [type(m).__name__ for m in layers] == ["Linear", "ReLU", "Tanh", "Sigmoid", "ReLU"]
        assert [name for name, _ in layers.named_parameters()] == ["0.weight", "0.bias"]
        assert layers[-1] is layers[4]
        assert isinstance(layers[1:3], nn.ModuleList)
        layers[0] = nn.Tanh()
        del layers[1]
        assert (len(layers), list(layers.parameters())) == (4, [])
        assert [name for name, _ in layers.named_children()] == ["0", "1", "2", "3"]

    def test_a_dictionary(self) -> None:
        layers = nn.ModuleDict({"a": nn.ReLU()})
        layers["b"] = nn.Linear(1, 1)
        assert (list(layers), len(layers), "a" in layers, len(list(layers.items()))) == (["a", "b"], 2, True, 2)
        del layers["a"]
        assert list(layers.keys()) == ["b"]
        assert [type(m) for m in layers.values()] == [nn.Linear]

    def test_a_list_of_parameters(self) -> None:
        values = nn.ParameterList([gp.zeros(1)])
        values.append(nn.Parameter(gp.ones(2)))
        values += [gp.ones(3)]
        assert [name for name, _ in values.named_parameters()] == ["0", "1", "2"]
        values[-1] = gp.zeros(4)
        assert [p.shape for p in values] == [(1,), (2,), (4,)]
        assert all(isinstance(p, nn.Parameter) for p in values)
        with pytest.raises(IndexError, match="index 3 is out of range"):
            values[3]
        with pytest.raises(TypeError, match="a ParameterList holds tensors, not int"):
            values.append(3)  # type: ignore[arg-type]


class TestDropout:
    def test_in_training(self) -> None:
        gp.manual_seed(1)
        x = gp.ones(100, 100, requires_grad=True)
        y = nn.Dropout(0.25)(x)
        y.sum().backward()
        values = y.detach().numpy()
        assert set(np.unique(values)) == {np.float32(0.0), np.float32(4.0 / 3.0)}
        assert abs((values == 0).mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 10_000)
        assert x.grad is not None
        assert (x.grad.numpy() == values).all()
        gp.manual_seed(1)
        assert (nn.Dropout(0.25)(x).detach().numpy() == values).all()

    def test_slices_of_vmap_have_masks_of_their_own(self) -> None:
        gp.manual_seed(1)
        masks = gp.func.vmap(functional.dropout, randomness="different")(gp.ones(2, 1000)).numpy()
        assert (masks[0] != masks[1]).any()
        masks = gp.func.vmap(functional.dropout, randomness="same")(gp.ones(2, 1000)).numpy()
        assert (masks[0] == masks[1]).all()

    def test_otherwise(self) -> None:
        x = gp.ones(3)
        assert nn.Dropout(0.5).eval()(x) is x
        assert functional.dropout(x, 0.0) is x
        assert functional.dropout(x, 1.0).tolist() == [0.0] * 3


class TestInitialisation:
    """Bounds and moments of the documented distributions; a fifth standard error of slack."""

    SHAPE = (80, 20, 3, 5)
    FAN_IN, FAN_OUT, COUNT = 300, 1200, 24_000

    @pytest.mark.parametrize(
        ("fill", "deviation"),
        [
            (lambda w: init.kaiming_uniform_(w), math.sqrt(2 / FAN_IN)),
            (lambda w: init.kaiming_uniform_(w, a=math.sqrt(5)), math.sqrt(2 / 6 / FAN_IN)),
            (lambda w: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / FAN_OUT)),
            (lambda w: init.xavier_uniform_(w, gain=2.0), 2 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
            (lambda w: init.uniform_(w, -2.0, 2.0), 4 / math.sqrt(12)),
        ],
    )  # fmt: skip
    def test_uniform(self, fill: Any, deviation: float) -> None:
        gp.manual_seed(2)
        array = fill(nn.Parameter(gp.empty(self.SHAPE, dtype=gp.float64))).detach().numpy()
        bound = math.sqrt(3) * deviation
        assert bound * 0.999 < np.abs(array).max() <= bound
        assert abs(array.mean()) < 5 * deviation / math.sqrt(self.COUNT)
        assert abs(array.var() / deviation**2 - 1) < 5 * math.sqrt(0.8 / self.COUNT)

    @pytest.mark.parametrize(
        ("fill", "mean", "deviation"),
        [
            (lambda w: init.normal_(w, 3.0, 0.5), 3.0, 0.5),
            (lambda w: init.kaiming_normal_(w, nonlinearity="tanh"), 0.0, 5 / 3 / math.sqrt(FAN_IN)),
            (lambda w: init.xavier_normal_(w), 0.0, math.sqrt(2 / (FAN_IN + FAN_OUT))),
        ],
    )  # fmt: skip
    def test_normal(self, fill: Any, mean: float, deviation: float) -> None:
        gp.manual_seed(3)
        array = (fill(nn.Parameter(gp.empty(self.SHAPE, dtype=gp.float64))).detach().numpy() - mean) / deviation
        assert abs(array.mean()) < 5 / math.sqrt(self.COUNT)
        assert abs(array.var() - 1) < 5 * math.sqrt(2 / self.COUNT)
        assert abs((array**4).mean() - 3) < 5 * math.sqrt(96 / self.COUNT)

    def test_layers_start_as_in_pytorch(self) -> None:
        for layer, bound in ((nn.Linear(300, 80), 300**-0.5), (nn.Conv2d(40, 80, (3, 5), groups=2), 300**-0.5)):
            for parameter in layer.parameters():
                largest = np.abs(parameter.detach().numpy()).max()
                assert bound * 0.8 < largest <= bound * (1 + 1e-6)
        assert nn.Embedding(3, 2, padding_idx=-1).weight[2].tolist() == [0.0, 0.0]
        norm = nn.LayerNorm(2)
        assert [p.tolist() for p in norm.parameters()] == [[1.0, 1.0], [0.0, 0.0]]

    def test_constants_gains_and_errors(self) -> None:
        w = gp.empty(2, 2)
        assert init.ones_(w) is w
        assert (w.sum().item(), init.zeros_(w).sum().item(), init.constant_(w, 2.5)[0, 0].item()) == (4.0, 0.0, 2.5)
        assert init.eye_(w).tolist() == [[1.0, 0.0], [0.0, 1.0]]
        for name, gain in GAINS.items():
            assert init.calculate_gain(name) == pytest.approx(gain, rel=1e-13)  # type: ignore[arg-type]
        assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx(LEAKY_GAIN, rel=1e-13)
        for call, text in (
            (lambda: init.xavier_normal_(gp.zeros(3)), "Fan in and fan out can not be computed for tensor with fewer"),
            (lambda: init.kaiming_normal_(w, mode="x"), r"Mode x not supported, please use one of \['fan_in', 'fan_out'\]"),  # type: ignore[arg-type]
            (lambda: init.calculate_gain("x"), "Unsupported nonlinearity x"),  # type: ignore[arg-type]
            (lambda: init.calculate_gain("leaky_relu", True), "negative_slope True not a valid number"),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=text):
                call()
        with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
            init.kaiming_uniform_(gp.zeros(0, 2))


UNFIT: dict[str, Callable[[Any], Tensor]] = {
    "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [2, 3]": lambda z: functional.conv2d(
        z(2, 3), z(1, 1, 1, 1)
    ),
    "Given groups=1, weight of size [1, 1, 1, 1], expected input[1, 3, 4, 4] to have 1 channels, but got 3 channels "
    "instead": lambda z: functional.conv2d(z(1, 3, 4, 4), z(1, 1, 1, 1)),
    "Calculated padded input size per channel: (2 x 2). Kernel size: (3 x 3). Kernel size can't be greater than actual "
    "input size": lambda z: functional.conv2d(z(1, 1, 2, 2), z(1, 1, 3, 3)),
    "Given groups=2, expected weight to be divisible by 2 at dimension 0, but got weight of size [3, 2, 1, 1] "
    "instead": lambda z: functional.conv2d(z(1, 4, 2, 2), z(3, 2, 1, 1), groups=2),
    "Given normalized_shape=[4], expected input with shape [*, 4], but got input of size[2, 3]": lambda z: (
        functional.layer_norm(z(2, 3), (4,))
    ),
    "pad should be at most half of effective kernel size": lambda z: functional.max_pool2d(z(1, 1, 4, 4), 2, padding=2),
}


@pytest.mark.parametrize("text", UNFIT)
def test_shapes_that_do_not_fit(text: str) -> None:
    with pytest.raises(RuntimeError) as raised:
        UNFIT[text](gp.zeros)
    assert str(raised.value) == text


class TestNormalization:
    def test_a_batch_norm_in_training_and_in_evaluation(self) -> None:
        """Numbers of NumPy: the batch's mean and biased variance; running ones move by a tenth, the variance unbiased."""
        x = data(4, 3, 2, k=1.5)
        norm = nn.BatchNorm1d(3).double()
        norm.weight.data, norm.bias.data = gp.tensor(data(3)), gp.tensor(data(3, k=0.5))
        axes = (0, 2)
        mean, variance = x.mean(axes), x.var(axes)

        def expected(mean: Any, variance: Any) -> Any:
            each = (x - mean[:, None]) / np.sqrt(variance[:, None] + 1e-5)
            return each * data(3)[:, None] + data(3, k=0.5)[:, None]

        np.testing.assert_allclose(norm(gp.tensor(x)).detach().numpy(), expected(mean, variance), rtol=1e-12)
        running = 0.1 * mean, 0.9 + 0.1 * x.var(axes, ddof=1)
        np.testing.assert_allclose(norm.running_mean.numpy(), running[0], rtol=1e-14)
        np.testing.assert_allclose(norm.running_var.numpy(), running[1], rtol=1e-14)
        assert norm.num_batches_tracked.item() == 1
        norm.eval()
        np.testing.assert_allclose(norm(gp.tensor(x)).detach().numpy(), expected(*running), rtol=1e-12)
        assert set(norm.state_dict()) == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
        norm.reset_running_stats()
        assert (norm.running_mean.tolist(), norm.num_batches_tracked.item()) == ([0.0] * 3, 0)

    def test_without_momentum_all_batches_count_alike(self) -> None:
        norm = nn.BatchNorm2d(2, momentum=None, affine=False).double()
        batches = [data(2, 2, 3, 1, k=k) for k in (1.0, 2.0, 3.0)]
        for batch in batches:
            norm(gp.tensor(batch))
        np.testing.assert_allclose(norm.running_mean.numpy(), np.mean([b.mean((0, 2, 3)) for b in batches], 0), rtol=1e-12)

    def test_groups_of_channels(self) -> None:
        x = data(2, 4, 3, k=1.5)
        groups = x.reshape(2, 2, 6)
        each = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-5)
        norm = nn.GroupNorm(2, 4).double()
        np.testing.assert_allclose(norm(gp.tensor(x)).detach().numpy(), each.reshape(2, 4, 3), rtol=1e-12)

    def test_gradients_are_verified(self) -> None:
        """A sum of the results itself has the gradient 0: weights make it another."""
        for norm, shape in ((nn.BatchNorm1d(3), (4, 3)), (nn.GroupNorm(1, 3), (2, 3, 2))):
            x = gp.tensor(data(*shape), requires_grad=True)
            (norm.double()(x) * gp.tensor(data(*shape, k=2.0))).sum().backward()
            assert x.grad is not None
            assert x.verdict is not None
            assert {use.rule.word for use in x.verdict.uses} <= {"PROVED", "PROVED_AE"}
            assert x.verdict.summary in ("verified", "plausible")

    def test_texts(self) -> None:
        assert repr(nn.BatchNorm1d(3)) == (
            "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"
        )
        assert repr(nn.GroupNorm(1, 3)) == "GroupNorm(1, 3, eps=1e-05, affine=True, bias=True)"
        with pytest.raises(ValueError, match=r"expected 2D or 3D input \(got 4D input\)"):
            nn.BatchNorm1d(3)(gp.ones(2, 3, 1, 1))
        with pytest.raises(
            ValueError, match=r"more than 1 value per channel when training, got input size torch.Size\(\[1, 3\]"
        ):
            nn.BatchNorm1d(3)(gp.ones(1, 3))
        with pytest.raises(ValueError, match=r"num_channels \(3\) must be divisible by num_groups \(2\)"):
            nn.GroupNorm(2, 3)
        with pytest.raises(RuntimeError, match="Expected number of channels in input to be divisible by num_groups"):
            nn.functional.group_norm(gp.ones(2, 3), 2)
