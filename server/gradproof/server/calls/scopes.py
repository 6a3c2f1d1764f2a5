"""Scopes: which of them a request needs, in one table, and the refusal where a caller lacks one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gradproof.engine.caller import ADMIN, EVALUATE, VERIFY, Caller
from gradproof.engine.errors import GradproofError
from gradproof.server.calls.calls import CURRENT
from gradproof.v1 import autodiff_service_pb2 as pb

AUTODIFF, OPS = "/gradproof.v1.AutodiffService/", "/gradproof.v1.OpService/"
OPERATIONS = "/gradproof.v1.OperationsService/"
OPEN: Final = "/grpc.health.v1.Health/"
"""Calls that need no caller: who balances load asks without one."""


class Unauthenticated(GradproofError):
    """The call is nobody's whom the server knows. Says no more than that."""

    reason = "UNAUTHENTICATED"

    def __init__(self) -> None:
        super().__init__("the call has no valid token (authorization: Bearer ...), and no certificate that is known here")


class Denied(GradproofError):
    """The caller lacks a scope that the request needs."""

    reason = "PERMISSION_DENIED"

    def __init__(self, caller: str, scope: str, what: str) -> None:
        self.scope = scope
        super().__init__(f"{what} needs the scope {scope!r}, which {caller!r} does not have; ask the server's operator")


def _differentiate(request: Any) -> set[str]:
    """Checks are work of another kind, which costs far more than the run."""
    unchecked = isinstance(request, pb.DifferentiateRequest) and request.verify.level == pb.VERIFY_LEVEL_OFF
    return {EVALUATE} if unchecked else {EVALUATE, VERIFY}


def _nothing(request: Any) -> set[str]:
    return set()


def _evaluate(request: Any) -> set[str]:
    return {EVALUATE}


def _verify(request: Any) -> set[str]:
    return {VERIFY}


NEEDED: Final[dict[str, Callable[[Any], set[str]]]] = {
    f"{AUTODIFF}Evaluate": _evaluate,
    f"{AUTODIFF}Infer": _evaluate,
    f"{AUTODIFF}Derive": _evaluate,
    f"{AUTODIFF}Differentiate": _differentiate,
    f"{AUTODIFF}StreamingDifferentiate": lambda request: _differentiate(getattr(request, "request", None)),
    f"{AUTODIFF}Session": _evaluate,  # to open it; its requests are looked at one by one
    f"{AUTODIFF}Explain": _verify,
    f"{AUTODIFF}GetServerInfo": _nothing,
    f"{OPS}ListOps": _nothing,
    f"{OPS}GetOp": _nothing,
    f"{OPS}VerifyOp": lambda request: {VERIFY, ADMIN} if getattr(request, "refresh", True) else {VERIFY},
    f"{OPERATIONS}GetStatus": _nothing,  # without admin, of one's own calls
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _nothing,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _nothing,
}
"""By call, what a request of it needs. Calls that are not here need ``admin``."""


def authorize(method: str, request: Any, caller: Caller | None = None) -> None:
    """Raises Denied if the caller (left out, that of the running call) may not make this request."""
    caller = caller or CURRENT.get().caller
    needed = NEEDED.get(method, lambda _: {ADMIN})(request)
    for scope in sorted(needed - caller.scopes):
        raise Denied(caller.name, scope, method.rpartition("/")[2])
