"""Minima by SciPy's methods: known ones, with bounds, constraints and trees, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint, OptimizeResult, rosen

import gradproof.client as gp
from gradproof.client.optim import minimize

pytestmark = pytest.mark.usefixtures("tensors")

A = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.25], [0.5, -0.25, 2.0]])
B = np.array([1.0, -2.0, 0.5])


def quadratic(x: gp.Tensor) -> gp.Tensor:
    return gp.einsum("i,ij,j", x, A, x) / 2 - x @ B


def rosenbrock(x: gp.Tensor) -> gp.Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


GRADIENTS = ("BFGS", "L-BFGS-B", "CG", "Newton-CG", "trust-ncg", "trust-krylov", "SLSQP", "TNC", "trust-constr")


@pytest.mark.parametrize("method", [*GRADIENTS, "dogleg", "trust-exact", "Nelder-Mead", "COBYQA", None])
def test_every_method_finds_the_solution_of_a_linear_system(method: str | None) -> None:
    found = minimize(quadratic, [1.0, 1.0, 1.0], method=method, tol=1e-6)
    assert found.success, found
    np.testing.assert_allclose(found.x, np.linalg.solve(A, B), atol=1e-3)


def test_the_minimum_of_rosenbrock() -> None:
    found = minimize(rosenbrock, np.array([1.3, 0.7]), method="L-BFGS-B", options={"gtol": 1e-8, "ftol": 0.0})
    assert isinstance(found, OptimizeResult)
    assert isinstance(found.x, np.ndarray)
    np.testing.assert_allclose(found.x, [1.0, 1.0], atol=1e-6)
    assert abs(found.fun - rosen(found.x)) < 1e-14
    assert found.verdict is not None
    assert found.verdict.summary in ("verified", "plausible")
    assert {use.rule.word for use in found.verdict.uses} == {"PROVED"}


def test_trees_dtypes_and_arguments() -> None:
    """A least squares fit: a matrix of float32, a tensor and a number, in a dict."""
    rng = np.random.default_rng(0)
    points, target = rng.normal(size=(20, 2)), rng.normal(size=20)

    def loss(p: dict[str, Any], x: Any, y: Any) -> Any:
        assert p["w"].dtype == np.float32
        assert (p["w"].shape, p["more"][1].shape) == ((2, 1), ())
        return ((x @ p["w"].double()[:, 0] + p["more"][0][0] + p["more"][1] - y) ** 2).mean() + p["more"][1] ** 2

    start = {"w": np.zeros((2, 1), np.float32), "more": (gp.zeros(1, dtype=gp.float64), 0)}
    found = minimize(loss, start, args=(points, target), method="BFGS")
    design = np.column_stack([points, np.ones(20)])
    expected = np.linalg.lstsq(design, target)[0]
    assert found.x["w"].dtype == np.float32
    np.testing.assert_allclose([*found.x["w"][:, 0], found.x["more"][0].item()], expected, atol=1e-4)
    assert isinstance(found.x["more"][1], float)
    assert isinstance(found.x["more"][0], gp.Tensor)
    assert abs(found.x["more"][1]) < 1e-4
    assert found.jac["w"].shape == (2, 1)


@pytest.mark.parametrize("method", [None, "TNC", "trust-constr"])
def test_bounds_of_a_matrix(method: str | None) -> None:
    goal = np.array([[1.0, -2.0], [3.0, 0.5]])
    bounds = Bounds(np.full((2, 2), -1.0), 2.0)
    found = minimize(lambda x: ((x - goal) ** 2).sum(), gp.zeros(2, 2, dtype=gp.float64), method=method, bounds=bounds)
    assert isinstance(found.x, gp.Tensor)
    np.testing.assert_allclose(found.x.numpy(), np.clip(goal, -1, 2), atol=1e-4)


def distance(x: gp.Tensor) -> gp.Tensor:
    return (x[0] - 1) ** 2 + (x[1] - 2.5) ** 2


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_constraints(method: str) -> None:
    """The example of SciPy's page of `minimize`, whose solution is (1.4, 1.7); and a circle, x / |x|."""
    lines = (
        {"type": "ineq", "fun": lambda x: x[0] - 2 * x[1] + 2},
        {"type": "ineq", "fun": lambda x, a: [-x[0] - a * x[1] + 6, -x[0] + a * x[1] + 2], "args": (2,)},
    )
    found = minimize(distance, [2.0, 0.0], method=method, bounds=[(0, None), (0, None)], constraints=lines)
    np.testing.assert_allclose(found.x, [1.4, 1.7], atol=1e-3)
    circle = NonlinearConstraint(lambda x: (x * x).sum(), 1.0, 1.0)
    found = minimize(distance, [0.5, 0.5], method=method, constraints=circle, tol=1e-7)
    np.testing.assert_allclose(found.x, np.array([1, 2.5]) / np.hypot(1, 2.5), atol=1e-5)
    line = LinearConstraint([[1.0, 1.0]], 1.0, 1.0)
    found = minimize(distance, [0.5, 0.5], method=method, constraints=[line], tol=1e-7)
    np.testing.assert_allclose(found.x, [-0.25, 1.25], atol=1e-5)


def test_callbacks_get_trees() -> None:
    seen: list[Any] = []

    def stop(intermediate_result: Any) -> None:
        seen.append(intermediate_result.x["a"].shape)
        raise StopIteration

    found = minimize(lambda p: (p["a"] ** 4).sum(), {"a": gp.ones(2, 1)}, callback=stop)
    assert seen == [(2, 1)]
    assert not found.success
    minimize(lambda p: (p["a"] ** 2).sum(), {"a": gp.ones(2, 1)}, callback=lambda xk: seen.append(xk["a"].tolist()))
    assert len(seen) > 1
    states: list[int] = []
    minimize(distance, [0.5, 0.5], method="trust-constr", callback=lambda xk, state: states.append(state.nit))
    assert states == [*range(1, len(states) + 1)]


def test_a_method_of_ones_own_gets_derivatives() -> None:
    def newton(fun: Any, x0: Any, args: Any, jac: Any, hessp: Any, **rest: Any) -> OptimizeResult:
        hessian = np.column_stack([hessp(x0, e) for e in np.eye(3)])
        np.testing.assert_allclose(hessian, A, rtol=1e-14)
        x = x0 - np.linalg.solve(hessian, jac(x0))
        return OptimizeResult({"x": x, "fun": fun(x), "success": True})  # type: ignore[call-arg]

    np.testing.assert_allclose(minimize(quadratic, np.ones(3), method=newton).x, np.linalg.solve(A, B), rtol=1e-13)


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match=r"fun returned a tensor of shape \(2,\); it must return a tensor with a single"):
        minimize(lambda x: x, [1.0, 2.0])
    with pytest.raises(TypeError, match="fun returned float"):
        minimize(lambda x: 1.0, [1.0, 2.0])  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="x0 has a str"):
        minimize(quadratic, {"a": "b"})
    with pytest.raises(TypeError, match="complex numbers"):
        minimize(quadratic, np.ones(2) * 1j)
    with pytest.raises(TypeError, match="leave out jac"):
        minimize(distance, [1.0, 2.0], constraints={"type": "eq", "fun": distance, "jac": distance})
    monkeypatch.setattr("gradproof.client.optim.minimization.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="needs SciPy, which is not installed: pip install scipy"):
        minimize(quadratic, [1.0, 1.0, 1.0])
