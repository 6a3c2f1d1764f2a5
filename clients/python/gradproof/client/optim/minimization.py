"""Minimisation by SciPy's methods of a function of tensors, whose derivatives come from the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from gradproof.client.events import Array
from gradproof.client.optim.objective import Condition, Objective, Packing
from gradproof.client.tensors.tensor import Tensor

if TYPE_CHECKING:
    from gradproof.client.optim.minimum import Minimum

VALUES_ONLY = {"nelder-mead", "powell", "cobyla", "cobyqa"}
"""Methods that use no gradient."""

PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
"""Methods that use products with the Hessian."""

HESSIANS = {"dogleg", "trust-exact"}
"""Methods that use the Hessian."""


def minimize(  # noqa: PLR0913 - the arguments of SciPy's function
    fun: Callable[..., Tensor],
    x0: Any,
    args: Sequence[Any] = (),
    method: str | Callable[..., Any] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    callback: Callable[..., Any] | None = None,
) -> Minimum:
    """A minimum of ``fun`` by `scipy.optimize.minimize`, near ``x0``.

    Args:
        fun: called with tensors like ``x0``, and ``args``; returns a tensor with a single real number.
        x0: a tensor, an array, a number, or a tree of these (tuples, lists, dicts, dataclasses). A list of numbers is an
            array. SciPy's method works on the vector of all elements, in float64; ``fun`` gets the dtypes of ``x0``.
        args: further arguments of ``fun``.
        method: as SciPy's. Gradients, products with the Hessian (Newton-CG, trust-ncg, trust-krylov, trust-constr) and the
            Hessian (dogleg, trust-exact) come from the server.
        bounds: as SciPy's, of all elements in order.
        constraints: as SciPy's. Functions of constraints are called as ``fun`` is, and return a tensor or a list of
            numbers; their derivatives come from the server. A `LinearConstraint` is one of the vector of all elements.
        tol, options: as SciPy's.
        callback: as SciPy's; ``xk``, and ``x`` of an ``intermediate_result``, are trees like ``x0``.

    Returns:
        SciPy's result. Its ``x`` and ``jac`` are trees like ``x0``; ``verdict`` is that of the gradient at ``x``.

    Raises ImportError if SciPy is not installed; TypeError if ``x0`` has other leaves or complex numbers, if ``fun``
    returns no single real number, and if a constraint brings derivatives of its own.
    """
    if find_spec("scipy") is None:
        raise ImportError("gp.optim.minimize needs SciPy, which is not installed: pip install scipy")
    from scipy import optimize  # noqa: PLC0415 - not needed for the rest of the client

    from gradproof.client.optim.minimum import Minimum  # noqa: PLC0415

    packing = Packing(x0)
    objective = Objective(fun, args, packing)
    given = list(constraints) if isinstance(constraints, (list, tuple)) else [constraints]
    name = method or ("SLSQP" if given else "BFGS" if bounds is None else "L-BFGS-B")
    key = name.lower() if isinstance(name, str) else ""
    derivatives: dict[str, Any] = {} if key in VALUES_ONLY else {"jac": True}
    if key in PRODUCTS or not key:
        derivatives["hessp"] = objective.product
    if key in HESSIANS:
        derivatives["hess"] = objective.hessian
    scipys: Any = optimize.minimize  # whose types tie each method to arguments of its own
    result = scipys(
        objective.value_and_gradient if "jac" in derivatives else objective.value,
        packing.vector,
        method=name,
        bounds=_bounds(bounds, packing),
        constraints=[_constraint(one, packing, hessians=key == "trust-constr") for one in given],
        tol=tol,
        options=None if options is None else dict(options),
        callback=None if callback is None else _callback(callback, packing, key),
        **derivatives,
    )
    return Minimum(result, objective, packing)


def _bounds(bounds: Any, packing: Packing) -> Any:
    """Bounds of the elements of the vector."""
    from scipy.optimize import Bounds  # noqa: PLC0415

    if not isinstance(bounds, Bounds):
        return bounds
    lower, upper, feasible = (
        np.broadcast_to(np.asarray(end), packing.shape).ravel() for end in (bounds.lb, bounds.ub, bounds.keep_feasible)
    )
    return Bounds(lower, upper, feasible)


def _constraint(given: Any, packing: Packing, *, hessians: bool) -> Any:
    """A constraint on the vector, with derivatives. ``hessians``: the method takes constraints with second derivatives."""
    from scipy.optimize import NonlinearConstraint  # noqa: PLC0415
    from scipy.sparse.linalg import LinearOperator  # noqa: PLC0415

    if isinstance(given, dict):
        _refuse_derivatives(given.get("jac"))
        condition = Condition(given["fun"], given.get("args", ()), packing)
        if not hessians:
            return {"type": given["type"], "fun": condition.values, "jac": condition.jacobian}
        given = NonlinearConstraint(given["fun"], 0.0, np.inf if given["type"].lower() == "ineq" else 0.0)
    elif isinstance(given, NonlinearConstraint):
        _refuse_derivatives(given.jac, given.hess)
        condition = Condition(given.fun, (), packing)
    else:
        return given

    def hessian(x: Array, weights: Array) -> Any:
        return LinearOperator((x.size, x.size), matvec=partial(condition.product, x, weights), dtype=np.float64)

    derivatives: dict[str, Any] = {"jac": condition.jacobian, **({"hess": hessian} if hessians else {})}
    return NonlinearConstraint(condition.values, given.lb, given.ub, keep_feasible=given.keep_feasible, **derivatives)


def _refuse_derivatives(*derivatives: Any) -> None:
    if any(map(callable, derivatives)):
        raise TypeError("the derivatives of a constraint come from its function: leave out jac and hess")


def _callback(callback: Callable[..., Any], packing: Packing, method: str) -> Callable[..., Any]:
    """A callback that gets trees. SciPy looks at the names of its parameters."""
    if set(signature(callback).parameters) == {"intermediate_result"}:

        def with_result(intermediate_result: Any) -> Any:
            shown = type(intermediate_result)({**intermediate_result, "x": packing.tree(intermediate_result.x)})
            return callback(intermediate_result=shown)

        return with_result
    if method == "trust-constr":
        return lambda xk, state: callback(packing.tree(xk), state)
    return lambda xk: callback(packing.tree(xk))
