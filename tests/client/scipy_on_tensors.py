"""Functions of SciPy on tensors, beside SciPy's own values and central differences of them. Run by `test_array_api`, with
``SCIPY_ARRAY_API=1`` in the environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import integrate, optimize, signal, spatial, special, stats

import gradproof.client as gp

A = np.array([[0.3, 1.7, 1.1, 0.2], [0.9, 0.5, 2.4, 0.8], [1.7, 1.3, 0.6, 0.1]])
B = np.array([[1.2, 0.4, 0.8, 2.1], [0.6, 1.9, 0.7, 1.1], [2.2, 0.3, 1.4, 0.9]])
STEP = 1e-6
MODULES: dict[str, Any] = {
    "integrate": integrate, "optimize": optimize, "signal": signal, "spatial": spatial, "special": special, "stats": stats,
}  # fmt: skip

CALLS = """
    special.softmax(a, axis=0)
    special.logsumexp(a, axis=1, b=b)
    special.log_softmax(a, axis=1)
    special.rel_entr(a, b)
    special.xlog1py(a, b)
    special.chdtr(3.0, a)
    special.gammainc(b, a)
    special.xlogy(a, b)
    special.erf(a)
    special.expit(a)
    special.gammaln(a)
    special.betaln(a, b)
    special.entr(a)
    special.i0e(a)
    special.ndtri(a / 3)
    special.log_ndtr(a)
    special.logit(a / 3)
    special.log1p(a)
    special.digamma(a)
    stats.gmean(a)
    stats.hmean(a, axis=1)
    stats.pmean(a, 3)
    stats.kurtosis(a)
    stats.skew(a)
    stats.moment(a, 3)
    stats.variation(a)
    stats.zscore(a, axis=0)
    stats.gstd(a)
    stats.tmean(a, (0.15, 2.0))
    stats.quantile(a, 0.3)
    stats.kstat(a[0], 2)
    stats.gmean(a, weights=b)
    stats.sem(a)
    stats.zmap(b, a)
    stats.entropy(a)
    stats.entropy(a, b)
    stats.jarque_bera(a[0]).statistic
    stats.kurtosistest(a.reshape(-1)).statistic
    stats.alexandergovern(a[0], b[0]).statistic
    stats.boxcox_llf(0.5, a[0])
    stats.power_divergence(a).statistic
    stats.directional_stats(a).mean_direction
    stats.circmean(a)
    stats.circvar(a)
    stats.circstd(a)
    stats.trim_mean(a, 0.1)
    stats.bartlett(a[0], b[1]).statistic
    stats.combine_pvalues(a[0] / 3).statistic
    integrate.trapezoid(a)
    integrate.cumulative_trapezoid(a, axis=1)
    integrate.cubature(lambda x: x * x, a[0, :1] * 0, a[0, :1] + 1).estimate
    integrate.romb(a[:, [0, 1, 2, 3, 0]])
    integrate.fixed_quad(lambda x: x * x, 0, a[0, 0])[0]
    integrate.cumulative_simpson(a)
    optimize.rosen(a)
    optimize.rosen_der(a[0])
    optimize.rosen_hess(a[0])
    signal.normalize(a[0], b[0])[0]
    signal.lp2bp(a[0], b[0])[0]
    signal.lp2lp_zpk(a[0], b[0], 1.0)[0]
    signal.freqz(a[0], b[0])[1].real
    signal.gausspulse(a)
    signal.vectorstrength(a[0], 1.0)[0]
    spatial.transform.Rotation.from_rotvec(a[:, :3]).as_matrix()
    spatial.transform.Rotation.from_quat(a).apply(b[:, :3])
    spatial.transform.Rotation.from_euler("xyz", a[:, :3]).as_matrix()
    spatial.transform.Rotation.from_rotvec(a[:, :3]).as_euler("xyz")
    spatial.transform.Rotation.from_rotvec(a[:, :3]).magnitude()
    spatial.transform.RigidTransform.from_translation(a[:, :3]).as_matrix()
"""


def called(call: str, a: Any, b: Any) -> Any:
    """The result of a call."""
    return eval(call, MODULES | {"a": a, "b": b})


def slope(call: str, weights: Any) -> Any:
    """Central differences of Σ weights · result, element by element of ``a``."""
    gradient = np.zeros_like(A)
    for place in np.ndindex(A.shape):
        up, down = A.copy(), A.copy()
        up[place] += STEP
        down[place] -= STEP
        gradient[place] = np.sum(weights * (called(call, up, B) - called(call, down, B))) / (2 * STEP)
    return gradient


def check(call: str) -> None:
    """Raises AssertionError if the value or the gradient differs."""
    expected = called(call, A, B)
    a: Any = gp.tensor(A, requires_grad=True)
    result = called(call, a, gp.tensor(B))
    assert isinstance(result, gp.Tensor), f"{call}: {type(result)}"
    np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-12, atol=1e-12, err_msg=call)
    weights = np.cos(np.arange(np.size(expected))).reshape(np.shape(expected))
    (result * weights).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), slope(call, weights), rtol=1e-6, atol=1e-7, err_msg=call)


def main() -> None:
    """Check all calls."""
    gp.set_default_dtype(gp.float64)
    with gp.connect() as client:
        gp.use(client)
        for call in CALLS.strip().splitlines():
            check(call.strip())


if __name__ == "__main__":
    main()
