"""The same programs in PyTorch, where it is installed: values, gradients and texts must be equal (to rounding)."""

from __future__ import annotations

import io
import re
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.client.torch_programs import LINES

import gradproof.client as gp

torch = pytest.importorskip("torch", minversion="2.13")
pytestmark = pytest.mark.usefixtures("tensors")

PROGRAMS = {
    "chain": """
x = T([0.3, -1.2], requires_grad=True)
show((x.sin() * x).exp().sum())
(x.sin() * x).exp().sum().backward()
show(x.grad)""",
    "scalars": """
x, a, b = (T(v, requires_grad=True) for v in (3.0, 4.0, 5.0))
y = a * x; z = y + b; y.retain_grad(); z.backward()
show(x.grad, a.grad, b.grad, y.grad, z.grad_fn.name(), [str(n[0]) for n in z.grad_fn.next_functions][:1])""",
    "broadcast": """
x, a = T(3.0, requires_grad=True), T([4.0, 2.0], requires_grad=True)
(x + a).backward(T([1000.0, 1000.0])); (x + a).mean().backward(); show(x.grad, a.grad)""",
    "matrices": """
m, v = T([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), T([0.5, -1.0], requires_grad=True)
((m @ m.t()) @ v).softmax(0).log().sum().backward(); show(m.grad, v.grad)""",
    "indexing": """
x = T([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
(x[0] * x[:, 1] + x[[1, 0], [0, 1]]).sum().backward()
show(x.grad)""",
    "reductions": """
x = T([[0.5, 1.5], [2.5, -0.5]], requires_grad=True)
(x.mean(0).prod() + x.var() + x.logsumexp(1).sum() + x.amax() + x.cumsum(1)[0, 1]).backward(); show(x.grad)""",
    "activations": """
x = T([-1.5, 0.25, 3.0], requires_grad=True)
(x.relu() + x.sigmoid() * x.tanh() + x.erf()).sum().backward()
show(x.grad)""",
    "hooks": """
x = T([1.0], requires_grad=True); y = x * 2
y.register_hook(lambda g: g + 1); y.retain_grad(); y.register_hook(lambda g: g * 10)
x.register_hook(lambda g: print(g.tolist()))
(y * 3).backward(); show(x.grad, y.grad)""",
    "node hooks": """
x = T([2.0], requires_grad=True); y = x * 3; f = y.grad_fn
f.register_hook(lambda gi, go: print("post", gi, go) or (gi[0] * 2, None)); y.retain_grad()
f.register_prehook(lambda go: print("pre", go) or (go[0] * 2,)); y.register_hook(lambda g: print("tensor", g) or g * 2)
x.register_post_accumulate_grad_hook(lambda p: print("post-acc", p.grad)); y.backward(); show(x.grad, y.grad)""",
    "node hooks of several inputs": """
x, w = T([1.0, 2.0], requires_grad=True), T([3.0, 4.0], requires_grad=True)
y = x * w; y.grad_fn.register_hook(lambda gi, go: (gi[0] + gi[1], gi[1] * go[0])); z = y * y
z.grad_fn.register_hook(lambda gi, go: (gi[0] * 10, gi[1])); z.sum().backward(); show(x.grad, w.grad)
y = x * w; y.grad_fn.register_hook(lambda gi, go: print(gi, go)); show(grad(y.sum(), x)[0])""",
    "node hooks of several outputs": """
x = T([1.0, 2.0, 3.0], requires_grad=True); a, b = (x * 1).split((1, 2))
a.grad_fn.register_prehook(lambda go: print(go) or (go[0] * 10, go[1] * 100))
a.grad_fn.register_hook(lambda gi, go: print(gi, go)); (a.sum() + (b * b).sum()).backward(); show(x.grad + 0)
a, b = (x * 1).split((1, 2)); a.grad_fn.register_prehook(lambda go: print(go))
a.grad_fn.register_hook(lambda gi, go: print(gi, go)); a.sum().backward(); show(x.grad)""",
    "node hooks that cut": """
x, w = T(2.0, requires_grad=True), T(5.0, requires_grad=True)
y = x * w; t = y * 1; t.grad_fn.register_prehook(lambda go: (None,)); t.grad_fn.register_hook(lambda gi, go: print(gi, go))
(t + x * 3).backward(); show(x.grad + 0, w.grad)
y = x * w; y.grad_fn.register_hook(lambda gi, go: (gi[0], None)); y.backward(); show(x.grad, w.grad)""",
    "node hooks that look": """
x, w = T([1.0, 2.0], requires_grad=True), T([3.0, 4.0], requires_grad=True); y = x * w; f = y.grad_fn
f.register_prehook(lambda go: (print(go[0].tolist()), first.remove(), (go[0] * go[0].sum(),))[2])
first = f.register_hook(lambda gi, go: print("removed before it ran"))
f.register_hook(lambda gi, go: (print(gi[0].tolist()), last.remove(), None)[2])
last = f.register_hook(lambda gi, go: print("removed while it was due")); y.sum().backward(); show(x.grad, w.grad)""",
    "node hooks under create_graph": """
x = T(2.0, requires_grad=True); y = x**3; y.grad_fn.register_prehook(lambda go: (go[0] * x,))
y.grad_fn.register_hook(lambda gi, go: (gi[0] * x,)); g, = grad(y, x, create_graph=True); show(g, grad(g, x)[0])
y = x * x; y.grad_fn.register_hook(lambda gi, go: print(len(gi)) or (gi[0] * 10, gi[1]))
g, = grad(y * y, x, create_graph=True); show(g, grad(g, x)[0])
y = x * 2; show(*grad([y, y * 3], [y, x], create_graph=True))""",
    "hooks where gradients are added": """
x = T([1.0], requires_grad=True); a = (x * 1).grad_fn.next_functions[0][0]
a.register_prehook(lambda go: print("pre", go) or (go[0] * 2,)); a.register_hook(lambda gi, go: print("post", gi, go))
x.register_hook(lambda g: print("tensor", g)); x.register_post_accumulate_grad_hook(lambda p: print("post-acc", p.grad))
(x * 3).backward(); (x * 3).backward(); show(x.grad, grad(x * 3, x)[0])""",
    "edges": """
x, w, c = T([1.0, 2.0], requires_grad=True), T([3.0, 4.0], requires_grad=True), T([5.0, 6.0])
for y in (x * 3, 3 * x, x + c, 3 - x, x - 3, x / 3, x**2, 2**x, x**w, lib.where(x > 0, x, w), lib.where(x > 0, x, c),
          x.clamp(0, 1), lib.stack([x, w]), lib.maximum(x, c), x.softmax(0), x @ w):
    y.grad_fn.register_hook(lambda gi, go: print([g is None for g in gi])); y.sum().backward()
    print([n and n.name()[-14:] for n, _ in y.grad_fn.next_functions])""",
    "functions": """
x = T([0.5, -1.5, 2.0], requires_grad=True); w = T([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
y = lib.exp(x) + lib.relu(x) * lib.tanh(x) - lib.pow(x, 2) + lib.add(x, x, alpha=3)
lib.sum(y * lib.softmax(x, dim=0)).backward()
(lib.norm(w, dim=0) + lib.std(w, 0, unbiased=False) + lib.inverse(w).diagonal()).sum().backward(); show(x.grad, w.grad)""",
    "picking": """
x = T([[0.5, -1.5, 2.0], [1.0, 0.0, 3.0]], requires_grad=True)
(x.gather(1, T([[0, 0], [2, 1]])).sum() * x.index_select(1, T([2, 0])).prod()
 + x.repeat(2, 1).narrow(0, 1, 2).square().sum() + x.masked_select(x > 0.7).sum() + x.masked_fill(x > 0, 2.0).prod()
 + x.chunk(2, dim=1)[1].sum()).backward(); show(x.grad)
show(x.all(), x.any(1), x.flatten(0, 1), x.squeeze(0), x.where(x > 0, 0.0), x.isfinite(), x.take(T([0, 4])))""",
    "order": """
x = T([[0.5, 2.0, 2.0], [1.0, 0.0, -3.0]], requires_grad=True); i = T([3.0, 1.0, 2.0])
((x.max(1)[0] * T([1.0, 2.0])).sum() + (x.sort(0).values * i).sum() + x.topk(2).values.prod() + x.min()).backward()
show(x.grad, x.argmax(), x.argmin(1), x.max(0, keepdim=True)[1], i.argsort(descending=True), i.topk(2, largest=False)[1])
show(T(5.0).max(0)[0], T(5.0).sort()[1], lib.sort(i)[1], T([[1.0, 2.0]]).log_softmax(1).gather(1, T([[1]])))""",
    "whole numbers": """
x = T([-2.5, 0.5, 3.0, 7.25], requires_grad=True); y = T([2.0, -2.0, 1.5, 0.75], requires_grad=True)
(x.floor() + x.round() * x + x.trunc() + x.ceil() + x % y + x.frac() * y).sum().backward()
show(x.grad, y.grad, x // y, 7 % x, 7 // x, T([7, -7]) // 2, T([7, -7]) % 3, x.div(y, rounding_mode="trunc"))""",
    "texts": """
for v in ([True, False], [True], [1 + 2j], [float("nan"), 1.0], [-1.0, float("-inf"), 20.0], [[]], [1.5, float("inf")]):
    print(T(v))""",
    "leaves in place": """
x = lib.arange(6.0); x[0] = 9; x[1:3] = T([7.0, 8.0]); x[x < 5] = 0; x[[4, 5]] += 1; x **= 2; x.neg_().clamp_(min=-50)
show(x, T([1, 2]).clamp(min=2), T([True, False]) ^ True)""",
    "functions of functions": """
f, x, one = lib.func, T([1.0, 2.0]), T(1.0)
show(*f.jacrev(lambda x: (x**2, x * 3))(x), f.jacrev(f.jacrev(lambda x: (x**3).sum()))(x))
show(f.grad(lambda t: f.vjp(lambda u: u**3, t)[1](one)[0])(T(2.0)))
show(f.hessian(lambda x: (x**3).sum())(x), f.jacfwd(lambda x: x**2)(x), f.grad(lambda a, b: a * b)(T(2.0), b=T(7.0)))
show(*f.grad_and_value(lambda p: p["u"] * p["v"])({"u": T(2.0), "v": T(3.0)})[0].values())
w = T(3.0, requires_grad=True); y = f.grad(lambda x: f.jvp(lambda y: x * y * y * w * w, (x,), (one,))[1])(T(2.0))
show(y.requires_grad, *grad(y, w), f.grad(lambda x: x * x)(one).requires_grad)
with lib.no_grad(): show(f.grad(lambda x: x * w)(w).requires_grad, *f.vjp(lambda x: (x, x * w), one)[1]((one, one)))""",
    "positions": "lib.func.grad(lambda a, b: a, argnums=(0, -2))(T(1.0), T(1.0))",
    "position": "lib.func.grad(lambda a, b: a, argnums=2)(T(1.0), T(1.0))",
    "not scalar function": "lib.func.grad(lambda a: a)(T([1.0]))",
    "not independent": "F.jvp(lambda a, b: a * a, (T(1.0), T(1.0)), (T(1.0), T(1.0)), strict=True)",
    "linear": "F.hessian(lambda a: 2 * a, T(1.0), strict=True)",
    "relu twice": """
y = T([1.0, -1.0], requires_grad=True); g, = grad(y.relu().sum(), y, create_graph=True); (g * g).sum().backward()
show(g, g.requires_grad, y.grad)""",
    "higher": """
x = T(2.0, requires_grad=True)
g, = grad(x**3, x, create_graph=True); h, = grad(g, x, create_graph=True); show(g, h, grad(h, x)[0])""",
    "functional": """
x = T([1.0, 2.0]); f = lambda x: (x**3).sum()
v = T([1.0, 1.0]); s = lambda x: x**2
show(F.jacobian(s, x), F.hessian(f, x), F.vjp(s, x, v)[1], F.hvp(f, x, v)[1])""",
    "half": """
x = T([1.5, 2.5], dtype=lib.float16, requires_grad=True)
(x * x).sum().backward()
show(x.grad, x.grad.dtype.itemsize)""",
    "complex": "z = T(3 + 4j, requires_grad=True); ((z * z).exp() * 1e-3).backward(T(1 + 0j)); show(z.grad)",
    "not scalar": "(T([1.0, 2.0], requires_grad=True) * 2).backward()",
    "seed shape": "(T([1.0, 2.0], requires_grad=True) * 2).backward(T(1.0))",
    "integers": "T([1, 2], requires_grad=True)",
    "twice": "y = T(1.0, requires_grad=True) * 2; y.backward(); y.backward()",
    "no grad": "T([1.0]).sum().backward()",
    "unused": "x, u = T(1.0, requires_grad=True), T(1.0, requires_grad=True); grad(x * 3, [x, u])",
    "hook size": "x = T([1.0, 2.0], requires_grad=True); x.register_hook(lambda g: g.sum()); x.sum().backward()",
    "hook type": "x = T([1.0, 2.0], requires_grad=True); x.register_hook(lambda g: g.double()); x.sum().backward()",
    "hook result": "x = T([1.0, 2.0], requires_grad=True); x.register_hook(lambda g: 3); x.sum().backward()",
    "hook array": "x = T([1.0], requires_grad=True); x.register_hook(lambda g: g.numpy()); x.sum().backward()",
    "node hook result": "y = T([1.0], requires_grad=True) * 2; y.grad_fn.register_prehook(lambda go: go[0]); y.backward()",
    "node hook count": "y = T(1.0, requires_grad=True) * 2; y.grad_fn.register_hook(lambda gi, go: gi * 2); y.backward()",
    "node hook none": "y = T(1.0, requires_grad=True) * 2; y.grad_fn.register_hook(lambda gi, go: go * 2); y.backward()",
    "node hook size": "y = -T([1.0], requires_grad=True); y.grad_fn.register_prehook(lambda g: (g[0][0],)); y.backward()",
    "inner flag": "(T(1.0, requires_grad=True) * 2).requires_grad_(False)",
    "assign": "T([1.0, 2.0], requires_grad=True).grad = T([1.0])",
    "broadcast sizes": "T([1.0, 2.0]) + T([1.0, 2.0, 3.0])",
}


LEAVES = {
    "x": [0.5, -1.5, 2.25],
    "y": [1.25, 0.75, -0.5],
    "p": [0.3, 1.7, 2.2],
    "c": 0.75,
    "m": [[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]],
    "s": [[4.0, 1.0, 0.5], [1.0, 3.0, -0.25], [0.5, -0.25, 2.0]],
    "b": (np.arange(24).reshape(2, 3, 4) % 7 / 3 - 1).tolist(),
    "e": np.zeros((0, 3)),
    "nan": [1.0, float("nan"), -2.0],
    "z": [1 + 2j, -0.5 + 0.25j],
}
"""Tensors that require grad, of the programs of a line."""


BACKWARDS = {
    "cube": (
        "a",
        "ctx.save_for_backward(a); return a**3",
        "g",
        "a, = ctx.saved_tensors; return 3 * a * a * g",
        "C.apply(x)",
    ),
    "two": (
        "a, u",
        "ctx.save_for_backward(a, u); return a * u",
        "g",
        "a, u = ctx.saved_tensors; return u * g, a * g",
        "C.apply(x, y) * p",
    ),
    "number": ("a, n", "ctx.n = n; return a * n", "g", "return g * ctx.n, None", "C.apply(x, 3)"),
    "results": ("a", "return a * 2, a * 3", "g, h", "return g * 2 + h * 3", "C.apply(x)"),
    "too many": ("a", "return a * 2", "g", "return g * 2, g", "C.apply(x).sum().backward()"),
    "size": ("a", "return a * 2", "g", "return g[:2]", "C.apply(x).sum().backward()"),
    "type": ("a", "return a * 2", "g", "return 3", "C.apply(x).sum().backward()"),
    "none": ("a", "return a * 2", "g", "return None", "C.apply(x).sum().backward(); x.grad"),
    "still": ("a", "ctx.mark_non_differentiable(a); return a", "g", "return g", "C.apply(i)"),
    "needs": (
        "a, u",
        "return a + u",
        "g",
        "return g, g * 2 if ctx.needs_input_grad[1] else None",
        "C.apply(x, y.detach())",
    ),
    "nested": ("a", "return a.clone()", "g", "return g * 10", "C.apply(x) + C.apply(C.apply(x))"),
    "name": ("a", "return a * 2", "g", "return g * 2", "C.apply(x).grad_fn.name()"),
    "error": ("a", "raise ValueError('no')", "g", "return g", "C.apply(x)"),
    "late error": ("a", "return a * 2", "g", "raise ValueError('no')", "C.apply(x).sum().backward()"),
}
"""Arguments and body of a forward, those of its backward, and a use."""


def of_function(arguments: str, forward: str, gradients: str, backward: str, use: str) -> str:
    """The program of a line of a function with a backward of its own."""
    head = "class C(lib.autograd.Function):"
    bodies = (("forward", arguments, forward), ("backward", gradients, backward))
    parts = [
        f"\\n  @staticmethod\\n  def {name}(ctx, {taken}):\\n    " + body.replace("; ", "\\n    ")
        for name, taken, body in bodies
    ]
    return f"{head}{''.join(parts)}\\n{use}"


def run(program: str, lib: Any, functional: Any) -> tuple[list[Any], str]:
    """What a program shows, and the first line of its error."""
    shown: list[Any] = []

    def show(*found: Any) -> None:
        shown.extend(x.detach().numpy() if hasattr(x, "detach") else x for x in found)

    printed = io.StringIO()  # of the program alone: servers may log to the standard output
    scope = {"T": lib.tensor, "lib": lib, "grad": lib.autograd.grad, "F": functional, "show": show}
    scope["print"] = partial(print, file=printed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of parts of PyTorch that its forward mode imports
            exec(program, scope)
        return [*shown, printed.getvalue()], ""
    except Exception as error:
        return [*shown, printed.getvalue()], f"{type(error).__name__}: {str(error).splitlines()[0]}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_the_same_in_both(name: str) -> None:
    program = PROGRAMS[name]
    ours, said = run(program, gp, gp.autograd.functional)
    theirs, expected = run(program, torch, torch.autograd.functional)
    assert said == expected
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        if isinstance(other, np.ndarray):
            assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
            np.testing.assert_allclose(mine, other, rtol=2e-3 if other.dtype == np.float16 else 2e-6)
        else:
            assert re.sub(r" object at 0x\w+", "", str(mine)) == re.sub(r" object at 0x\w+", "", str(other))


def flat(found: Any) -> list[Any]:
    """The leaves of tuples, lists and dicts."""
    parts = list(found.values()) if isinstance(found, dict) else found
    return [leaf for part in parts for leaf in flat(part)] if isinstance(parts, (list, tuple)) else [found]


def numbers(x: Any) -> Any:
    """Dtype, shape and values of a tensor. Adding 0 allocates the zeros that PyTorch left out."""
    return (
        str(x.dtype).removeprefix("torch."),
        tuple(x.shape),
        (x.detach() if x.dtype.itemsize < 4 else x.detach() + 0).tolist(),
    )


def squares(lib: Any, tensors: list[Any]) -> Any:
    return sum((abs(x) ** 2 if lib.is_complex(x) else x * x).sum() for x in tensors)


def gradients(lib: Any, found: list[Any], leaves: list[Any], twice: bool) -> list[Any]:
    """Gradients of weighted results in the leaves, and those of the sum of their squares. None is 0 in the second."""
    losses = [
        (x * (lib.arange(1, x.numel() + 1, dtype=lib.float64).reshape(tuple(x.shape)) / 3)).sum()
        for x in found
        if hasattr(x, "detach") and x.requires_grad
    ]
    if not losses:
        return []
    loss = sum(x.abs() if lib.is_complex(x) else x for x in losses)
    first = lib.autograd.grad(loss, leaves, allow_unused=True, create_graph=twice)
    shown = [None if g is None else numbers(g) for g in first]
    again = [g for g in first if g is not None and g.requires_grad]
    second = lib.autograd.grad(squares(lib, again), leaves, allow_unused=True) if again else [None] * len(leaves)
    return [*shown, *(numbers(lib.zeros_like(x) if g is None else g) for g, x in zip(second, leaves, strict=True))]


def run_line(line: str, lib: Any, twice: bool) -> tuple[list[Any], Exception | None]:
    """Results of a program of a line, with their gradients in all leaves, and its error."""
    double, leaves = lib.float64, {}
    for name, values in LEAVES.items():
        dtype = lib.complex128 if name == "z" else double
        leaves[name] = lib.tensor(values, dtype=dtype, requires_grad=True)
    scope = dict(leaves, T=lib.tensor, lib=lib, i=lib.tensor([1, 0, 1]), k=lib.tensor([True, False, True]))
    scope |= {"nn": lib.nn.functional, "special": lib.special, "linalg": lib.linalg, "func": lib.func}
    scope |= {"grad": lib.autograd.grad, "F": lib.autograd.functional}
    *before, last = line.replace("\\n", "\n").replace("; ", "\n").split("\n")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec("\n".join(before), scope)
            try:
                result = compile(last, "<program>", "eval")
            except SyntaxError:
                exec(last, scope)
                return [], None
            found = flat(eval(result, scope))
            shown = [(x.requires_grad, *numbers(x)) if hasattr(x, "detach") else x for x in found]
            return shown + gradients(lib, found, list(leaves.values()), twice), None
    except Exception as error:
        return [], error


def require_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), (ours, theirs)
        for mine, other in zip(ours, theirs, strict=True):
            require_same(mine, other)
    elif isinstance(theirs, (float, complex)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    else:
        assert type(ours).__name__ == type(theirs).__name__
        assert ours == theirs


@pytest.mark.parametrize(("kind", "line"), [(kind, line) for kind in LINES for line in LINES[kind].split("\n") if line])
def test_a_line_does_the_same_in_both(kind: str, line: str) -> None:
    theirs, expected = run_line(line, torch, kind != "once")
    ours, said = run_line(line, gp, kind != "once")
    if kind == "refused":
        assert said is not None
        assert expected is not None
    elif said is not None and expected is not None:
        assert type(expected).__name__ in [kind.__name__ for kind in type(said).__mro__]
        assert str(said).splitlines()[:1] == str(expected).splitlines()[:1]
    else:
        assert (said, expected) == (None, None)
        require_same(ours, theirs)


@pytest.mark.parametrize("name", BACKWARDS)
def test_a_function_with_a_backward_does_the_same_in_both(name: str) -> None:
    test_a_line_does_the_same_in_both("function", of_function(*BACKWARDS[name]))
