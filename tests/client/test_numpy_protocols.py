"""Ufuncs and functions of NumPy on tensors: values as NumPy's, gradients as those of methods, texts of what is refused."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.special

import gradproof.client as gp

pytestmark = pytest.mark.usefixtures("tensors")

ARRAYS = {
    "a": np.array([[0.3, -0.7, 1.1, 0.2], [0.9, 0.5, -0.4, -0.9], [1.7, -1.3, 0.6, 0.1]]),
    "b": np.array([[1.2, 0.4, 0.8, 2.1], [0.6, 1.9, 0.7, 1.1], [2.2, 0.3, 1.4, 0.9]]),
    "n": np.array([[0.3, np.nan, 1.1], [np.nan, 0.5, -0.4]]),
    "u": np.array([0.2, -0.4, 0.7]),
    "v": np.array([1.5, 0.1, -0.8]),
    "s": np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.2], [0.5, -0.2, 2.0]]),
    "c": np.array([[[0.1, 0.2], [0.3, -0.4]], [[0.5, 0.6], [-0.7, 0.8]], [[0.9, 1.0], [1.1, 1.2]]]),
    "i": np.array([[5, 2, 7], [1, 6, 3]]),
    "m": np.array([[True, False, True], [False, True, True]]),
    "z": np.array([1.0 + 2.0j, -0.5 + 0.1j, 0.3 - 0.7j]),
}

UNARY = """
    absolute arccos:a/2 arccosh:b+1 arcsin:a/2 arcsinh arctan arctanh:a/2 cbrt ceil conjugate:z cos cosh deg2rad
    degrees exp exp2 expm1 fabs floor isfinite:n isinf:n isnan:n log:b log10:b log1p:b log2:b logical_not:m invert:i
    negative positive rad2deg radians reciprocal:b rint sign signbit sin sinh sqrt:b square tan tanh trunc real:z
    imag:z angle:z i0 sinc fix isneginf:n isposinf:n isreal:z nan_to_num:n modf
"""
BINARY = """
    add arctan2 copysign divide equal floor_divide float_power:b,a fmax fmin fmod greater greater_equal heaviside
    hypot less less_equal logaddexp logaddexp2 maximum minimum multiply nextafter not_equal power:b,a remainder
    subtract divmod isclose bitwise_and:i,i[0] bitwise_or:i,i[0] bitwise_xor:i,i[0] left_shift:i,2 right_shift:i,1
    logical_and:m,m[0] logical_or:m,m[0] logical_xor:m,m[0] ldexp:a,2 matmul:a,b.T
"""
REDUCTIONS = "sum prod mean max amax min amin std var ptp median any:m all:m count_nonzero:i argmax argmin"
OF_NANS = "nansum nanprod nanmean nanmax nanmin nanmedian nanstd nanvar nanargmax nanargmin"

OTHERS = """
    np.add.reduce(a)
    np.add.reduce(a, axis=None)
    np.add.reduce(a, axis=1, keepdims=True)
    np.multiply.reduce(b)
    np.maximum.reduce(a, axis=1)
    np.minimum.reduce(a)
    np.logical_and.reduce(m)
    np.logical_or.reduce(m, axis=1)
    np.logaddexp.reduce(a, axis=1)
    np.add.accumulate(a)
    np.multiply.accumulate(a, axis=1)
    np.subtract.outer(u, v)
    np.maximum.outer(a, 0.5)
    np.vecdot(a, b)
    np.clip(a, -0.5, 0.5)
    np.clip(a, None, b)
    np.clip(a, min=0)
    np.round(a, 1)
    np.around(a, decimals=1)
    np.angle(z, deg=True)
    np.std(a, axis=0, ddof=1)
    np.var(a, axis=(0, 1), ddof=1, keepdims=True)
    np.nanvar(n, axis=1, ddof=1)
    np.average(a)
    np.average(a, axis=1, weights=[1.0, 2.0, 3.0, 4.0])
    np.average(a, weights=b)
    np.quantile(a, 0.3)
    np.quantile(a, [0.3, 0.6], axis=1)
    np.percentile(a, 30, axis=0)
    np.nanquantile(n, 0.4, axis=1)
    np.nanpercentile(n, [10, 50])
    np.cumsum(a)
    np.cumsum(a, axis=1)
    np.cumprod(b, 0)
    np.nancumsum(n, axis=1)
    np.nancumprod(n)
    np.cumulative_sum(a, axis=1)
    np.cumulative_sum(u, include_initial=True)
    np.cumulative_prod(u)
    np.diff(a)
    np.diff(a, 2, axis=0)
    np.diff(a, prepend=0.0)
    np.diff(a, axis=0, append=b)
    np.ediff1d(a)
    np.trapezoid(a)
    np.trapezoid(a, dx=0.5, axis=0)
    np.trapezoid(u, v)
    np.reshape(a, (2, 6))
    np.reshape(a, -1)
    np.ravel(a)
    np.transpose(a)
    np.transpose(c, (2, 0, 1))
    np.permute_dims(c, (1, 2, 0))
    np.matrix_transpose(c)
    np.swapaxes(c, 0, 2)
    np.moveaxis(c, 0, -1)
    np.rollaxis(c, 2)
    np.rollaxis(c, 0, 3)
    np.expand_dims(a, 1)
    np.expand_dims(a, (0, 3))
    np.squeeze(np.expand_dims(a, 1))
    np.squeeze(np.expand_dims(a, 1), axis=1)
    np.broadcast_to(u, (2, 3))
    np.broadcast_arrays(u, a[:, :3])
    np.atleast_1d(u)
    np.atleast_2d(u, v)
    np.atleast_3d(a)
    np.flip(a)
    np.flip(a, axis=1)
    np.fliplr(a)
    np.flipud(a)
    np.rot90(a)
    np.rot90(a, 2, (1, 0))
    np.roll(a, 1)
    np.roll(a, (1, 2), axis=(0, 1))
    np.tile(a, (2, 1))
    np.tile(u, 3)
    np.repeat(a, 2)
    np.repeat(a, [1, 0, 2], axis=0)
    np.concatenate([a, b])
    np.concatenate((a, b), axis=1)
    np.concatenate([a, u], axis=None)
    np.concat([a, b], axis=1)
    np.stack([a, b])
    np.stack([a, b], axis=-1)
    np.hstack([a, b])
    np.hstack([u, v])
    np.vstack([u, v])
    np.dstack([a, b])
    np.column_stack([u, v])
    np.block([[a, b], [b, a]])
    np.block([u, 2.0])
    np.append(a, b)
    np.append(a, b, axis=1)
    np.split(a, 2, axis=1)
    np.split(a, [1, 3], axis=1)
    np.array_split(a, 2)
    np.hsplit(a, 2)
    np.vsplit(a, 3)
    np.dsplit(c, 2)
    np.unstack(a, axis=1)
    np.meshgrid(u, v)
    np.meshgrid(u, v, indexing="ij")
    np.pad(a, 1)
    np.pad(a, ((0, 1), (2, 0)), constant_values=0.5)
    np.pad(a, (1, 2), mode="reflect")
    np.diag(u)
    np.diag(s, k=1)
    np.diagflat(s, 1)
    np.diagonal(c)
    np.diagonal(s, offset=-1)
    np.trace(s)
    np.trace(c, 0, 1, 2)
    np.tril(s)
    np.triu(a, 1)
    np.where(m, i, 0)
    np.where(a > 0, a, b)
    np.where(m)
    np.nonzero(m)
    np.argwhere(m)
    np.flatnonzero(m)
    np.take(a, [0, 5, 2])
    np.take(a, [1, 0], axis=1)
    np.take(a, 1, axis=0)
    np.take_along_axis(a, np.argsort(a, axis=1), axis=1)
    np.compress([True, False, True], a, axis=0)
    np.extract(a > 0, a)
    np.delete(a, 1, axis=0)
    np.delete(a, [0, 2])
    np.select([a > 0.5, a > 0], [a, b], default=-1.0)
    np.searchsorted(np.sort(u), v)
    np.searchsorted(np.sort(u), v, side="right")
    np.sort(a)
    np.sort(a, axis=0)
    np.argsort(a)
    np.argsort(a, axis=0)
    np.argmax(a, axis=1, keepdims=True)
    np.dot(u, v)
    np.dot(a, b.T)
    np.dot(2.0, u)
    np.dot(a[:, :2], c[0])
    np.dot(s, c.reshape(2, 3, 2))
    np.vdot(z, z)
    np.inner(a, b)
    np.inner(u, v)
    np.outer(u, v)
    np.outer(a, u)
    np.kron(u, v)
    np.kron(s, a)
    np.cross(u, v)
    np.tensordot(a, b)
    np.tensordot(a, b, axes=([0], [0]))
    np.tensordot(c, s, axes=(0, 1))
    np.einsum("ij,kj->ik", a, b)
    np.einsum("ii->i", s)
    np.einsum("ij,jk,kl", s, a, b.T, optimize="greedy")
    np.einsum(a, [0, 1], b, [0, 1], [1])
    np.einsum("...i,i", c, c[0, 0])
    np.linalg.solve(s, u)
    np.linalg.solve(s, a)
    np.linalg.inv(s)
    np.linalg.det(s)
    np.linalg.cholesky(s)
    np.linalg.norm(a)
    np.linalg.norm(a, axis=1)
    np.linalg.norm(a, 1)
    np.linalg.norm(a, ord=np.inf, axis=(0, 1), keepdims=True)
    np.linalg.norm(u, 3)
    np.linalg.matrix_norm(c)
    np.linalg.vector_norm(c, axis=(1, 2))
    np.linalg.matrix_power(s, 3)
    np.linalg.multi_dot([s, a, b.T])
    np.linalg.matmul(s, a)
    np.linalg.matrix_transpose(c)
    np.linalg.diagonal(s, offset=1)
    np.linalg.trace(s)
    np.linalg.cross(s, u)
    np.linalg.outer(u, v)
    np.linalg.tensordot(a, b, axes=2)
    np.linalg.vecdot(a, b)
    np.lib.stride_tricks.sliding_window_view(a, 2, axis=1)
    np.lib.stride_tricks.sliding_window_view(a, (2, 2))
    np.zeros_like(a)
    np.ones_like(a, dtype=np.float32)
    np.full_like(a, 1.5)
    np.copy(a)
    np.astype(a, np.float32)
    np.shape(a)
    np.ndim(a)
    np.size(a)
    np.size(a, 1)
    np.iscomplexobj(z)
    np.isrealobj(z)
    np.array_equal(a, a)
    np.allclose(a, b)
    np.result_type(a, i) == np.float64
    np.linalg.cholesky(s, upper=True)
    np.unique(i)
    np.histogram(a)[0]
    np.isin(i, [1, 2])
    np.array2string(u)
    np.real(z) * np.imag(z)
    a_array * a - a_array / b
    a_array @ b.T
    a_array == a
    a_array ** 2.0 + np.float64(2.0) * a
    i_array & i
"""


def _calls(names: str, arguments: str) -> Iterator[str]:
    for word in names.split():
        name, _, given = word.partition(":")
        yield f"np.{name}({given or arguments})"


CALLS = [
    *_calls(UNARY, "a"),
    *_calls(BINARY, "a, b"),
    *_calls(REDUCTIONS, "a"),
    *(call.replace(")", ", axis=0)") for call in _calls(REDUCTIONS, "a")),
    *_calls(OF_NANS, "n"),
    *(call.replace(")", ", axis=1)") for call in _calls(OF_NANS, "n")),
    *(line.strip() for line in OTHERS.strip().splitlines()),
]


def _with(values: dict[str, Any]) -> dict[str, Any]:
    return {"np": np, "a_array": ARRAYS["a"], "i_array": ARRAYS["i"], **values}


def _arrays(result: Any) -> list[Any]:
    return [np.asarray(x) for x in result] if isinstance(result, (tuple, list)) else [np.asarray(result)]


@pytest.mark.sweep(of=3)
@pytest.mark.parametrize("call", CALLS)
def test_functions_have_the_values_of_numpy(call: str) -> None:
    expected = eval(call, _with(ARRAYS))
    result = eval(call, _with({name: gp.tensor(x) for name, x in ARRAYS.items()}))
    for ours, theirs in zip(_arrays(result), _arrays(expected), strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype, (ours, theirs)
        if theirs.dtype.kind in "US":
            assert "0.2" in str(ours)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14)


def test_a_hundred_and_fifty_functions_are_compared() -> None:
    assert len({call.partition("(")[0] for call in CALLS}) >= 150


SPECIAL = """
    beta:b,b betaln:b,b cbrt:a entr:b erf:a erfc:a erfcinv:b/3 erfcx:a erfinv:a/2 exp2:a expit:a expm1:a gamma:b
    gammainc:b,b gammaincc:b,b gammaln:b i0:a i0e:a i1:a i1e:a j0:a j1:a log1p:b log_expit:a log_ndtr:a logit:b/3
    ndtr:a ndtri:b/3 psi:b xlog1py:a,b xlogy:a,b y0:b y1:b
"""


@pytest.mark.parametrize("call", [call.replace("np.", "special.") for call in _calls(SPECIAL, "")])
def test_ufuncs_of_scipy_special_record_their_ops(call: str) -> None:
    tensors = {name: gp.tensor(x, requires_grad=x.dtype.kind == "f") for name, x in ARRAYS.items()}
    result = eval(call, {"special": scipy.special, **tensors})
    assert result.requires_grad
    np.testing.assert_allclose(result.detach(), eval(call, {"special": scipy.special, **ARRAYS}), rtol=1e-12, atol=1e-15)


GRADIENTS = """
    np.sum(np.sin(x) * ARRAY) ; np.cos(x) * ARRAY
    np.mean(np.square(x)) ; 2 * x / x.size
    np.linalg.norm(x) ; x / np.linalg.norm(x)
    np.sum(np.where(x > 0, x, 0.1 * x)) ; np.where(x > 0, 1.0, 0.1)
    np.sum(np.concatenate([x, ARRAY]) ** 2) ; 2 * x
    np.sum(np.clip(x, -0.55, 0.55)) ; np.where(np.abs(x) < 0.55, 1.0, 0.0)
    np.add.reduce(np.dot(ARRAY.T, x), axis=None) ; np.broadcast_to(ARRAY.sum(1)[:, None], x.shape)
    np.vdot(np.cumsum(x, axis=1), ARRAY) ; np.flip(np.cumsum(np.flip(ARRAY, 1), axis=1), 1)
    np.sum(scipy.special.expit(x)) ; scipy.special.expit(x) * scipy.special.expit(-x)
    np.logaddexp.reduce(x, axis=None) ; np.exp(x) / np.sum(np.exp(x))
"""


@pytest.mark.parametrize("line", [line.strip() for line in GRADIENTS.strip().splitlines()])
def test_gradients_flow_through_functions_of_numpy(line: str) -> None:
    function, derivative = line.split(" ; ")
    names = {"np": np, "scipy": scipy, "ARRAY": ARRAYS["b"]}
    x = gp.tensor(ARRAYS["a"], requires_grad=True)
    eval(function, {"x": x, **names}).backward()
    np.testing.assert_allclose(x.grad, eval(derivative, {"x": ARRAYS["a"], **names}), rtol=1e-13)
    assert x.verdict.summary == "verified"


def test_the_gradient_of_a_solution_of_a_system() -> None:
    a, b = (gp.tensor(ARRAYS[name], requires_grad=True) for name in "su")
    np.sum(np.linalg.solve(a, b) * ARRAYS["v"]).backward()
    back = np.linalg.solve(ARRAYS["s"].T, ARRAYS["v"])
    np.testing.assert_allclose(b.grad, back, rtol=1e-13)
    np.testing.assert_allclose(a.grad, -np.outer(back, np.linalg.solve(ARRAYS["s"], ARRAYS["u"])), rtol=1e-12)


def test_an_array_beside_a_tensor_is_one_node() -> None:
    x = gp.tensor(ARRAYS["a"], requires_grad=True)
    product: Any = ARRAYS["b"] * x
    assert repr(product.grad_fn) == "<MulBackward0>"
    assert (np.float64(2.0) * x).dtype == np.float64
    assert (np.float32(2.0) * gp.tensor([1.0])).dtype == np.float32


def test_results_of_subclasses_have_their_class() -> None:
    class Length(gp.Tensor):
        pass

    x = gp.tensor([1.0, 2.0]).as_subclass(Length)
    assert [type(y) for y in (np.sin(x), np.mean(x))] == [Length, Length]


REFUSED = """
    np.add(y, x, out=y) ; np.add(out=...) is not for tensors: nothing is written
    np.add(x, y, where=y > 0) ; np.add(where=...) is not for tensors: write np.where
    np.add.at(y, 0, x) ; np.add.at is not for tensors: nothing is written
    np.add.at(x, 0, y) ; index_put(indices, values, accumulate=True)
    np.add.reduceat(x, [0, 1]) ; np.add.reduceat is not for tensors: write the sums of slices
    np.add.reduce(x, initial=1.0) ; np.add.reduce(initial=...)
    np.hypot.reduce(x) ; have a reduction
    np.sum(x, where=y > 0) ; np.sum(where=...) is not for tensors: write np.where
    np.sum(x, out=y) ; np.sum(out=...) is not for tensors
    np.std(x, dtype=np.float32) ; np.std(dtype=...) is not for tensors: convert by x.to(dtype)
    np.average(x, returned=True) ; np.average(returned=...)
    np.concatenate([x, x], out=y) ; np.concatenate(out=...)
    np.gcd(x, x) ; np.gcd has no op
    np.fft.fft(x) ; write np.fft.fft(x.detach().numpy())
    np.linalg.eigvals(x) ; np.linalg.eigvals has no op
    np.convolve(x, y) ; np.convolve has no op
    scipy.special.airy(x) ; scipy.special.airy has no op
    y.__iadd__(x) ; so y = y + x instead of y += x
"""


@pytest.mark.parametrize("line", [line.strip() for line in REFUSED.strip().splitlines()])
def test_what_has_no_op_is_refused_with_what_to_write(line: str) -> None:
    call, text = line.split(" ; ")
    x = gp.tensor([1.0, 2.0], dtype=gp.float64, requires_grad=True)
    with pytest.raises(TypeError) as caught:
        eval(call, {"np": np, "scipy": scipy, "x": x, "y": np.ones(2)})
    assert text in str(caught.value)


def test_values_of_a_tensor_that_requires_grad_are_not_taken_in_silence() -> None:
    with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        np.unique(gp.tensor([1.0, 2.0], requires_grad=True))


def test_a_ufunc_of_another_library_is_refused_even_by_the_name_of_an_op() -> None:
    relu = np.frompyfunc(lambda x: max(x, 0.0), 1, 1)
    with pytest.raises(TypeError, match="has no op"):
        relu(gp.tensor([1.0]))
