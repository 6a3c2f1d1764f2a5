"""Programs of a line, for PyTorch and for the client, by kind. `test_torch_parity.py` has the names that they use."""

from __future__ import annotations

LINES = {
    "elementwise": r"""
x.sin() + x.cos() * x.tan()
p.log() * p.sqrt() + p.rsqrt() - p.reciprocal()
x.exp() + x.expm1() + x.exp2()
p.log1p() + p.log2() + p.log10()
(x / 4).asin() + (x / 4).acos() + x.atan()
x.sinh() + x.cosh() - x.tanh()
x.asinh() + (p + 1).acosh() + (x / 4).atanh()
x.erf() + x.erfc() + (x / 4).erfinv()
x.sigmoid() * x.sign() + x.sgn()
p.polygamma(1) + p.mvlgamma(1)
lib.polygamma(2, p)
x.square() + x**3 + x**2.0 + x**1
x**0
p**0.5 + p**-1 + p**1.5
2**x + 0.5**x
p**x
x.pow(y)
lib.pow(2.0, x)
lib.atan2(x, y)
lib.hypot(x, y)
lib.copysign(x, y)
lib.copysign(x, -1.0)
lib.fmod(x, y) + lib.remainder(x, y)
x % -0.7
lib.fmod(x, -0.7)
lib.xlogy(p, p)
lib.xlogy(T([0.0, 1.0, 2.0]), p)
lib.logaddexp(x, y) + lib.logaddexp2(x, y)
lib.logaddexp(x, x)
lib.maximum(x, y) + lib.minimum(x, y)
lib.maximum(x, x)
lib.fmax(x, nan) + lib.fmin(x, nan)
lib.clamp(x, -1, 1)
lib.clamp(x, min=-1.5)
lib.clamp(x, min=y, max=p)
lib.clamp(x, max=T(0.5, dtype=lib.float64))
lib.clamp(x, 1, -1)
lib.lerp(x, y, 0.25)
lib.lerp(x, y, p)
lib.addcmul(x, y, p, value=2)
lib.addcdiv(x, y, p, value=-0.5)
lib.where(k, x, y)
lib.where(x > 0, x, 0.0)
lib.where(k, x, nan)
lib.nan_to_num(nan * x)
lib.nan_to_num(nan, nan=1.5, posinf=2.0)
lib.frac(x) + lib.trunc(x) + lib.fix(x)
x.round() + x.floor() + x.ceil()
x.round(decimals=1)
lib.deg2rad(x) + lib.rad2deg(x)
lib.logit(p / 4)
lib.logit(x, eps=0.1)
lib.heaviside(T([-1.0, 0.0, 2.0]), T([0.5, 0.25, 0.75]))
lib.ldexp(x, i)
lib.float_power(p, 2)
lib.positive(x) + lib.negative(x)
lib.sub(x, y, alpha=3)
lib.div(x, y, rounding_mode="floor")
lib.div(x, y, rounding_mode="trunc")
lib.true_divide(x, 3)
1 / x + 3 - x
x.i0() + lib.special.i0e(x)
lib.i0(x) * lib.special.i1(x)
lib.igamma(T([1.0, 2.0, 3.0], dtype=lib.float64), p)
lib.igammac(T([1.0, 2.0, 3.0], dtype=lib.float64), p)
lib.nextafter(x.detach(), y.detach())
x.isclose(x + 1e-9)
x.signbit()
T(0.0, dtype=lib.float64, requires_grad=True).sqrt()
(x * 0).abs() + (x * 0).sgn() + (x * 0).relu()
(x * 0) ** 2 + (x * 0) ** 1
(x * 0) ** 0
lib.hypot(x * 0, y * 0)
lib.atan2(x * 0, y * 0)
(x / 0).tanh()
""",
    "reductions": r"""
x.sum()
c.sum(0)
c.sum(-1, keepdim=True)
m.sum(-1)
m.sum((0, -1), keepdim=True)
m.sum(())
b.sum((-1, 0))
e.sum()
e.sum(0)
e.sum(1)
e.prod()
e.prod(0)
e.mean()
e.mean(0)
e.mean(1)
e.var()
e.std(1)
e.logsumexp(0)
e.norm()
e.all(0)
e.any()
e.cumsum(0)
e.sort(0)[0]
e.softmax(0)
e.softmax(1)
e @ s
c.mean()
c.mean(0, keepdim=True)
c.var(unbiased=False)
c.std(correction=0)
c.prod()
c.prod(0)
c.max()
c.amax(0)
c.amin(-1)
c.max(-1)
c.min(0)
c.median()
c.logsumexp(0)
c.softmax(0)
c.log_softmax(-1)
c.cumsum(0)
c.cumprod(-1)
c.sort()[0]
c.argmax()
c.argmin(0)
c.norm()
c.norm(dim=0)
c.all()
c.flip(0)
m.mean((0, 1))
m.mean(-1, keepdim=True)
m.var()
m.var(1)
m.var(-1, unbiased=False)
m.var(0, correction=2)
m.std((0, 1))
m.std(0, keepdim=True)
lib.var_mean(m, 1)
lib.std_mean(m, 0)
m.prod()
m.prod(1)
m.prod(-2, keepdim=True)
(m * k).prod(1)
(m * T([1.0, 0.0, 0.0])).prod(1)
m.amax()
m.amax(1)
m.amin((0, 1))
(m * 0).amax(1)
(m * 0).max()
(m * 0).max(1)[0]
(m * 0).min(0)[0]
m.max(1)[0]
m.max(-1, keepdim=True)[1]
m.min(0)
lib.aminmax(m)
m.median()
m.median(1)
m.logsumexp(1)
m.logsumexp((0, 1))
m.logsumexp(-1, keepdim=True)
m.cumsum(-1)
m.cumprod(1)
(m * k).cumprod(1)
m.cummax(1)
m.cummin(0)
m.logcumsumexp(1)
m.norm()
m.norm(3, 1)
m.norm(dim=(0, 1))
(m * 0).std()
(m * 0).std(1)
m.argmax()
m.argmax(-1)
m.argmin(0, keepdim=True)
m.all()
m.any(-1)
m.count_nonzero()
m.count_nonzero(0)
nan.nansum()
lib.nanmean(nan)
nan.amax()
nan.sum()
nan.argmax()
nan.sort()
nan.median()
lib.quantile(x, 0.25)
m.diff()
m.diff(dim=0)
m.trace()
lib.trapezoid(m)
lib.trapezoid(m, dx=0.5, dim=0)
lib.cumulative_trapezoid(m, dim=1)
m.dist(m * 2)
m.kthvalue(2, 1)[0]
m.topk(2)
m.topk(1, dim=0, largest=False)[0]
m.sort(1, descending=True)
x.sort()[0]
x.argsort(descending=True)
m.msort()
i.sum()
i.prod()
i.cumsum(0)
i.max()
i.float().mean()
i.sum(dtype=lib.float32)
k.sum()
k.cumsum(0)
k.all()
k.max()
x.sum(dtype=lib.float32)
""",
    "shapes": r"""
m.t() @ x[:2]
m.reshape(-1)
m.reshape(3, -1)
m.view(6)
m.view(-1, 2)
e.reshape(3, 0)
m.T + m.mT
b.mT
b.transpose(0, -1)
b.permute(2, 0, 1)
b.permute((-1, 0, 1))
b.movedim(0, -1)
b.moveaxis((0, 1), (-1, 0))
b.swapaxes(0, 1) + b.swapdims(0, 1)
b.flatten()
b.flatten(1)
b.flatten(0, -2)
c.flatten()
m.unsqueeze(0)
m.unsqueeze(-1)
c.unsqueeze(0)
m.unsqueeze(0).squeeze()
m.unsqueeze(0).squeeze(0)
m.squeeze(0)
m.unsqueeze(0).squeeze((0, 1))
m.expand(4, 2, 3)
m.expand(2, -1, -1)
c.expand(2, 2)
m.broadcast_to((2, 2, 3))
m.repeat(2, 2)
x.repeat(2, 1)
x.tile(2)
m.tile((2, 1))
m.repeat_interleave(2)
m.repeat_interleave(2, dim=1)
m.repeat_interleave(T([1, 2]), dim=0)
m.flip(0)
m.flip((0, 1))
m.fliplr() + m.flipud()
m.roll(1)
m.roll(-1, 1)
m.roll((1, 2), (0, 1))
m.rot90()
m.rot90(2)
m.rot90(-1, (0, 1))
m.diagonal()
s.diagonal(1)
s.diagonal(offset=-1)
b.diagonal(0, 1, 2)
x.diag()
s.diag(1)
x.diag_embed()
m.diag_embed(1)
x.diagflat()
s.tril() + s.triu(1)
s.tril(-1)
m.chunk(2, 1)
x.chunk(2)
x.split(2)
m.split((1, 2), 1)
x.tensor_split(2)
x.tensor_split((1,))
m.unbind()
m.unbind(1)
lib.cat([m, m * 2])
lib.cat((m, m * 2), dim=-1)
lib.stack([x, y])
lib.stack([x, y], -1)
lib.stack([c, c])
lib.hstack([x, y])
lib.vstack([x, y])
lib.dstack([x, y])
lib.column_stack([x, y])
lib.block_diag(m, s)
lib.cartesian_prod(x, y)
lib.meshgrid(x, y, indexing="ij")
lib.broadcast_tensors(x, m)
lib.atleast_2d(x)
lib.atleast_3d(m)
m.unflatten(1, (3, 1))
x.unfold(0, 2, 1)
m.narrow(1, 0, 2)
m.narrow(1, -2, 2)
m.select(1, -1)
m.sum_to_size(1, 3)
m.expand_as(m)
m.view_as(m.T)
lib.tril(s, diagonal=1)
lib.kron(m, s)
lib.outer(x, y)
lib.ravel(m)
lib.pixel_shuffle(b.reshape(1, 4, 2, 3), 2)
lib.diagonal_scatter(s, x)
lib.select_scatter(m, x, 0, 1)
lib.slice_scatter(m, x.reshape(1, 3), 0, 0, 1)
m.numel(), m.dim(), m.size(), m.size(-1), m.ndim, tuple(m.shape)
""",
    "indexing": r"""
x[0]
x[-1]
x[1:]
x[:-1]
x[::2]
x[3:]
x[5:7]
x[...]
x[None]
x[..., None]
c[...]
c[None]
c[()]
m[0]
m[:, 1]
m[1, -1]
m[..., 0]
m[:, None]
m[None, :, 1:]
m[:, [0, 2]]
m[[1, 0]]
m[[0, 1], [2, 0]]
m[[[0], [1]], [0, 2]]
m[i]
m[i, i]
m[:, i]
m[i[:, None], i]
m[m > 0]
m[T([True, False])]
x[k]
x[~k]
m[:, k]
m[0, k]
b[i, :, 0]
b[:, i, i]
b[i, 1:, i]
b[..., i]
b[:, None, i]
b[1, ..., 0]
b[:, T([[0, 1], [1, 2]])]
b[T([True, False]), 1]
b[m > 0]
x[i]
x[T([], dtype=lib.long)]
x[[0, 0, 0]]
x[T(1)]
x[True]
x[False]
c[True]
x[T(True)]
x.gather(0, i)
m.gather(1, T([[0], [2]]))
m.gather(0, T([[0, 1, 1]]))
m.take(T([0, 5, 0]))
m.take_along_dim(m.argsort(1), 1)
m.take_along_dim(T([[0]]), 1)
m.index_select(0, i)
m.index_select(-1, T(2))
m.take(T([[0, 5], [1, 2]]))
c.index_select(0, T([0]))
m.masked_select(m > 0)
m.masked_fill(m > 0, -1)
m.masked_fill(k, c)
m.masked_scatter(m > 0, x.repeat(2))
m.scatter(1, T([[0], [2]]), T([[5.0], [6.0]], dtype=lib.float64))
m.scatter(1, T([[0], [2]]), 7.0)
m.scatter_add(1, T([[0, 0], [2, 1]]), m[:, :2] * 2)
m.index_add(0, T([1, 1]), m * 3)
m.index_add(1, T([0, 2]), m[:, 1:], alpha=2)
m.index_copy(0, T([1]), x[None])
m.index_fill(1, T([0, 2]), 4.0)
m.index_put((T([0, 1]), T([2, 0])), x[:2])
m.index_put((T([0, 0]), T([2, 2])), x[:2], accumulate=True)
x.put(T([0, 2]), y[:2])
x.nonzero()
m.argwhere()
lib.where(m > 0)
lib.searchsorted(T([1.0, 2.0, 3.0]), T([0.5, 2.0, 9.0]))
lib.bucketize(T([0.5, 2.0, 9.0]), T([1.0, 2.0, 3.0]), right=True)
x[1].item(), x.tolist(), c.item()
len(x), [float(v) for v in x]
2.0 in x, 3.0 in x
bool(c > 0), int(c), float(c)
""",
    "in place": r"""
a = x * 2; a += y; a
a = x * 2; a -= 1; a /= y; a **= 2; a
a = x * 2; a.add_(y, alpha=3); a
a = x * 2; a.sub_(y).mul_(p).div_(p); a
a = x * 2; a.exp_(); a
a = x * 2; a.relu_(); a
a = x * 2; a.clamp_(-1, 1); a
a = x * 2; a.zero_(); a + x
a = x * 2; a.fill_(3.0); a + x
a = x * 2; a.copy_(y); a
a = x * 2; a.copy_(c); a
a = x * 2; a[0] = 5.0; a
a = x * 2; a[0] = c; a
a = x * 2; a[1:] = y[:2]; a
a = x * 2; a[1:] += y[:2]; a
a = x * 2; a[k] = 0; a
a = x * 2; a[k] *= 3; a
a = x * 2; a[[0, 2]] = y[:2]; a
a = m * 2; a[:, 1] = x[:2]; a
a = m * 2; a[0] = x; a
a = m * 2; a[...] = x; a
a = m * 2; a[:, ::2] -= 1; a
a = m * 2; a[i, i] = 0.0; a
a = m * 2; a[m > 0] = c; a
a = m * 2; a.masked_fill_(m > 0, 2.0); a
a = m * 2; a.masked_fill_(m > 0, c); a
a = m * 2; a.scatter_(1, T([[0], [2]]), 7.0); a
a = m * 2; a.index_add_(0, T([1]), x[None]); a
a = m * 2; a.index_fill_(0, T([1]), 3.0); a
a = m * 2; a.index_put_((T([0]), T([1])), c); a
a = m * 2; a.add_(x); a
a = x * 2; u = a * a; a = a.clone(); a += 1; u + a
a = x * 2; a.detach_(); a
a = lib.zeros(3, dtype=lib.float64); a[1] = c; a
a = lib.zeros(3, dtype=lib.float64); a += x; a.is_leaf, a.requires_grad, a
a = lib.zeros(3, dtype=lib.float64); a.copy_(x); a[0] *= 2; a
a = lib.zeros(2, 2, dtype=lib.float64); a[0, 0] = x[0]; a[1, 1] = x[1] * y[1]; a @ a
a = lib.arange(5); a[1:3] = 9; a += 1; a //= 2; a
a = lib.ones(3); a[k] = float("nan"); a
a = lib.tensor([True, False, True]); a &= T([True, True, False]); a
a = lib.zeros(3); a[i] += 1; a
a = lib.zeros(3); a.index_add_(0, i, lib.ones(3)); a
a = lib.zeros(3); a += lib.ones(2, 3); a
x += 1
x.add_(1)
x.zero_()
x.exp_()
with lib.no_grad(): x += 1; x.mul_(2)
x * y
a = x * 2; a[5] = 0
a = x * 2; a.add_(m)
""",
    "nn.functional": r"""
nn.batch_norm(m, None, None, training=True)
nn.batch_norm(b, x.detach()[:3], y.detach().abs(), p, c.expand(3))
nn.batch_norm(b, x.detach() * 1, p.detach() * 1, p, x, True, 0.25, 0.01)
r, v = x.detach() * 1, p.detach() * 1; nn.batch_norm(b, r, v, None, None, True, 0.25); r, v
nn.group_norm(b, 3, p, x)
nn.group_norm(m.T, 1, eps=0.1)
nn.relu(x) + nn.relu6(x * 4) + nn.leaky_relu(x, 0.2)
nn.elu(x, 1.5) + nn.celu(x, 0.5) + nn.selu(x)
nn.gelu(x) + nn.gelu(x, approximate="tanh")
nn.silu(x) + nn.mish(x) + nn.softsign(x)
nn.hardtanh(x, -2, 0.5)
nn.hardshrink(x) + nn.softshrink(x) + nn.tanhshrink(x)
nn.hardshrink(x, 1.0) + nn.softshrink(x, 1.0)
nn.softplus(x * 100)
nn.logsigmoid(x * 500)
nn.threshold(x, 0.1, -2.0)
nn.glu(b)
nn.glu(m, 0)
nn.prelu(m, x)
nn.prelu(x, c.reshape(1))
nn.softmax(m, 1) + nn.softmin(m, dim=0)
nn.softmax(m * 1000, -1)
nn.log_softmax(m, dim=-1)
nn.log_softmax(m * 1000, 1)
nn.linear(m, s)
nn.linear(m, s, x)
nn.linear(x, m)
nn.linear(x, y)
nn.normalize(m)
nn.normalize(m, 1, 0)
nn.cosine_similarity(m, x)
nn.pairwise_distance(m, m * 2)
nn.pairwise_distance(m, m)
nn.pairwise_distance(x, y, p=1, keepdim=True)
nn.one_hot(i)
nn.one_hot(i, 4)
nn.embedding(i, m)
nn.embedding(T([[0, 1], [1, 1]]), m)
nn.embedding(i, m, padding_idx=1)
nn.embedding(i, m, padding_idx=-1)
nn.pad(m, (1, 2))
nn.pad(m, (1, 0, 0, 2), value=3.0)
nn.pad(m, (-1, 1))
nn.pad(b, (1, 1), mode="reflect")
nn.pad(b, (2, 1), mode="replicate")
nn.pad(b, (1, 2), mode="circular")
nn.mse_loss(x, y)
nn.mse_loss(x, y, reduction="sum")
nn.mse_loss(x, y, reduction="none")
nn.l1_loss(x, y) + nn.l1_loss(x, x)
nn.smooth_l1_loss(x, y) + nn.smooth_l1_loss(x, y, beta=2.0)
nn.smooth_l1_loss(x, y, beta=0.0)
nn.huber_loss(x, y) + nn.huber_loss(x, y, delta=0.5, reduction="sum")
nn.cross_entropy(m, T([2, 0]))
nn.cross_entropy(m, T([2, -100]))
nn.cross_entropy(m, T([-100, -100]))
nn.cross_entropy(m, T([2, 0]), weight=p.detach())
nn.cross_entropy(m, T([2, 0]), reduction="none")
nn.cross_entropy(m, T([2, 0]), label_smoothing=0.1)
nn.cross_entropy(m, T([2, 1]), weight=p.detach(), label_smoothing=0.1, ignore_index=1)
nn.cross_entropy(m, nn.softmax(m * 2, 1).detach())
nn.cross_entropy(x, T(1))
nn.cross_entropy(b, T([[0, 1, 2, 0], [2, 2, 1, 0]]))
nn.cross_entropy(b, T([[0, 1, 2, 0], [2, 2, 1, -100]]), reduction="sum")
nn.nll_loss(nn.log_softmax(m, 1), T([2, 0]))
nn.nll_loss(m, T([2, 0]), weight=p.detach(), reduction="sum")
nn.nll_loss(m, T([2, 1]), ignore_index=1)
nn.nll_loss(x, T(2))
nn.binary_cross_entropy(p / 4, k.double())
nn.binary_cross_entropy(p / 4, k.double(), weight=y.detach(), reduction="none")
nn.binary_cross_entropy_with_logits(x, k.double())
nn.binary_cross_entropy_with_logits(x, k.double(), pos_weight=p.detach())
nn.binary_cross_entropy_with_logits(x * 500, k.double(), reduction="none")
nn.kl_div(nn.log_softmax(m, 1), nn.softmax(m.detach() * 2, 1), reduction="batchmean")
nn.kl_div(x, y, log_target=True, reduction="sum")
nn.kl_div(x, p)
nn.poisson_nll_loss(x, p.detach())
nn.poisson_nll_loss(p, p.detach(), log_input=False, full=True)
nn.gaussian_nll_loss(x, y, p)
nn.gaussian_nll_loss(x, y, p, full=True, reduction="sum")
nn.hinge_embedding_loss(x, T([1.0, -1.0, 1.0], dtype=lib.float64))
nn.margin_ranking_loss(x, y, T([1.0, -1.0, 1.0], dtype=lib.float64), margin=0.3)
nn.cosine_embedding_loss(m, m * x, T([1.0, -1.0], dtype=lib.float64))
nn.triplet_margin_loss(m, m * x, m * y)
nn.soft_margin_loss(x, T([1.0, -1.0, 1.0], dtype=lib.float64))
nn.multilabel_soft_margin_loss(m, (m > 0).double())
nn.mse_loss(e, e.detach())
nn.cross_entropy(e, T([], dtype=lib.long), reduction="sum")
nn.pixel_unshuffle(nn.pixel_shuffle(b.reshape(1, 4, 2, 3), 2), 2)
""",
    "special": r"""
special.erfcx(x) + special.log_ndtr(x) + special.ndtr(x)
special.log_ndtr(x * 20)
special.ndtri(p / 4)
special.expit(x) + special.exp2(x) + special.expm1(x)
special.entr(p)
special.entr(x)
special.entr(x * 0)
special.i0(x) + special.i0e(x)
special.i1(x) * special.i1e(x)
special.i0e(x * 0) + special.i1e(x * 0)
special.logit(p / 4) + special.sinc(p)
special.xlog1py(x, p) + special.xlogy(x, p)
special.zeta(p + 1, p.detach()).detach()
special.polygamma(2, p)
special.polygamma(0, p)
special.multigammaln(p + 2, 2)
special.logsumexp(m, 1)
special.softmax(m, 1) + special.log_softmax(m, 0)
special.erfinv(x / 3) + special.erf(x) + special.erfc(x)
special.round(x) + special.round(x, decimals=1)
special.gammainc(p.detach(), p) + special.gammaincc(p.detach(), p)
special.bessel_j0(p.detach()) + special.bessel_j1(p.detach())
special.modified_bessel_k0(p.detach()) + special.modified_bessel_k1(p.detach())
special.log1p(p)
special.gammaln(T([0.0, -1.0, -0.5]))
lib.lgamma(T([0.0, -2.0, float("inf")]))
special.zeta(T([2.0, 3.0]), T([1.0, 0.5]))
special.ndtri(T([0.0, 1.0, 0.5]))
special.erfinv(T([1.0, -1.0, 2.0]))
special.logit(T([0.0, 1.0, 2.0]))
special.xlog1py(T([0.0, 0.0]), T([-1.0, float("nan")]))
""",
    "linalg": r"""
s @ s + m.T @ m
m @ x
x @ m.T
x @ y
x @ s @ y
b @ b.mT
b @ b[0].T
b[0] @ b[0].T
b.mT @ m[0]
m.mm(s)
s.mv(x)
x.dot(y)
lib.vdot(x, y)
lib.inner(m, s)
lib.bmm(b, b.mT)
lib.addmm(s[:2], m, s, beta=0.5, alpha=2)
lib.addr(s, x, y)
lib.baddbmm(b[:, :, :3], b, b.mT)
lib.addbmm(s, b, b.mT)
lib.tensordot(b, m, dims=([0, 1], [0, 1]))
lib.tensordot(m, s, dims=1)
lib.tensordot(x, y, dims=0)
lib.tensordot(lib.zeros(2, 0, dtype=lib.float64), lib.zeros(0, 3, dtype=lib.float64), dims=1)
lib.einsum("ij,jk->ik", m, s)
lib.einsum("ij,jk", m, s)
lib.einsum(" i j , j -> ", m, x)
lib.einsum("i,j->ji", x, y)
lib.einsum("ii->i", s)
lib.einsum("ii", s)
lib.einsum("iji->j", lib.stack([s, s[:, [1, 0, 2]]], 1))
lib.einsum("aab,bcc", lib.stack([s, s]).transpose(0, 2), lib.stack([s, s]))
lib.einsum("bij,bjk->bik", b, b.mT)
lib.einsum("bij,bij->b", b, b)
lib.einsum("...ij,kj->...ik", b, b[0])
lib.einsum("i...,i...->...", b, b[:, :1])
lib.einsum("...j->j", b)
lib.einsum("Ba,aC", m, s)
lib.einsum("ij,jk,kl,l->i", m, s, s, x)
lib.einsum("i,i,i", x, y, p)
lib.einsum("ij,jk->ik", m[:, :1], s)
lib.einsum("ij,kj->ik", e, m)
lib.einsum("ij->j", e)
lib.einsum(",i->i", c, x)
lib.einsum("i,i", z, z)
lib.einsum("ij,jk", [m, s])
lib.einsum(m, [0, 1], s, [1, 2], [2, 0])
lib.einsum(b, [..., 30, 2], y[:1], [2])
lib.cross(x, y, dim=0)
linalg.cross(m, m.flip(1))
linalg.solve_triangular(s, m.T, upper=True)
linalg.solve_triangular(s, m.T, upper=False, unitriangular=True)
linalg.solve_triangular(s, m, upper=True, left=False)
linalg.solve_triangular(lib.stack([s, s.T]), m.T, upper=False)
linalg.inv(s) + s.inverse()
linalg.inv(lib.stack([s, s * 2]))
linalg.solve(s, x)
linalg.solve(s, m.T)
linalg.solve(lib.stack([s, s * 2]), m)
linalg.solve(lib.stack([s, s * 2, s * 3]), s)
linalg.solve(lib.stack([s, s * 2]), x)
linalg.solve(s, m, left=False)
linalg.det(s) + s.det()
linalg.det(x.diag() * T([1.0, 1.0, 0.0]))
linalg.det(lib.stack([s, s * 2]))
linalg.cholesky(s)
linalg.cholesky(s, upper=True)
linalg.cholesky(s @ s.T)
linalg.matrix_power(s, 3)
linalg.matrix_power(s, -2)
linalg.multi_dot([m, s, x])
linalg.norm(x) + linalg.norm(m)
linalg.norm(x, 1) + linalg.norm(x, 3)
linalg.norm(m, "fro", (0, 1))
linalg.norm(m, 1) + linalg.norm(m, float("-inf"))
linalg.norm(m, dim=1, keepdim=True)
linalg.vector_norm(m, 3, dim=0)
linalg.vector_norm(m, float("inf"))
linalg.vector_norm(m, 0.5, dim=1)
linalg.vector_norm(e)
linalg.matrix_norm(b)
linalg.matrix_norm(b, 1)
linalg.vecdot(m, m * 2)
linalg.diagonal(b)
lib.trace(s)
m @ s
lib.kron(x, y)
lib.ger(x, y)
e.T @ e
m @ e.T
lib.matrix_power(s, 2)
""",
    "dtypes": r"""
T(1).dtype == lib.int64, T(1.0).dtype == lib.float32, T(True).dtype == lib.bool, T(1j).dtype == lib.complex64
T([1, 2]) + 1
T([1, 2]) * 2
T([1, 2]).sum()
T([True, False]).sum()
T([True, False]) + T([True, True])
T([True, False]) * T([True, True])
T([True, False]) + 1
T([1, 2], dtype=lib.int32) + T([1, 2], dtype=lib.int64)
T([1, 2], dtype=lib.int8) + T([1, 2], dtype=lib.uint8)
T([1, 2], dtype=lib.int16) * 3
T([1, 2], dtype=lib.uint8) - 3
T([1.0], dtype=lib.float16) + T([1.0], dtype=lib.float32)
T([1.0], dtype=lib.float16) * T([1], dtype=lib.uint8)
T([1.0], dtype=lib.float32) + T([1.0], dtype=lib.float64)
T([1.0], dtype=lib.float32) * True
T([1.0], dtype=lib.float32) + 1
T([1.0], dtype=lib.float16) * 0.1
T([1.0], dtype=lib.bfloat16) + 1.0
T([1.0, 2.0], dtype=lib.bfloat16).sum()
T([1.0], dtype=lib.float32) + 1j
T([1.0], dtype=lib.float64) * 1j
T([1j], dtype=lib.complex64) * T([1.0], dtype=lib.float64)
T([1, 2]) // 2
T([-7, 7]) // 2
T([-7, 7]) % 3
T([-7, 7]) % -3
T([-7, 7]).fmod(3)
T([2, 3]) ** 2
T([2, 3]) ** T([3, 2])
2 ** T([2, 3])
T([1, 2]) == T([1.0, 3.0])
T([1, 2]) < 1.5
T([1, 2, 3]) & 2
T([1, 2]) | T([4, 4])
T([1, 2]) ^ 3
~T([1, 2])
~T([True, False])
T([1, 2]) << 2
T([8, 9]) >> 1
-T([1, 2])
abs(T([-1, 2]))
T([-1, 2]).sign()
T([1, 2]).float() + T([1, 2]).double()
T([1.7, -1.7]).long()
T([1.7, 0.0]).bool()
T([1.7]).half()
T([1.7]).to(lib.int32)
T([1, 2]).to(lib.float64)
x.float() * 2
x.half()
x.double() is x
x.to(lib.complex128)
x.type(lib.float32)
x.type_as(T([1.0]))
T([1, 2]).clamp(0, 1)
T([1, 2]).prod()
T([1, 2]).cumsum(0, dtype=lib.float32)
T([1, 2]).float().mean()
T([1.0, 2.0]).mean(dtype=lib.float64)
T([1.0, 2.0], dtype=lib.float16).mean()
T([60000.0, 60000.0], dtype=lib.float16).sum()
T([1.0, 2.0], dtype=lib.float16).softmax(0)
T([200, 100], dtype=lib.uint8) + T([100, 100], dtype=lib.uint8)
T([1, 2]).max() + T([0, 5]).argmax()
T([1, 0]).logical_not()
T([1, 0]).all()
lib.arange(3).dtype == lib.int64, lib.arange(3.0).dtype == lib.float32
lib.arange(0, 1, 0.25)
lib.arange(5, 0, -2)
lib.linspace(0, 1, 5)
lib.zeros(2, 3), lib.ones(2), lib.full((2,), 7), lib.full((2,), 7.0), lib.eye(2)
lib.zeros_like(T([1, 2])), lib.ones_like(x), lib.full_like(T([1, 2]), 3)
lib.tensor([1, 2.5]), lib.tensor([[1], [2]]), lib.tensor([])
lib.as_tensor([1, 2]), lib.as_tensor(2.5)
lib.where(T([True, False]), T([1, 2]), T([3, 4]))
lib.where(T([True, False]), T([1.0, 2.0]), 3)
lib.bitwise_left_shift(T([1, 2]), T([1, 1]))
lib.float_power(T([2, 3]), 2)
lib.is_floating_point(x), lib.is_complex(z), x.is_floating_point()
lib.tril(lib.ones(2, 2, dtype=lib.int64))
lib.cat([T([1]), T([2])])
lib.stack([T([1.0]), T([2.0])])
lib.zeros(2, dtype=x.dtype)
T([1, 2]).float().requires_grad_().sum()
T([3, 1, 2]).sort()
T([0, 1, 1]).argmax()
T([0, 1, 1]).argmin(), T([1.0, 1.0]).argmax()
T([3, 1, 2]).median()
T([1, 2, 2, 1]).topk(2)[0]
T([1, 2, 3]).diff()
T([1, 2]).outer(T([3, 4]))
T([[1, 2], [3, 4]]) @ T([1, 1])
T([7, 8]).div(3, rounding_mode="floor"), T([7, 8]).div(3, rounding_mode="trunc")
T([7, -7, 9007199254740993]).div(2, rounding_mode="trunc")
T([-7.5]).div(2, rounding_mode="floor")
T([1.5, 2.5, -0.5]).round()
T([1, 2]).round(), T([1, 2]).floor()
T([1.0, float("nan")]) == T([1.0, float("nan")])
T([float("inf")]) - T([float("inf")])
T([1.0]) / 0
T([-1.0]).log(), T([0.0]).log(), T([-1.0]).sqrt()
T([0.0]).pow(-1), T([0.0]) ** 0, T([-8.0]) ** (1 / 3)
T([5.5, -5.5]) % float("inf")
T([1e308], dtype=lib.float64) * 10
""",
    "complex": r"""
z.abs()
z.angle()
z.real
z.imag
z.conj()
z * z
z / (z + 1)
z**2
z**3.0
z**z
z.exp()
z.log()
z.sqrt()
z.sin() + z.cos()
z.sinh() * z.tanh()
z.reciprocal()
z.sgn()
z.square()
z.sum()
z.prod()
z.mean()
z @ z
lib.vdot(z, z)
z.abs().square().sum()
(z * z.conj()).real
lib.complex(x, y)
lib.polar(p, x)
z + x[:2]
x[:2] * 1j
z.cumsum(0)
z.cumprod(0)
z.norm()
z.view(2, 1).H @ z.view(2, 1)
lib.outer(z, z)
z.tan()
z.expm1()
z.log10()
(z * 0).abs()
(z * 0).angle()
z.reshape(1, 2).mH
z == z
z.isfinite()
x.angle()
x.conj() + x.real
x.imag
z.item()
z[0].item(), complex(z[0])
lib.where(k[:2], z, 0)
z.flip(0)
z[0] * z[1].conj()
z.real.double()
linalg.inv(z.diag())
linalg.det(lib.outer(z, z) + z.diag())
linalg.solve(z.diag(), z)
z.sub(1, alpha=2)
grad((z * z).abs().sum(), z)
grad(z.sum(), z, grad_outputs=T(1 + 2j, dtype=lib.complex128))
""",
    "autograd": r"""
(x * y).sum().backward(); x.grad, y.grad
(x * y).sum().backward(); (x * 2).sum().backward(); x.grad
(x * y).backward(p.detach()); x.grad, y.grad
(x * y).backward(lib.ones(3)); x.grad
a = x * 2; a.retain_grad(); (a * y).sum().backward(); a.grad, a.is_leaf, a.retains_grad
a = x * 2; a.sum().backward(); a.grad_fn is None, x.grad_fn
a = (x * y).sum(); a.backward(retain_graph=True); a.backward(); x.grad
a = (x * y).sum(); a.backward(); a.backward()
a = (x * y).sum(); grad(a, x); grad(a, x)
a = (x * x).sum(); a.backward(inputs=[x]); x.grad, y.grad
lib.autograd.backward([(x * y).sum(), (x * 3).sum()]); x.grad, y.grad
lib.autograd.backward([x * y, x * 3], [p.detach(), y.detach()]); x.grad, y.grad
grad((x * y).sum(), (x, y))
grad((x * y).sum(), [x, p], allow_unused=True)
grad((x * y).sum(), [x, p])
grad((x * y).sum(), [x, p], materialize_grads=True)
grad([x.sum(), (y * y).sum()], [x, y])
grad(x * y, x)
grad(x * y, x, p.detach())
grad(x * y, x, grad_outputs=[lib.ones(3, dtype=lib.float64)])
grad(x * y, x, lib.ones(2, dtype=lib.float64))
grad((x**3).sum(), x, create_graph=True)[0]
grad(grad((x**3 * y).sum(), x, create_graph=True)[0].sum(), (x, y))
grad(x.sum(), x)[0].requires_grad, grad(x.sum(), x, create_graph=True)[0].requires_grad
grad((x * x).sum(), x, create_graph=True)[0].requires_grad
grad(x * y, x, p.clone(), create_graph=True)[0]
g, = grad((x**3).sum(), x, create_graph=True); (g * g).sum().backward(); x.grad
g, = grad(c**4, c, create_graph=True); h, = grad(g, c, create_graph=True); u, = grad(h, c, create_graph=True); grad(u, c)
grad((x * y).sum(), x)
grad(x * y, x, lib.eye(3, dtype=lib.float64), is_grads_batched=True)
grad(x * y, x, T(1.0), is_grads_batched=True)
grad((x * y).sum(), x, None, is_grads_batched=True)
e = lib.eye(3, dtype=lib.float64); grad([x * y, x.sum()], x, [e, e[0]], is_grads_batched=True)
e = lib.eye(3, dtype=lib.float64); grad([x * y, x.sum()], x, [e, e[0, :2]], is_grads_batched=True)
e = lib.eye(3, dtype=lib.float64); grad(x * y, [x, p], e, is_grads_batched=True)
e = lib.eye(3, dtype=lib.float64); grad(x * y, [x, p], e, is_grads_batched=True, materialize_grads=True)
e, a = lib.eye(3, dtype=lib.float64), x * y; grad(a, x, e, is_grads_batched=True); grad(a, x, e, is_grads_batched=True)
x.register_hook(lambda g: g * 2); (x * y).sum().backward(); x.grad
x.register_hook(lambda g: None); (x * y).sum().backward(); x.grad
h = x.register_hook(lambda g: g * 2); h.remove(); (x * y).sum().backward(); x.grad
x.register_hook(lambda g: g * 2); x.register_hook(lambda g: g + 1); (x * y).sum().backward(); x.grad
a = x * 2; a.register_hook(lambda g: g * 3); grad(a.sum(), x)
a = x * 2; a.register_hook(lambda g: g.clamp(max=0.5)); (a * p).sum().backward(); x.grad, p.grad
seen = []; x.register_hook(seen.append); (x * y).sum().backward(); seen
seen = []; x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.clone())); (x * y).sum().backward(); seen
a = x * 2; a.register_post_accumulate_grad_hook(lambda t: None)
T([1.0]).register_hook(lambda g: g)
x.register_hook(lambda g: g[:2]); x.sum().backward()
x.grad = lib.ones(3, dtype=lib.float64); (x * y).sum().backward(); x.grad
x.grad = lib.ones(2, dtype=lib.float64)
x.sum().backward(); x.grad.zero_(); (x * y).sum().backward(); x.grad
x.sum().backward(); x.grad = None; (x * y).sum().backward(); x.grad
with lib.no_grad(): a = x * 2
a.requires_grad, a.is_leaf
with lib.no_grad(): a = lib.enable_grad()(lambda: x * 2)()
a
with lib.set_grad_enabled(False): a = x * 2
a.requires_grad
with lib.inference_mode(): a = x * 2
lib.no_grad()(lambda: x * 2)()
lib.is_grad_enabled()
a = x.detach(); a.requires_grad, (x * a)
a = x.detach().requires_grad_(); (a * x).sum().backward(); a.grad, x.grad
x.detach() * y + x.detach().clone()
a = x.clone(); a.is_leaf, a
(x * 2).requires_grad_(False)
T([1, 2]).requires_grad_()
x.requires_grad_(False); x * y
x.requires_grad = False; x.requires_grad
a = x * 2; a.requires_grad = False
x.is_leaf, (x * 2).is_leaf, T([1.0]).is_leaf
(x * y).grad_fn.name(), x.sin().grad_fn.name(), (m @ s).grad_fn.name()
m.sum().grad_fn.name(), m.mean().grad_fn.name(), (x + y).grad_fn.name(), (x - y).grad_fn.name(), (x / y).grad_fn.name()
m.t().grad_fn.name(), m.reshape(6).grad_fn.name(), x.exp().grad_fn.name(), (x**2).grad_fn.name(), (-x).grad_fn.name()
x.relu().grad_fn.name(), nn.softmax(x, 0).grad_fn.name(), lib.cat([x, y]).grad_fn.name(), lib.stack([x, y]).grad_fn.name()
x.sum().item(), x.sum().tolist()
x.sum().backward(lib.ones(3))
x.backward()
T(1.0).backward()
grad(T(1.0), T(1.0))
grad(x.sum(), T([1.0]))
grad(x.sum(), 3)
grad(c, c)
c.backward(); c.grad
c.backward(); c.backward(); c.grad
x.backward(p.detach()); x.grad
(x * 0).sum().backward(); x.grad
(x.float() * 2).sum().backward(); x.grad
(x * y).sum().backward(create_graph=True); x.grad
lib.stack([x, x, x]).sum().backward(); x.grad
(x.expand(4, 3) * 2).sum().backward(); x.grad
(x + m + b[:, :, :3]).sum().backward(); x.grad, m.grad, b.grad
a, u = m.unbind(); (a * u).sum().backward(); m.grad
a = m.max(1); (a[0] * a[1]).sum().backward(); m.grad
lib.autograd.grad(m.sum(), m, retain_graph=False)[0].shape
bool(x)
if_ = x if x[0] > 0 else y; if_ * 2
sum(v * v for v in x)
[v.requires_grad for v in x]
max(x, key=lambda v: v.item())
x.__class__.__name__, type(x * 2).__name__
e.sum().backward(); e.grad
(e * 2).sum().backward(); e.grad
import copy; a = copy.deepcopy(x); a.is_leaf, a.requires_grad, a
""",
    "func": r"""
func.grad(lambda a: (a**3).sum())(x)
func.grad(lambda a: a**3)(c)
func.grad(lambda a, u: (a * u).sum())(x, y)
func.grad(lambda a, u: (a * u * u).sum(), argnums=1)(x, y)
func.grad(lambda a, u: (a * u).sum(), argnums=(0, 1))(x, y)
func.grad(lambda a, u: (a * u * u).sum(), argnums=(1, 0))(x, y)
func.grad(lambda a, u: (a * u * u).sum(), argnums=-1)(x, y)
func.grad(lambda a: ((a**2).sum(), a * 2), has_aux=True)(x)
func.grad_and_value(lambda a: (a**2).sum())(x)
func.grad_and_value(lambda a: ((a**2).sum(), {"k": a}), has_aux=True)(x)
func.grad(lambda d: (d["u"] * d["v"]).sum())({"u": x, "v": y})
func.grad(lambda l: (l[0] * l[1][0]).sum())([x, (y,)])
func.grad(lambda d, a: (d["u"] * a).sum(), argnums=(0, 1))({"u": x}, y)
func.grad(func.grad(lambda a: a**4))(c)
func.grad(func.grad(func.grad(lambda a: a.sin())))(c)
func.grad(lambda a: (a * y).sum())(x)
func.grad(lambda a: (a.detach() * a).sum())(x)
func.grad(lambda a: (x * a).sum())(x)
func.grad(lambda a: y.sum())(x)
func.grad(lambda a: a.sum())(T([1.0, 2.0]))
func.grad(lambda a: a)(x)
func.grad(lambda a: (a, a))(c)
func.grad(lambda a: 3.0)(c)
func.grad(lambda a: a.sum())(T([1, 2]))
func.grad(lambda a: a * 2.0)(2.0)
func.grad(lambda a, u: (a * u).sum(), argnums=2)(x, y)
func.grad(lambda a, u: (a * u).sum(), argnums=(0, 0))(x, y)
func.grad(lambda a: a.sum(), argnums="x")(x)
func.grad(lambda a: a.sum(), has_aux=True)(x)
func.vjp(lambda a: a**2, x)[0]
func.vjp(lambda a: a**2, x)[1](y)
func.vjp(lambda a, u: a * u, x, y)[1](p)
func.vjp(lambda a: (a.sum(), a * 2), x)[1]((c, y))
func.vjp(lambda a: {"k": a * a}, x)[1]({"k": y})
func.vjp(lambda a: (a**2, a), x, has_aux=True)[2]
f = func.vjp(lambda a: a**2, x)[1]; f(y)[0] + f(p)[0]
func.vjp(lambda a: a.sum(), x)[1](y)
func.vjp(lambda a: a * 2, x)[1]((y, y))
func.vjp(lambda d: d["u"] * 2, {"u": x})[1](y)
func.jvp(lambda a: a**2, (x,), (y,))
func.jvp(lambda a, u: a * u, (x, y), (y, x))
func.jvp(lambda a: (a.sum(), a * 2), (x,), (y,))
func.jvp(lambda a: (a.sum(), a * 2), (x,), (y,), has_aux=True)
func.jvp(lambda d: d["u"] ** 2, ({"u": x},), ({"u": y},))
func.jvp(lambda a: lib.ones(3), (x,), (y,))
func.jvp(lambda a: a * 2, x, y)
func.jvp(lambda a: a * 2, (x,), (y[:2],))
func.jvp(lambda a: a.max(), (x,), (y,))
func.jvp(lambda a: a.relu() + a.abs(), (x,), (y,))
func.jvp(lambda a: func.grad(lambda u: (u**3).sum())(a), (x,), (y,))
func.jvp(lambda a: nn.softmax(a, 0), (x,), (y,))
func.jvp(lambda a: a.cumprod(0), (x,), (y,))
func.jvp(lambda a: linalg.inv(a), (s,), (s * 2,))
func.jvp(lambda a: a.prod(), (x,), (y,))
func.jvp(lambda a: a[[0, 0]], (x,), (y,))
func.jacrev(lambda a: a**2)(x)
func.jacrev(lambda a: a.sum())(x)
func.jacrev(lambda a: m @ a)(x)
func.jacrev(lambda a, u: a * u, argnums=(0, 1))(x, y)
func.jacrev(lambda a, u: a * u, argnums=1)(x, y)
func.jacrev(lambda d: {"k": d["u"] * 2})({"u": x})
func.jacrev(lambda a: (a * 2, a), has_aux=True)(x)
func.jacrev(lambda a: a.sum(0))(m)
func.jacrev(lambda a: a @ a)(s)
func.jacrev(lambda a: a * 2)(c)
func.jacrev(lambda a: a[:0])(x)
func.jacrev(lambda a: T([1.0, 2.0]))(x)
func.jacrev(lambda a: a * 2)(T([1, 2]))
func.jacfwd(lambda a: a**2)(x)
func.jacfwd(lambda a: (a**2, a.sum()))(x)
func.jacfwd(lambda a, u: a * u, argnums=(0, 1))(x, y)
func.jacfwd(lambda a: a.sum(0))(m)
func.jacfwd(lambda a: a * c)(c)
func.jacfwd(lambda a: lib.ones(2))(x)
func.jacfwd(func.jacrev(lambda a: (a**3).sum()))(x)
func.jacrev(func.jacfwd(lambda a: (a**3).sum()))(x)
func.jacrev(func.jacrev(lambda a: a**3))(x)
func.jacfwd(func.jacfwd(lambda a: a**3))(x)
func.hessian(lambda a: (a**3).sum() + a[0] * a[1])(x)
func.hessian(lambda a: a.sum())(x)
func.hessian(lambda a: nn.softmax(a, 0).log().sum())(x)
func.vmap(lambda a: a * 2)(m)
func.vmap(lambda a: a.sum())(m)
func.vmap(lambda a, u: a @ u, in_dims=(0, None))(m, x)
func.vmap(lambda a: a.sum(), in_dims=1)(m)
func.vmap(lambda a: a * 2, out_dims=1)(m)
func.vmap(func.grad(lambda a: (a**2).sum()))(m)
func.vmap(lambda a: (a, a.max()))(m)
func.vmap(lambda d: d["u"] * 2)({"u": m})
func.vmap(func.vmap(lambda a: a * a))(m)
func.vmap(lambda a: a.sort()[0])(m)
func.vmap(lambda a: a[0])(m)
func.vmap(lambda a: nn.softmax(a, 0))(m)
func.vmap(lambda a, u: a + u)(m, x)
func.vmap(lambda a: a * 2)(c)
func.vmap(lambda a: 3)(m)
func.vmap(lambda a: a.sum(), in_dims=2)(m)
func.vmap(lambda a: a * 2, in_dims=None)(m)
func.jacrev(func.vmap(lambda a: a.prod()))(m)
func.vmap(func.hessian(lambda a: (a**3).sum()))(m)
func.vmap(func.jacfwd(lambda a: a**2))(m)
""",
    "functional": r"""
F.jacobian(lambda a: a**2, x)
F.jacobian(lambda a, u: a * u, (x, y))
F.jacobian(lambda a: (a**2, a.sum()), x)
F.jacobian(lambda a: a**2, x, create_graph=True)
F.jacobian(lambda a: a**2, x, create_graph=True).requires_grad
F.jacobian(lambda a: y * 2, x)
F.jacobian(lambda a: y * 2, x, strict=True)
F.jacobian(lambda a: y.detach(), x, strict=True)
F.jacobian(lambda a: a * 2, x, strict=True, create_graph=True)
F.hessian(lambda a: (a**3).sum(), x)
F.hessian(lambda a, u: (a * u * u).sum(), (x, y))
F.hessian(lambda a: (a**3).sum(), x, create_graph=True)
F.hessian(lambda a: a.sum(), x)
F.hessian(lambda a: a * 2, x)
F.vjp(lambda a: a**2, x, y)
F.vjp(lambda a: a.sum(), x)
F.vjp(lambda a, u: a * u, (x, y), p)
F.vjp(lambda a: a**2, x)
F.vjp(lambda a: a**2, x, c)
F.vjp(lambda a: a**2, x, y, create_graph=True)
F.jvp(lambda a: a**2, x, y)
F.jvp(lambda a, u: a * u, (x, y), (p, p))
F.jvp(lambda a: a * 2, c)
F.jvp(lambda a: a**2, x)
F.jvp(lambda a: a**2, x, y, create_graph=True)
F.jvp(lambda a: a**2, x, (y, y))
F.hvp(lambda a: (a**3).sum(), x, y)
F.hvp(lambda a, u: (a * u).sum(), (x, y), (p, p))
F.hvp(lambda a: a**3, x, y)
F.vhp(lambda a: (a**3).sum(), x, y)
F.vhp(lambda a, u: (a * u * u).sum(), (x, y), (p, p))
F.vhp(lambda a: (a**3).sum(), x)
F.jacobian(lambda a: 3, x)
F.jacobian(lambda a: a, 3)
F.jacobian(lambda a: a.sum(0), m)
""",
    "errors": r"""
linalg.solve_triangular(m, m, upper=True)
lib.einsum("ij,jk", m, m)
lib.einsum("ii", m)
lib.einsum("i.j", m)
lib.einsum("ij", m, s)
lib.einsum("ij,jk,k", m, s)
lib.einsum("i1", m)
lib.einsum("ij->ijj", m)
lib.einsum("ij->ik", m)
lib.einsum("ij->i.", m)
lib.einsum("ij->......", m)
lib.einsum("...i...", m)
lib.einsum("i", m)
lib.einsum("...ijk", m)
lib.einsum("ij")
lib.einsum(m, [0, 52])
x + T([1.0, 2.0])
m + s[:, :2]
x.sum(1)
x.sum(-2)
m.sum((0, 0))
m.sum((0, 2))
m.softmax(2)
m.mean(5)
m.var(3)
m.transpose(0, 2)
m.reshape(4)
m.reshape(-1, -1)
m.reshape(4, -1)
m.view(5)
m.squeeze(2)
m.unsqueeze(4)
m.flip(2)
m.flip(0, 0)
m.roll(1, 3)
lib.stack([x, y], 3)
m.split(2, 3)
m.split((1, 2), 0)
m.chunk(0)
m.chunk(2, 2)
m.unbind(2)
m.narrow(0, 1, 2)
m.narrow(0, 3, 1)
m.select(0, 2)
m.select(2, 0)
m[2]
m[0, 0, 0]
m[[0, 2]]
x[1.5]
m.gather(0, T([0]))
m.gather(2, T([[0]]))
m.index_select(0, T([[0]]))
m.index_select(0, T([1.0]))
m.index_select(2, T([0]))
m.argmax(2)
m.max(2)
m.sort(2)
m.topk(4)
m.kthvalue(0)
m.cumsum(2)
m.diagonal(0, 0, 2)
x.diagonal()
b.t()
x.item()
int(x)
float(m)
m.repeat(2)
m.movedim(0, 2)
x.clamp()
lib.where(k, x, m[:, :2])
lib.full((2,), 1.0).view(3)
nn.softmax(x, 3)
nn.pad(x, (1,))
lib.outer(m, x)
linalg.multi_dot([s])
x + "a"
x + None
x.nonexistent
x.size(3)
m.sum_to_size(2, 2)
""",
    "corners": r"""
lib.median(T([1.0, 3.0, 2.0, 2.0]))
T([[1, 2], [2, 1]]).max(1)
T([1, 2, 2, 1]).argmax(), T([2, 2]).argmin()
(m * k.double()).sum(1)
m.prod(0) + m[0].prod()
(x - x).prod()
(x * T([0.0, 0.0, 1.0])).prod()
(m * T([0.0, 0.0, 1.0])).prod(1)
(x * T([0.0, 1.0, 0.0])).cumprod(0)
x.clamp(-1.5, 2.25)
nn.hardtanh(x, -1.5, 0.5)
nn.relu6(x * 0 + 6)
nn.leaky_relu(x * 0)
nn.elu(x * 0)
nn.threshold(x, -1.5, 0.0)
nn.hardshrink(x, 0.5)
nn.softshrink(x, 0.5)
nn.huber_loss(x, x - 1)
nn.smooth_l1_loss(x, x - 1)
x.fmod(0.5)
x % x
x.remainder(x * 2)
lib.fmax(x, x)
lib.fmin(x, x)
lib.minimum(x, x * 1)
lib.clamp(x, x, x)
x.sort(descending=True)[0]
(m * 0 + 1).topk(2)[0]
(m * 0).median(1)[0]
(m * 0).cummax(1)[0]
x.logsumexp(0) + (x / 0 * 0).nan_to_num(0.0)
T([float("inf"), 1.0], requires_grad=True).logsumexp(0)
T([float("-inf")] * 2).logsumexp(0)
T([float("-inf"), 0.0]).softmax(0)
T([float("-inf")] * 2).softmax(0)
T([float("-inf")] * 2).log_softmax(0)
lib.logaddexp(T(float("-inf")), T(float("-inf")))
T([float("nan"), 1.0]).clamp(0, 2)
T([float("nan"), 1.0]).relu()
T([float("nan"), 1.0]).sort()[1]
T([1.0, float("nan"), 3.0]).min(0)
T([-0.0, 0.0]).sign(), T([-0.0]).sqrt(), T([-0.0]).abs()
T([-0.5, 0.4]).round()
T([127], dtype=lib.int8) + 1
T([-128], dtype=lib.int8).abs()
T([3, -3]) // T([-2, 2])
T([2**31 - 1], dtype=lib.int32) + T([1], dtype=lib.int32)
T([0, 2]) ** 0
lib.atan2(T([0.0, -0.0]), T([-1.0, -1.0]))
lib.cumsum(T([1, 2], dtype=lib.int32), 0)
T([1, 2], dtype=lib.int32).sum()
T([1, 2], dtype=lib.int32).prod()
T([1.0], dtype=lib.float16).std()
T([1.0]).var()
T([[1.0], [2.0]]).std(1)
nn.layer_norm(m, (3,))
nn.dropout(x, 0.0)
nn.dropout(x, 0.5, training=False)
nn.layer_norm(m, (3,), x, y)
nn.layer_norm(m, (2, 3))
""",
    "once": r"""
p.lgamma() + p.digamma() + special.psi(p) + special.gammaln(p)
nn.hardtanh(x) + nn.hardsigmoid(x).detach() + nn.hardswish(x).detach()
nn.normalize(m * 0)
nn.cosine_similarity(m, m * 0, 1)
nn.multi_margin_loss(m, T([2, 0]))
nn.multi_margin_loss(m, T([2, 0]), p=2, margin=0.5)
nn.multilabel_margin_loss(m, T([[2, 0, -1], [1, -1, 0]]))
nn.softplus(x) + nn.softplus(x, 2.0, 1.5) + nn.logsigmoid(x)
(m * 0).norm()
(m * 0).norm(dim=1)
linalg.vector_norm(x * 0, 1) + linalg.vector_norm(x * 0, 3)
linalg.det(s * 0 + 1)
lib.cdist(m, s)
lib.cdist(m, s, p=1.0)
lib.cdist(m, m)
(p * 0) ** p
x.abs()
m.norm(1)
m.norm(float("inf"), 0)
m.dist(m.detach() + 1, 1)
""",
    "refused": r"""
m.mm(x)
lib.bmm(m, m)
lib.mv(x, x)
linalg.solve(s * 0, x)
lib.mv(s, s)
m.mm(b)
x.dot(c)
lib.vdot(m, m)
lib.bmm(b, m)
a = lib.arange(3); a += 1.5; a
x[0] = 1
a = x * 2; a[1:] = T([1.0, 2.0, 3.0], dtype=lib.float64)
linalg.solve(s * 0, x)
linalg.inv(m)
linalg.cholesky(-s)
x @ m
m @ m
x.dot(m)
z.max()
z.floor()
grad((z * z).sum(), z)
z.sum().backward()
x.grad = lib.ones(3)
x.numpy()
import copy; copy.deepcopy(x * 2)
func.jvp(lambda a: a * 2, (x,), (y, y))
func.vmap(lambda a: a.item())(x)
func.vmap(lambda a, u: a * u, in_dims=(0,))(m, m)
m.permute(0)
m.permute(0, 0)
m.expand(2, 2)
m.expand(3)
lib.cat([m, x])
lib.cat([m, s[:, :2]], 1)
lib.cat([])
lib.stack([x, m])
lib.stack([])
m[T([True, False, True])]
x["a"]
c[0]
m.diagonal(0, 0, 0)
m.t().t().t() @ m.t()
m.trace() + x.trace()
x.tril()
e.max()
e.argmax()
e.max(0)
e.amax(0)
e.min()
x.unflatten(0, (2, 2))
x.unflatten(0, (-1, -1))
x.repeat()
m.movedim((0, 1), (0,))
m.movedim((0, 0), (0, 1))
x.unfold(0, 4, 1)
x & y
~x
x << 1
lib.zeros(-1)
lib.tensor([[1], [2, 3]])
lib.tensor("a")
lib.eye(-1)
lib.linspace(0, 1, -1)
x.backward(1.0)
x.to("nonsense")
nn.glu(x)
nn.cross_entropy(m, T([3, 0]))
nn.cross_entropy(m, T([2, 0, 1]))
nn.nll_loss(m, T([1.0, 0.0]))
nn.mse_loss(x, y, reduction="other")
nn.linear(m, m.T)
nn.one_hot(T([-1]))
nn.one_hot(T([3]), 2)
nn.embedding(T([2]), m)
nn.pixel_shuffle(b, 2)
nn.binary_cross_entropy(x, k.double())
nn.binary_cross_entropy(p / 4, x[:2])
lib.block_diag(b)
lib.dot(m, m)
lib.cross(m[:, :2], m[:, :2], dim=1)
lib.tensordot(m, s, dims=2)
lib.einsum("ij,jk", m, 2.0)
lib.einsum(m, [0, 1], 3)
linalg.det(m)
linalg.solve(s, m)
linalg.vector_norm(x, "fro")
linalg.matrix_power(m, 2)
lib.quantile(x, 2.0)
lib.polygamma(-1, x)
lib.lerp(x, y, "a")
lib.add(x, "a")
x @ 2
x.pow("a")
lib.sin(1.0)
lib.sin("a")
lib.sum([1.0])
x.view()
x.split(0)
x.split(-1)
x.tensor_split(0)
x.repeat_interleave(-1)
lib.meshgrid(x, m, indexing="ij")
lib.broadcast_tensors(x, y[:2])
x.broadcast_to((2,))
m.rot90(1, (0, 0))
x.rot90()
m.squeeze("a")
""",
}
"""In the kind "once" second derivatives differ or are absent; in the kind "refused" both raise, with other texts."""
