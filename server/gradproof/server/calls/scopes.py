"""Authorization: the table of scopes that each request needs."""

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
"""Methods that need no caller: load balancers probe health without credentials."""


class Unauthenticated(GradproofError):
    """The caller is unknown. The text reveals nothing else."""

    reason = "UNAUTHENTICATED"

    def __init__(self) -> None:
        super().__init__("the call has no valid token (authorization: Bearer ...), and no known certificate")


class Denied(GradproofError):
    """The caller lacks a scope that the request needs."""

    reason = "PERMISSION_DENIED"

    def __init__(self, caller: str, scope: str, method: str) -> None:
        self.scope = scope
        super().__init__(f"{method} needs the scope {scope!r}, which {caller!r} does not have; ask the server's operator")


def _differentiate(request: Any) -> set[str]:
    """Checks need a scope of their own, since they cost far more than the run."""
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
    f"{AUTODIFF}Session": _evaluate,  # to open it; its requests are authorized one by one
    f"{AUTODIFF}Explain": _verify,
    f"{AUTODIFF}GetServerInfo": _nothing,
    f"{OPS}ListOps": _nothing,
    f"{OPS}GetOp": _nothing,
    f"{OPS}VerifyOp": lambda request: {VERIFY, ADMIN} if getattr(request, "refresh", True) else {VERIFY},
    f"{OPERATIONS}GetStatus": _nothing,  # without admin: the own calls only
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _nothing,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _nothing,
}
"""Scopes that a request needs, by method. Methods that are not listed need ``admin``."""


def authorize(method: str, request: Any, caller: Caller | None = None) -> None:
    """Raise Denied if the caller, by default that of the running call, lacks a scope that this request needs."""
    caller = caller or CURRENT.get().caller
    needed = NEEDED.get(method, lambda _: {ADMIN})(request)
    for scope in sorted(needed - caller.scopes):
        raise Denied(caller.name, scope, method.rpartition("/")[2])
