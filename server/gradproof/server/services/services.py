"""The servicers: decode, call, encode. Everything that can be wrong is a GradproofError and becomes a status here."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import grpc

from gradproof.engine.caller import ADMIN
from gradproof.engine.cancellation import Cancellation, watched
from gradproof.engine.errors import InvalidRequest, LimitExceeded, NotFound, Violation
from gradproof.engine.hookspecs import API_VERSION
from gradproof.engine.op import REQUIRED, Op
from gradproof.engine.verify.proof_cache import ProofKey, keys_of
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord, weakest
from gradproof.server.calls.calls import CURRENT
from gradproof.server.calls.messages import send
from gradproof.server.calls.status import fail
from gradproof.server.requests import encode
from gradproof.server.runs.handler import Evaluated, Handler
from gradproof.server.services.session import run_session
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc, tensor_pb2
from gradproof.wire import encode_tensor

Response = TypeVar("Response", pb.EvaluateResponse, pb.DifferentiateResponse)
Context = grpc.aio.ServicerContext[Any, Any]
FEW = 64  # values, which take no time to encode
LOOK_UP_SECONDS = 0.02  # how often a call that waits for a proof looks whether it is there
DRAW_SECONDS = 10.0  # to draw attributes, for which an op's forward runs


@asynccontextmanager
async def answering(context: Context) -> AsyncIterator[None]:
    """End the call with the status of what the body raises. An unexpected error is logged under an incident id."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        await fail(context, error)


class AutodiffServicer(autodiff_service_pb2_grpc.AutodiffServiceServicer):
    """gradproof.v1.AutodiffService."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    async def Evaluate(self, request: pb.EvaluateRequest, context: Context) -> pb.EvaluateResponse:
        async with answering(context):
            found = await self.handler.evaluate(request, {}, left=context.time_remaining())
            if len(found.values) <= FEW:
                return self._evaluated(found)
            response: pb.EvaluateResponse = await self.handler.cancellable(lambda _: self._evaluated(found))
            return response

    def _evaluated(self, found: Evaluated) -> pb.EvaluateResponse:
        response = pb.EvaluateResponse(digest=found.digest, nodes_computed=found.nodes_computed)
        for one in watched(found.values):
            response.values.append(tensor_pb2.NamedTensor(name=one.name, value=encode_tensor(one.value)))
        return self._fits(response)

    async def Differentiate(self, request: pb.DifferentiateRequest, context: Context) -> pb.DifferentiateResponse:
        response = pb.DifferentiateResponse()
        async with answering(context):
            run = self.handler.differentiate(request, {}, chunked=False, left=context.time_remaining())
            async with aclosing(run) as events:
                async for event in events:
                    kind = event.WhichOneof("kind")
                    if kind == "accepted":
                        response.accepted.CopyFrom(event.accepted)
                    elif kind == "values":
                        response.values.extend(event.values.values)
                    elif kind == "gradients":
                        response.gradients.extend(event.gradients.gradients)
                    elif kind == "verdicts":
                        response.verdicts.extend(event.verdicts.verdicts)
                    elif kind == "summary":
                        response.summary.CopyFrom(event.summary)
            encode.summarized(response, self.handler.limits.message_bytes)
            return self._fits(response)

    def _fits(self, response: Response) -> Response:
        size = response.ByteSize()
        if size > self.handler.limits.message_bytes:
            raise LimitExceeded("message_bytes", size, self.handler.limits.message_bytes)
        return response

    async def StreamingDifferentiate(  # type: ignore[override]
        self, request: pb.StreamingDifferentiateRequest, context: Context
    ) -> None:
        async with answering(context):
            left, stall = context.time_remaining(), self.handler.limits.stall_ms
            run = self.handler.differentiate(request.request, {}, chunked=True, left=left)
            async with aclosing(run) as events:
                async for event in events:
                    await send(context, pb.StreamingDifferentiateResponse(event=event), stall)

    async def Session(  # type: ignore[override]
        self, requests: AsyncIterator[pb.SessionRequest], context: Context
    ) -> None:
        session = run_session(self.handler, requests, context.time_remaining())
        async with answering(context), aclosing(session) as responses:
            async for response in responses:
                await send(context, response, self.handler.limits.stall_ms)

    async def Infer(self, request: pb.InferRequest, context: Context) -> pb.InferResponse:
        async with answering(context):
            return await self.handler.infer(request, context.time_remaining())

    async def Derive(self, request: pb.DeriveRequest, context: Context) -> pb.DeriveResponse:
        async with answering(context):
            return await self.handler.derive(request, context.time_remaining())

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        async with answering(context):
            return await self.handler.explain(request, context.time_remaining())

    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Context) -> pb.GetServerInfoResponse:
        registry = self.handler.engine.registry
        response = pb.GetServerInfoResponse(limits=self.handler.limits.table())
        response.versions.update({"plugin_api": str(API_VERSION), "python": platform.python_version()})
        for name in ("gradproof", "numpy", "scipy", "sympy", "python-flint", "grpcio", "protobuf"):
            try:
                response.versions[name] = version(name)
            except PackageNotFoundError:
                response.versions[name] = "unknown"
        for plugin in registry.plugins:
            response.plugins.add(
                name=plugin.name,
                version=plugin.version,
                ops=[op.name for op in plugin.ops],
                hooks=[hook.name for hook in plugin.hooks],
            )
        for refusal in registry.refused:
            inside = ADMIN in CURRENT.get().caller.scopes
            response.refused.add(name=refusal.plugin, reason=str(refusal) if inside else refusal.public)
        for hook in registry.hooks.values():
            response.hooks.add(name=hook.name, doc=hook.doc, attributes=list(hook.attributes))
        return response


class OpServicer(op_service_pb2_grpc.OpServiceServicer):
    """gradproof.v1.OpService."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.registry = handler.engine.registry
        self._keys: dict[str, list[ProofKey]] = {}
        self._drawing = asyncio.Semaphore(handler.limits.verify_ops)

    async def ListOps(self, request: op_service_pb2.ListOpsRequest, context: Context) -> op_service_pb2.ListOpsResponse:
        async with answering(context):
            names = list(self.registry.ops)
            if request.page_size < 0:
                text = f"{request.page_size} is negative; 0 means 100"
                raise InvalidRequest([Violation("page_size", text, "PAGE_SIZE")])
            self.handler.limits.check("page_size", request.page_size, "ask for smaller pages")
            start = self._page_start(request.page_token, names)
            page = names[start : start + (request.page_size or 100)]
            end = start + len(page)
            response = op_service_pb2.ListOpsResponse(next_page_token=names[end - 1] if 0 < end < len(names) else "")
            infos = lambda _: [self._info(self.registry.op(name)) for name in watched(page)]  # noqa: E731
            response.ops.extend(await self.handler.cancellable(infos))
            return response

    @staticmethod
    def _page_start(token: str, names: list[str]) -> int:
        if not token:
            return 0
        if token not in names:
            raise NotFound("page", token, "start again without a page_token")
        return names.index(token) + 1

    async def GetOp(self, request: op_service_pb2.GetOpRequest, context: Context) -> op_service_pb2.GetOpResponse:
        async with answering(context):
            op = self.registry.op(request.name)
            response: op_service_pb2.GetOpResponse = await self.handler.cancellable(lambda _: self._cases(op))
            return response

    def _cases(self, op: Op) -> op_service_pb2.GetOpResponse:
        response = op_service_pb2.GetOpResponse(op=self._info(op))
        for key in watched(keys_of(self.registry, op)):
            entry = response.cases.add(shape_class=str(key.case), rule=self.registry.rule_of(op, key.case).text())
            known = self.handler.proofs.lookup(key)
            if known is not None:
                entry.verdict.CopyFrom(encode.rule_verdict(known))
        return response

    async def VerifyOp(
        self, request: op_service_pb2.VerifyOpRequest, context: Context
    ) -> AsyncIterator[op_service_pb2.VerifyOpResponse]:
        async with answering(context):
            op = self.registry.op(request.name)
            self.handler.limits.check("verify_op_budget_ms", request.budget_ms)
            asked = Cancellation()
            try:
                async for response in self._verified(op, request, asked):
                    yield response
            except (asyncio.CancelledError, GeneratorExit):  # the client left
                self.handler.proofs.abandon(asked)
                raise

    async def _verified(
        self, op: Op, request: op_service_pb2.VerifyOpRequest, asked: Cancellation
    ) -> AsyncIterator[op_service_pb2.VerifyOpResponse]:
        """The answers of `VerifyOp`; proofs are asked for in the name of ``asked``."""
        proofs = self.handler.proofs
        budget = (request.budget_ms or 30_000) / 1000
        started = time.monotonic()
        drawing = min(budget / 2, DRAW_SECONDS)
        async with self._drawing:  # which holds a worker
            keys = await self.handler.cancellable(self._to_verify, op, request.refresh, drawing, asked)
        for done, key in enumerate(keys, 1):
            end = started + (budget if key.case.is_owed else budget / 2)
            while (verdict := proofs.lookup(key)) is None and (left := end - time.monotonic()) > 0:
                await asyncio.sleep(min(left, LOOK_UP_SECONDS))  # no thread waits: many may ask, and go
            if verdict is None:
                reason = f"not done within {budget:g} s"
                verdict = RuleVerdict(RuleWord.PENDING, op.name, str(key.case), reason=reason)
            if not key.case.is_owed and verdict.word is not RuleWord.REFUTED and not verdict.proved:
                continue  # the op may have no meaning there, or each value has a proof of its own
            yield op_service_pb2.VerifyOpResponse(verdict=encode.rule_verdict(verdict), done=done, total=len(keys))

    def _to_verify(
        self, cancellation: Cancellation, op: Op, refresh: bool, seconds: float, asked: Cancellation
    ) -> list[ProofKey]:
        """Keys of an op that are to be proved, and are being proved from now on: its cases, drawn attributes, and, to prove
        them again, the classes that were met in runs. A declared case comes last, as each of those has an answer.
        Attributes are drawn for ``seconds``."""
        proofs = self.handler.proofs
        declared = keys_of(self.registry, op)
        drawn = proofs.drawn(op.name, seconds, lambda: cancellation.cancelled)
        others = [*drawn, *(proofs.keys_of(op.name) if refresh else ())]
        known = set(declared)
        keys = [*declared[:-1], *(key for key in dict.fromkeys(others) if key not in known), *declared[-1:]]
        for key in watched(sorted(keys, key=lambda key: not key.case.is_owed)):  # what is owed comes first
            if refresh:
                asked.within(proofs.refresh, key)
            elif proofs.lookup(key) is None:
                asked.within(proofs.request, key)
        return keys

    def _info(self, op: Op) -> op_service_pb2.OpInfo:
        info = op_service_pb2.OpInfo(
            name=op.name,
            plugin=self.registry.plugin_of(op.name).name,
            doc=op.doc,
            inputs=op.inputs,
            variadic=op.variadic,
            attributes={n: "" if value is REQUIRED else repr(value) for n, value in op.attributes.items()},
            elementwise=op.elementwise,
            differentiable=op.differentiable,
            grad_fn=op.grad_fn if op.differentiable else "",
            domains=[op.domain(k).name for k in range(len(op.inputs))],
            tie_convention=op.ties,
        )
        if op.differentiable:
            if op.name not in self._keys:
                self._keys[op.name] = [key for key in keys_of(self.registry, op) if key.case.is_owed]
            found = [self.handler.proofs.lookup(key) for key in watched(self._keys[op.name])]
            known = [one for one in found if one is not None]
            pending = RuleVerdict(RuleWord.PENDING, op.name, reason="not proved yet")
            info.verdict.CopyFrom(encode.rule_verdict(weakest([*known, *([pending] if len(known) < len(found) else [])])))
            info.verdict.seconds = sum(one.seconds for one in known)
            info.verdict.cached = bool(known) and all(one.cached for one in known)
        return info
