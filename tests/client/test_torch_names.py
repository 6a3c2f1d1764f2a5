"""Names in PyTorch, where it is installed: parameters, values and gradients of the functions that have them in both."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gradproof.client as gp

torch = pytest.importorskip("torch", minversion="2.13")
pytestmark = pytest.mark.usefixtures("tensors")

NAMESPACES = {"": gp, "nn.functional": gp.nn.functional, "special": gp.special, "linalg": gp.linalg}
X = np.array([[0.3, -1.2, 2.0, 0.9], [0.7, 0.4, -0.5, -2.5], [1.5, -0.1, 0.0, 3.1]])
P = np.array([[0.3, 0.2, 0.9, 0.5], [0.7, 0.4, 0.5, 0.6], [0.1, 0.8, 0.45, 0.55]])
VALUES = {
    "x": X, "y": X[::-1] * 0.7 + 0.06, "p": P, "q": P[::-1] / P.sum(), "v": X[0], "w": X[1], "s": np.array(0.7),
    "m": P[:3, :3] @ P[:3, :3].T + 2 * np.eye(3), "t": np.linspace(-1, 2, 24).reshape(2, 3, 4), "z": X[:2] + 1j * P[:2],
    "n": np.array([[np.nan, 1.0, 3.0], [2.0, np.nan, -1.0]]), "e": np.zeros((0, 3)), "large": X * 30,
}  # fmt: skip
INTEGERS = {"i": np.array([2, 0, 2]), "c": np.array([1, 3, 0]), "k": np.array([[1, 0, 1, 2], [0, 0, 2, 1]]), "b": X > 0.35}

UNARY = """
abs neg positive square reciprocal exp exp2 expm1 sin cos tan sinh cosh tanh asinh atan sinc deg2rad rad2deg frac floor
ceil trunc sign round isnan isinf isfinite isposinf isneginf isreal signbit logical_not nan_to_num sigmoid erf erfc relu
ravel fliplr flipud msort median argmax argsort flatten sum mean prod amax amin std var norm all any count_nonzero nansum
nanmean numel t diag special.erfcx special.i0 special.i0e special.i1 special.i1e
special.ndtr special.log_ndtr special.expit linalg.norm linalg.vector_norm linalg.matrix_norm nn.functional.relu6
nn.functional.leaky_relu nn.functional.elu nn.functional.selu nn.functional.celu nn.functional.gelu nn.functional.silu
nn.functional.mish nn.functional.softplus nn.functional.softsign nn.functional.hardtanh nn.functional.hardswish
nn.functional.logsigmoid nn.functional.tanhshrink nn.functional.hardshrink nn.functional.softshrink nn.functional.glu
nn.functional.normalize
"""
POSITIVE = """
sqrt rsqrt log log2 log10 log1p lgamma digamma acosh(1+p) asin acos atanh logit erfinv special.gammaln special.psi
special.entr special.ndtri
"""
BINARY = """
add sub mul div maximum minimum fmax fmin hypot atan2 copysign logaddexp logaddexp2 eq ne lt le gt ge logical_and
logical_or logical_xor remainder fmod isclose dist nn.functional.mse_loss nn.functional.l1_loss
nn.functional.smooth_l1_loss nn.functional.huber_loss nn.functional.poisson_nll_loss cosine_similarity pairwise_distance
cdist kron
"""
ELEMENTWISE = """
lib.pow(p, y); lib.pow(2.0, x); lib.float_power(p, y); lib.float_power(p, 2); x.lerp(y, 0.3); lib.lerp(x, y, p);
lib.addcmul(x, y, p, value=0.5); lib.addcdiv(x, y, p, value=2); lib.ldexp(x, i[:1]); lib.xlogy(x, p); lib.xlogy(x, 0.5);
lib.special.bessel_j0(x.detach()); lib.special.bessel_j1(x.detach());
lib.special.bessel_y0(p.detach()); lib.special.bessel_y1(p.detach());
lib.special.xlog1py(x, p); lib.special.zeta(3.0, 1 + p); lib.floor_divide(x.detach(), y.detach());
lib.nextafter(x.detach(), y.detach()); lib.heaviside(x.detach(), y.detach()); lib.special.gammainc(s.detach(), p);
lib.special.gammaincc(s.detach(), p); lib.polygamma(2, p); lib.special.polygamma(1, p); p.polygamma(1);
lib.mvlgamma(3 + p, 2); lib.special.multigammaln(3 + p, 3); x.round(decimals=1); lib.logit(p, eps=0.3);
lib.nan_to_num(n, nan=2.0); lib.complex(x, y); lib.polar(p, x); lib.angle(z); lib.real(z); z.conj(); lib.isreal(z);
lib.clamp(x, min=0.1); lib.clip(x, y, p); x.true_divide(y); i & 1; i | 1; i ^ 3; ~i; i << 2; i >> 1; b & ~b;
lib.bitwise_not(i); lib.where(b, x, 0.0); lib.where(b); lib.allclose(x, x); lib.equal(x, y)
"""
OVER_AXES = """
x.sum((0, 1)); x.sum([]); x.sum(-1, keepdim=True); s.sum(0); s.mean(-1); s.softmax(0); s.cumsum(-1); s.amax(0);
s.std(0, unbiased=False); x.std(0, correction=0); x.var(1, keepdim=True); x.softmax(-1); lib.log_softmax(x, 0);
lib.softmax(i, 0, dtype=lib.float64); lib.nn.functional.softmin(x, dim=1); x.cumsum(0); x.cumprod(1); x.logcumsumexp(1);
x.cummax(1); x.cummin(0); x.sort(1); x.sort(0, descending=True); x.topk(2); x.topk(1, 0, False); x.kthvalue(2);
x.kthvalue(2, 0, True); x.median(1); x.median(0, keepdim=True); n.detach().median(); x.max(1); x.min(0);
lib.aminmax(x, dim=1); x.any(1); x.all(0, keepdim=True); b.any(); x.count_nonzero(0); x.diff(); lib.diff(x, n=2, dim=0);
lib.diff(v, append=w); lib.diff(v, prepend=w, append=w); lib.trapezoid(x); lib.trapezoid(x, p, dim=0);
lib.trapz(v, dx=0.5); lib.cumulative_trapezoid(x, dx=2.0); lib.quantile(x, 0.3);
lib.quantile(x, 0.6, dim=1, keepdim=True); x.quantile(0.25, 0, interpolation='lower'); lib.nanquantile(n, 0.5, dim=1);
lib.var_mean(x, 1); lib.std_mean(x, dim=0, keepdim=True); x.nansum(1); n.nanmean(0); lib.searchsorted(v.sort().values, x);
lib.bucketize(x, v.sort().values, right=True); x.trace(); x.norm(1); x.norm(3, dim=1); x.norm(float('inf')); x.norm(0);
x.norm(-1, 0); lib.linalg.vector_norm(x, 3, dim=1); lib.linalg.vector_norm(x, float('-inf'));
lib.linalg.matrix_norm(t, 1); lib.linalg.matrix_norm(t, float('inf')); lib.linalg.norm(t, dim=(0, 2));
lib.linalg.norm(x, ord=1); lib.dist(x, y, 1); lib.cdist(x, y, 1.0); lib.logsumexp(x, (0, 1)); e.sum(0); e.prod(1); e.any()
"""
SHAPES = """
lib.movedim(t, 0, 2); lib.moveaxis(t, (0, 1), (2, 0)); t.swapaxes(0, 1); t.swapdims(0, -1); z.adjoint(); z.mH;
lib.rot90(x); x.rot90(2); t.rot90(-1, (1, 2)); x.roll(1); x.roll((1, -2), (0, 1)); x.roll(2, 1); t.unflatten(2, (2, -1));
lib.diag(v); x.diag(1); lib.diagflat(x, -1); t.diagonal(); t.diagonal(1, 1, 2); lib.linalg.diagonal(t, offset=-1);
lib.diag_embed(x); lib.diag_embed(x, 1, 0, 2); t.unfold(2, 2, 1); v.unfold(0, 3, 1); x.tile(2); x.tile((2, 1, 3));
x.repeat(2, 1); x.repeat_interleave(2); x.repeat_interleave(2, dim=1); x.repeat_interleave(i, dim=0);
lib.tensor_split(v, 3); lib.tensor_split(x, (1, 3), dim=1); lib.hsplit(x, 2); lib.vsplit(x, (1,)); lib.dsplit(t, 2);
x.unbind(1); x.chunk(3, 1); lib.hstack([v, w]); lib.hstack([x, y]); lib.vstack([v, x]); lib.row_stack((v, w));
lib.dstack([x, y]); lib.column_stack([v, x.t()]); lib.block_diag(x, v, s); lib.cartesian_prod(v, w);
lib.meshgrid(v, w, indexing='ij'); lib.meshgrid([v, w], indexing='xy'); lib.broadcast_tensors(x, v); lib.atleast_1d(s);
lib.atleast_2d(v, s); lib.atleast_3d(x); lib.concat([x, y], dim=1); lib.concatenate([x, y]);
lib.nn.functional.pad(x, (1, 2)); lib.nn.functional.pad(x, (1, 0, 2, 1), value=0.5); lib.nn.functional.pad(x, (-1, 1));
lib.nn.functional.pad(t, (2, 1), 'reflect'); lib.nn.functional.pad(t, (2, 1), mode='replicate');
lib.nn.functional.pad(t, (1, 2), mode='circular'); lib.nn.functional.pixel_shuffle(t.reshape(1, 4, 3, 2), 2);
lib.nn.functional.pixel_unshuffle(t.reshape(1, 1, 4, 6), 2); lib.nn.functional.channel_shuffle(t.reshape(1, 4, 3, 2), 2);
e.tile(2, 1); e.flip(0); e.unbind(0)
"""
UPDATES = """
x[0]; x[..., -1]; x[:, None]; x[i]; x[:, i]; x[i, i]; x[b]; t[:, i, 1:]; t[i[1:2], :, i[1:2]]; t[0, i]; x[1:, [0, 2]];
x[b[:, 0]]; t[:, b[:, :1].expand(3, 4)]; x[True]; x[[]]; x.gather(1, k); x.take(k); lib.take_along_dim(x, k[:1, :1], 0);
lib.take_along_dim(x, k); x.index_select(0, i); s.index_select(0, i[1:2]); x.index_add(0, i, y);
x.index_add(0, i, y, alpha=0.5); x.index_copy(1, i[:2], y[:, :2]); x.index_fill(0, i, 3.0);
x.scatter(1, y[:2].argsort(1), y[:2]); x.scatter_add(1, k, y[:2]); x.scatter(1, k[:, :1], 2.0);
lib.index_put(x, (i[:2], i[1:]), w[:2]); x.index_put((i,), v, accumulate=True); x.index_put((b,), s);
x.put(k, y[:2], True); x.masked_fill(b, 7.0); x.masked_select(b); x.masked_scatter(b, y); x.select(1, 2);
x.select_scatter(v, 0, 1); x.slice_scatter(y[:, :2], 1, 0, 4, 2); x.diagonal_scatter(v[:3]); lib.nonzero(b);
lib.nonzero(x, as_tuple=True); lib.argwhere(b); lib.nn.functional.one_hot(i); lib.nn.functional.one_hot(i, 5);
lib.nn.functional.embedding(i, x); lib.nn.functional.embedding(k, x, padding_idx=0)
"""
PRODUCTS = """
lib.inner(x, y); lib.vdot(v, w); lib.ger(v, w); lib.cross(v[:3], w[:3], dim=0); lib.linalg.cross(m, m[:1]);
lib.addmm(m, m, m, beta=2, alpha=0.5); lib.addmv(v[:3], m, w[:3]); lib.addr(m, v[:3], w[:3]);
lib.baddbmm(m, m[None], m[None]); lib.addbmm(m, t[:, :, :3], t[:, :, :3]); lib.matrix_power(m, 3);
lib.linalg.solve(m, v[:3]); lib.linalg.solve(m, m, left=False); lib.linalg.cholesky(m); lib.linalg.inv(m);
lib.linalg.multi_dot([v, x.t(), y]); lib.linalg.vecdot(x, y); lib.linalg.vecdot(z, z, dim=0);
lib.tensordot(x, t, ([0, 1], [1, 2])); lib.tensordot(x, x.t(), 1); lib.nn.functional.linear(x, y, v[:3])
"""
ACTIVATIONS = """
lib.nn.functional.hardsigmoid(x.detach()); lib.nn.functional.gelu(x, approximate='tanh');
lib.nn.functional.softplus(x, 2, 3.0); lib.nn.functional.elu(x, 0.5); lib.nn.functional.hardtanh(x, -0.5, 0.6);
lib.nn.functional.threshold(x, 0.1, 20.0); lib.nn.functional.prelu(x, s); lib.prelu(x, v); lib.nn.functional.rrelu(x);
lib.nn.functional.glu(x, 1); lib.nn.functional.normalize(x, 1.0, 0); lib.nn.functional.cosine_similarity(x, y, dim=0);
lib.nn.functional.pairwise_distance(x, y, 1, keepdim=True)
"""
LOSSES = """
mse_loss(x, y); smooth_l1_loss(x, y, beta=0.5); huber_loss(x, y, delta=0.7); cross_entropy(x, c);
cross_entropy(x, c, weight=p[0].detach(), ignore_index=3, label_smoothing=0.1); cross_entropy(x, p); nll_loss(x, c);
binary_cross_entropy(p, q); binary_cross_entropy(p, q, weight=q.detach()); binary_cross_entropy_with_logits(x, p);
binary_cross_entropy_with_logits(x, p, pos_weight=p[0].detach()); kl_div(x, q); kl_div(x, y, log_target=True);
poisson_nll_loss(x, p, full=True); gaussian_nll_loss(x, y, p); hinge_embedding_loss(x, x.sign());
soft_margin_loss(x, y.sign().detach()); multi_margin_loss(x, c); multilabel_soft_margin_loss(x, b.double());
cosine_embedding_loss(x, y, x[:, 0].sign(), margin=0.1); margin_ranking_loss(x, y, x.sign());
triplet_margin_loss(x, y, p, swap=True)
"""


def listed(text: str) -> list[str]:
    """The expressions of a text, in which semicolons are between them."""
    return " ".join(text.split()).split("; ")


EXPRESSIONS = [
    *(f"lib.{name}(x)" for name in UNARY.split()),
    *(f"lib.{name}(p)" if "(" not in name else f"lib.{name}" for name in POSITIVE.split()),
    *(f"lib.{name}(x, y)" for name in BINARY.split()),
    *(
        expression
        for text in (ELEMENTWISE, OVER_AXES, SHAPES, UPDATES, PRODUCTS, ACTIVATIONS)
        for expression in listed(text)
    ),
    *(
        f"lib.nn.functional.{call[:-1]}, reduction='{reduction}')"
        for reduction in ("none", "mean", "sum")
        for call in listed(LOSSES)
    ),
    "lib.nn.functional.kl_div(x, q, reduction='batchmean')",
]


def run(expression: str, lib: Any) -> Any:
    """The results of an expression, and the gradients of the sum of the floating-point ones by all that it uses."""
    names = set(re.findall(r"(?<![\w.'])[a-z]+\b(?!\()", expression))
    leaves = {name: lib.tensor(value, requires_grad=True) for name, value in VALUES.items() if name in names}
    scope = {**leaves, **{name: lib.tensor(value) for name, value in INTEGERS.items()}, "lib": lib}
    results = eval(expression, scope)
    tensors = [results] if not isinstance(results, tuple) else list(results)
    if not all(isinstance(x, lib.Tensor) for x in tensors):
        return tensors, {}
    moving = [x for x in tensors if x.requires_grad]
    if moving:
        parts = [(x.abs() if x.is_complex() else x).sum() * (k + 1) for k, x in enumerate(moving)]
        sum(parts[1:], parts[0]).backward()
    gradients = {name: None if x.grad is None else np.asarray(x.grad.tolist()) for name, x in leaves.items()}
    return [np.asarray(x.detach().tolist(), str(x.dtype).removeprefix("torch.")) for x in tensors], gradients


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_the_same_in_both(expression: str) -> None:
    theirs, their_gradients = run(expression, torch)
    mine, my_gradients = run(expression, gp)
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        assert (np.shape(a), np.asarray(a).dtype) == (np.shape(b), np.asarray(b).dtype)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    for name, expected in their_gradients.items():
        if expected is None:
            assert my_gradients[name] is None or not my_gradients[name].any(), name
        else:
            np.testing.assert_allclose(my_gradients[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


OWN = {
    **{name: ["axis", "keepdims", "dtype"] for name in ("amax", "amin", "nanmean")},
    "logsumexp": ["axis", "keepdims", "dtype", "b"],
    **{name: ["axis", "keepdims", "dtype", "dim", "keepdim"] for name in ("sum", "mean", "prod", "nansum")},
    **{name: ["axis", "unbiased", "keepdim"] for name in ("var", "std", "var_mean", "std_mean")},
    **{name: ["rest"] for name in ("broadcast_to", "flip", "permute", "reshape", "tile")},
    **{name: ["shape"] for name in ("empty", "ones", "rand", "randn", "zeros")},
    **{name: ["dim", "keepdim"] for name in ("all", "any", "argmax", "max", "median", "min")},
    "concatenate": ["dim"], "swapdims": ["axis0", "axis1"],
    "searchsorted": ["input"], "set_default_dtype": ["dtype"], "split": ["input", "split_size"],
    "trapz": ["dx"], "true_divide": ["input", "other", "rounding_mode"],
}  # fmt: skip
"""Parameters that PyTorch does not have, or not under these names, and those of overloads that no docstring shows."""


def parameters(function: Any) -> Iterator[list[str]]:
    """The names of the parameters of a function of PyTorch, by its signature and by the heads of its docstring."""
    with contextlib.suppress(ValueError, TypeError):
        yield list(inspect.signature(function).parameters)
    for head in re.findall(rf"\b{function.__name__}\(([^)]*?)\)\s*->", (function.__doc__ or "").split("Args:")[0]):
        yield [re.sub(r"[:=].*", "", part).strip().lstrip("*\\") for part in head.split(",")]


NAMES = [
    f"{place}.{name}".removeprefix(".") for place, module in NAMESPACES.items() for name in module.__all__
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_parameters_have_the_names_of_pytorch(name: str) -> None:
    mine, theirs = gp, torch
    for part in name.split("."):
        mine, theirs = getattr(mine, part), getattr(theirs, part, None)
    if not inspect.isfunction(mine) or theirs is None:
        return
    heads = list(parameters(theirs))
    own = [p for p in inspect.signature(mine).parameters.values() if p.name not in OWN.get(name, ())]
    positional = [p.name for p in own if p.kind is not p.KEYWORD_ONLY]
    assert not heads or any([p for p in head if p in positional] == positional for head in heads), heads
    assert not heads or any({p.name for p in own} <= set(head) for head in heads), heads
