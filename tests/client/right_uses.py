"""Right uses of tensors, with the types that they must have for type checkers; nothing imports this file."""

from typing import Any, assert_type

import numpy as np

import gradproof.client as gp
from gradproof.client import Tensor
from gradproof.client.nn import functional as F


class Measured(gp.Tensor):
    """A subclass, which ops keep."""


x = gp.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
m = Measured(np.ones(2))

# methods and functions that share signatures
assert_type(x.exp(), Tensor)
assert_type(gp.exp(x), Tensor)
assert_type(gp.ops.exp(x), Tensor)
assert_type(x.hypot(1.0), Tensor)
assert_type(x.matmul(x).mv(x[0]), Tensor)
assert_type(x.sum(), Tensor)
assert_type(x.sum(0, True), Tensor)
assert_type(gp.sum(x, dim=(0, 1), keepdim=True, dtype=gp.float64), Tensor)
assert_type(x.mean(axis=-1, keepdims=True), Tensor)
assert_type(x.std(0, unbiased=False), Tensor)
assert_type(gp.var(x, correction=0), Tensor)
assert_type(x.softmax(dim=1), Tensor)

# namespaces
assert_type(gp.nn.functional.relu(x), Tensor)
assert_type(F.softmax(m, dim=0), Measured)
assert_type(gp.special.expit(m), Measured)
assert_type(gp.linalg.det(x), Tensor)
assert_type(gp.pow(2.0, x), Tensor)
assert_type(gp.maximum(m, 1.0), Measured)

# losses, layers and functions of several tensors
assert_type(F.cross_entropy(x, [0, 1], ignore_index=-1, reduction="sum", label_smoothing=0.1), Tensor)
assert_type(F.mse_loss(m, m, reduction="none"), Measured)
assert_type(F.binary_cross_entropy_with_logits(x, x, pos_weight=[2.0, 1.0]), Tensor)
assert_type(F.pad(m, (1, 1), mode="reflect"), Measured)
assert_type(F.one_hot(gp.tensor([0, 1]), 3), Tensor)
assert_type(F.embedding([0, 1], m), Measured)
assert_type(F.gelu(x, approximate="tanh"), Tensor)
assert_type(gp.vstack([x, x]), Tensor)
assert_type(gp.meshgrid(x[0], x[1]), tuple[Tensor, ...])
assert_type(gp.atleast_1d(1.0), Tensor)
assert_type(gp.searchsorted([1.0, 2.0], m), Measured)
assert_type(gp.linalg.solve(x, x), Tensor)
assert_type(gp.linalg.vector_norm(m, 3, dim=0), Measured)
assert_type(gp.special.polygamma(1, m), Measured)
assert_type(gp.special.xlogy(2.0, x), Tensor)

# updates, and results with positions
assert_type(x.index_add(0, [1, 0], x, alpha=2).scatter_add(1, x.long(), x), Tensor)
assert_type(x.index_put(([0, 1], [1, 0]), 2.0), Tensor)
assert_type(x.kthvalue(1).values, Tensor)
assert_type(x.median(), Tensor)
assert_type(x.median(0).indices, Tensor)
assert_type(x.cummax(0)[1], Tensor)
assert_type(gp.aminmax(m).max, Measured)
assert_type(x.tensor_split(2), tuple[Tensor, ...])
assert_type(x.allclose(x), bool)
assert_type(gp.tensor([1]) << 2, Tensor)

# operators
assert_type(x + 1, Tensor)
assert_type(2.0 / x - x**2, Tensor)
assert_type(x @ [1.0, 2.0], Tensor)
assert_type(x * np.ones(2) + np.float32(1), Tensor)
assert_type(x == 1, Tensor)
assert_type((x < 2) & ~(x != 1), Tensor)
assert_type(-abs(x), Tensor)
assert_type(1j * x, Tensor)

# signatures of their own
assert_type(x.clamp(min=0.0), Tensor)
assert_type(x.reshape(-1), Tensor)
assert_type(x.view((4, 1)).expand(4, 3).permute(1, 0), Tensor)
assert_type(x.T.mT.t(), Tensor)
assert_type(x.real, Tensor)
assert_type(x.norm(float("inf"), dim=0), Tensor)
assert_type(x.to(gp.float64).to(x).to("float32").double(), Tensor)
assert_type(x[0, 1:, None, ..., [0, 1]], Tensor)
assert_type(x[x > 1], Tensor)
assert_type(x.split(1), tuple[Tensor, ...])
assert_type(x.is_complex(), bool)
assert_type(x.shape, tuple[int, ...])
assert_type(gp.numel(x), int)
assert_type(gp.bool, np.dtype[Any])
assert_type(gp.ops.split(x, sections=2), tuple[Tensor, ...])
assert_type(gp.ops.call("planted.cube", x), Tensor)

# results that depend on the arguments
assert_type(x.max(), Tensor)
assert_type(x.max(x), Tensor)
assert_type(x.max(0).indices, Tensor)
assert_type(gp.max(x, 1)[0], Tensor)
assert_type(x.sort(descending=True).values, Tensor)
assert_type(gp.topk(x, 1).values, Tensor)


# gradients
def energy(t: Tensor) -> Tensor:
    """The sum of squares."""
    return (t * t).sum()


assert_type(x.grad, Tensor | None)
assert_type(gp.autograd.grad(energy(x), x), tuple[Tensor, ...])
assert_type(gp.autograd.grad([energy(x)], [x, x], create_graph=True)[0], Tensor)
assert_type(gp.func.grad(gp.func.grad(energy))(x), Tensor)
assert_type(gp.func.grad(lambda t: t.sum())(x), Tensor)
assert_type(gp.func.grad(energy, argnums=(0,))(x), tuple[Tensor, ...])
assert_type(gp.func.grad_and_value(energy)(x), tuple[Tensor, Tensor])
assert_type(gp.value_and_grad(energy)(x), tuple[Tensor, Tensor])
assert_type(gp.func.jacrev(energy)(x), Tensor)
assert_type(gp.func.jacfwd(gp.func.jacrev(energy))(x), Tensor)
assert_type(gp.func.hessian(energy)(x), Tensor)
assert_type(gp.func.jvp(energy, (x,), (x,)), tuple[Tensor, Tensor])
assert_type(gp.func.vjp(energy, x)[0], Tensor)
assert_type(gp.func.vjp(energy, x)[1](x), tuple[Tensor])
assert_type(gp.func.linearize(energy, x)[1](x), Tensor)


def with_parts(t: Tensor, u: dict[str, Tensor]) -> tuple[Tensor, str]:
    """A result and a word beside it."""
    return (t * u["weight"]).sum(), "word"


assert_type(gp.func.grad(with_parts, has_aux=True)(x, {"weight": x}), tuple[Tensor, str])
assert_type(gp.func.vjp(with_parts, x, {"weight": x}, has_aux=True)[1](x), tuple[Tensor, dict[str, Tensor]])
assert_type(gp.autograd.functional.vjp(energy, (x, x)), tuple[Tensor, tuple[Tensor, Tensor]])
assert_type(gp.autograd.functional.jacobian(energy, (x, x)), tuple[Tensor, ...])
x.register_hook(lambda gradient: gradient * 2)
x.register_hook("clip", max_norm=1.0)


# networks


class Bump(gp.nn.Module):
    """A network with a hidden layer, as users write it."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = gp.nn.Linear(1, 8)
        self.rest = gp.nn.Sequential(gp.nn.Tanh(), gp.nn.Linear(8, 1))

    def forward(self, t: Tensor) -> Tensor:
        """The result."""
        result: Tensor = self.rest(gp.nn.functional.relu(self.hidden(t)))
        return result


assert_type(Bump().hidden.weight, gp.nn.Parameter)
assert_type(Bump().train().double(), Bump)
assert_type(list(Bump().parameters()), list[gp.nn.Parameter])
assert_type(gp.nn.functional.conv2d(x, x, stride=(1, 2), padding="same"), Tensor)
assert_type(gp.nn.init.xavier_uniform_(Bump().hidden.weight), gp.nn.Parameter)
gp.optim.SGD(Bump().parameters(), lr=0.1).step()
gp.optim.Adam([{"params": [x], "lr": 0.1}])
gp.optim.AdamW(Bump().named_parameters())
gp.optim.lr_scheduler.StepLR(gp.optim.SGD([x]), 2).step()

# subclasses
assert_type(m.exp().sum(0), Measured)
assert_type(gp.exp(m), Measured)
assert_type(m + x, Measured)
assert_type(2 * m, Measured)
assert_type(m.min(0).values, Measured)
assert_type(m[0], Measured)
m += 1
assert_type(m, Measured)
