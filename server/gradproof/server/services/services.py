"""The servicers: decode, call, encode. Every GradproofError becomes a status here."""

from __future__ import annotations

import asyncio
import math
import platform
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, TypeVar

import grpc

from gradproof.engine.caller import ADMIN
from gradproof.engine.cancellation import Cancellation, watched
from gradproof.engine.composite import Composite
from gradproof.engine.errors import InvalidRequest, LimitExceeded, NotFound, Violation
from gradproof.engine.hookspecs import API_VERSION
from gradproof.engine.op import REQUIRED, Op
from gradproof.engine.verify.proof_cache import ProofKey, keys_of, part_keys
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord, weakest
from gradproof.server.calls.calls import CURRENT
from gradproof.server.calls.messages import send
from gradproof.server.calls.status import fail
from gradproof.server.requests import encode
from gradproof.server.runs.handler import Evaluated, Handler
from gradproof.server.services.session import run_session
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import (
    autodiff_service_pb2_grpc,
    graph_pb2,
    op_service_pb2,
    op_service_pb2_grpc,
    tensor_pb2,
    verdict_pb2,
)
from gradproof.wire import encode_attributes, encode_tensor

Response = TypeVar("Response", pb.EvaluateResponse, pb.DifferentiateResponse)
Context = grpc.aio.ServicerContext[Any, Any]
FEW = 64  # values, which take no time to encode
LOOK_UP_SECONDS = 0.02  # polling interval of a call that waits for a proof
PAGE_SECONDS = 10.0  # to write the page of an op, for which it runs
SAMPLE_SECONDS = 10.0  # to sample attributes, for which an op's forward runs
OP_BUDGET = 30.0  # seconds
FEATURES = ("chunks", "client_hooks", "digests", "graph_hooks", "numbers", "progress", "required", "reuse", "saved")
"""Parts of the contract that `GetServerInfo` lists; docs/protocol.md says what each is."""


class answering:  # a context manager, as those of contextlib
    """Ends the call with the status of the exception that the block raises. An unexpected exception is logged under an
    incident id."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
            await fail(self._context, error)


class AutodiffServicer(autodiff_service_pb2_grpc.AutodiffServiceServicer):
    """gradproof.v1.AutodiffService."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self._info: dict[bool, pb.GetServerInfoResponse] = {}

    async def Evaluate(  # type: ignore[override]
        self, request: pb.EvaluateRequest, context: Context
    ) -> pb.EvaluateResponse | bytes:
        async with answering(context):
            if (repeated := await self._repeated(request, context)) is not None:
                return repeated
            evaluated = await self.handler.evaluate(request, {}, left=context.time_remaining())
            encoded = partial(self._evaluated, evaluated, request.input.tensor_format)
            if len(evaluated.values) <= FEW:
                return encoded()
            response: pb.EvaluateResponse = await self.handler.cancellable(lambda _: encoded())
            return response

    def _evaluated(self, evaluated: Evaluated, tensor_format: encode.Format) -> pb.EvaluateResponse:
        response = pb.EvaluateResponse(accepted=evaluated.accepted, summary=evaluated.summary)
        for value in watched(evaluated.values):
            tensor = encode_tensor(value.value, tensor_format)
            response.values.append(tensor_pb2.NamedTensor(name=value.name, value=tensor))
        return self._fits(response)

    async def _repeated(self, request: pb.EvaluateRequest | pb.DifferentiateRequest, context: Context) -> bytes | None:
        """The response to a request that came before; None where it did not, or its run failed."""
        recalled = self.handler.recall(request)
        results = None if recalled is None else await self.handler.repeat(recalled, context.time_remaining())
        return None if recalled is None or results is None else recalled.message(results)

    async def Differentiate(  # type: ignore[override]
        self, request: pb.DifferentiateRequest, context: Context
    ) -> pb.DifferentiateResponse | bytes:
        response = pb.DifferentiateResponse()
        async with answering(context):
            if (repeated := await self._repeated(request, context)) is not None:
                return repeated
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
            encode.shorten_verdicts(response, self.handler.limits.message_bytes)
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
            left, stall = context.time_remaining(), self.handler.limits.stall_seconds
            recalled = self.handler.recall(request.request)
            if recalled is not None and (results := await self.handler.repeat(recalled, left)) is not None:
                await send(context, recalled.stream(results), stall)
                return
            run = self.handler.differentiate(request.request, {}, chunked=True, left=left)
            async with aclosing(run) as events:
                async for event in events:
                    await send(context, pb.StreamingDifferentiateResponse(events=[event]), stall)

    async def Session(  # type: ignore[override]
        self, requests: AsyncIterator[pb.SessionRequest], context: Context
    ) -> None:
        session = run_session(self.handler, requests, context.time_remaining())
        async with answering(context), aclosing(session) as responses:
            async for response in responses:
                await send(context, response, self.handler.limits.stall_seconds)

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
        inside = ADMIN in CURRENT.get().caller.scopes
        if inside not in self._info:
            self._info[inside] = self._described(inside)
        return self._info[inside]

    def _described(self, inside: bool) -> pb.GetServerInfoResponse:
        """The server, to a caller who may see the ``inside`` or may not. It does not change."""
        registry = self.handler.engine.registry
        response = pb.GetServerInfoResponse(features=FEATURES, limits=self.handler.limits.table())
        response.versions.update({"plugin_api": str(API_VERSION), "python": platform.python_version()})
        for name in ("gradproof", "numpy", "scipy", "sympy", "python-flint", "grpcio", "protobuf"):
            try:
                response.versions[name] = version(name)
            except PackageNotFoundError:
                response.versions[name] = "unknown"
        for plugin in registry.plugins:
            response.plugins.add(
                name=plugin.name,
                version=plugin.version or None,
                ops=[op.name for op in plugin.ops],
                hooks=[hook.name for hook in plugin.hooks],
            )
        for refusal in registry.refused:
            response.refused.add(name=refusal.plugin, reason=str(refusal) if inside else refusal.public)
        for used in registry.kernels:
            response.kernels.add(
                name=used.kernel.name, plugin=used.plugin, op=used.kernel.op, dtype=used.dtype, max_ulps=used.ulps
            )
        for hook in registry.hooks.values():
            response.hooks.add(name=hook.name, doc=hook.doc, attributes=_attributes(hook.attributes))
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
            self.handler.limits.check("page_size", request.page_size, "ask for smaller pages")
            start = self._page_start(request.page_token, names)
            page = names[start : start + (request.page_size or 100)]
            end = start + len(page)
            response = op_service_pb2.ListOpsResponse(next_page_token=names[end - 1] if 0 < end < len(names) else "")
            entry = self._judged if request.verdicts else self._info
            infos = lambda _: [entry(self.registry.op(name)) for name in watched(page)]  # noqa: E731
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
            if request.page:
                describe = self.handler.proofs.describe
                async with self._drawing:  # which holds a worker
                    response.page = await self.handler.cancellable(
                        lambda gone: describe(op.name, PAGE_SECONDS, lambda: gone.cancelled)
                    )
            return response

    def _cases(self, op: Op) -> op_service_pb2.GetOpResponse:
        response = op_service_pb2.GetOpResponse(op=self._judged(op))
        if isinstance(op, Composite):
            for case in watched(op.declared_cases()):
                text = self.registry.rule_of(op, case).text()
                entry = response.cases.add(shape_class=str(case), rule_text=text)
                verdicts = [self.handler.proofs.lookup(key) for key in part_keys(self.registry, op, case)]
                if verdicts and all(verdicts):
                    entry.verdict.CopyFrom(encode.rule_verdict(weakest([*filter(None, verdicts)])))
            return response
        for key in watched(keys_of(self.registry, op)):
            entry = response.cases.add(shape_class=str(key.case), rule_text=self.registry.rule_of(op, key.case).text())
            known = self.handler.proofs.lookup(key)
            if known is not None:
                entry.verdict.CopyFrom(encode.rule_verdict(known))
        return response

    async def VerifyOp(
        self, request: op_service_pb2.VerifyOpRequest, context: Context
    ) -> AsyncIterator[op_service_pb2.VerifyOpResponse]:
        async with answering(context):
            op = self.registry.op(request.name)
            if not 0 <= request.budget_seconds < math.inf:
                text = f"{request.budget_seconds} is no time in seconds"
                raise InvalidRequest([Violation("budget_seconds", text, "VERIFY_BUDGET")])
            self.handler.limits.check("verify_op_budget_seconds", request.budget_seconds)
            cancellation = Cancellation()
            try:
                async for response in self._verified(op, request, cancellation):
                    yield response
            except (asyncio.CancelledError, GeneratorExit):  # the client left
                self.handler.proofs.abandon(cancellation)
                raise

    async def _verified(
        self, op: Op, request: op_service_pb2.VerifyOpRequest, cancellation: Cancellation
    ) -> AsyncIterator[op_service_pb2.VerifyOpResponse]:
        """The responses of `VerifyOp`; proofs are asked for under ``cancellation``."""
        proofs, interval = self.handler.proofs, self.handler.checks.progress_seconds
        budget = request.budget_seconds if request.HasField("budget_seconds") else OP_BUDGET
        started = time.monotonic()
        next_report = started + interval if request.progress else math.inf
        sampling = min(budget / 2, SAMPLE_SECONDS)
        async with self._drawing:  # which holds a worker
            keys = await self.handler.cancellable(self._to_verify, op, request.refresh, sampling, cancellation)
        for done, key in enumerate(keys):
            end = started + (budget if key.case.is_owed else budget / 2)
            while (verdict := proofs.lookup(key)) is None and (left := end - time.monotonic()) > 0:
                await asyncio.sleep(min(left, LOOK_UP_SECONDS))  # no thread waits: many clients may ask, and go
                if time.monotonic() >= next_report:
                    yield op_service_pb2.VerifyOpResponse(
                        cases_done=done, cases_total=len(keys), progress=self._progress(keys)
                    )
                    next_report = time.monotonic() + interval
            if verdict is None:
                reason = f"not done within {budget:g} s"
                verdict = RuleVerdict(RuleWord.PENDING, op.name, str(key.case), reason=reason)
            if not key.case.is_owed and verdict.word is not RuleWord.REFUTED and not verdict.proved:
                continue  # the op may have no meaning there, or each value has a proof of its own
            yield op_service_pb2.VerifyOpResponse(
                verdict=encode.rule_verdict(verdict), cases_done=done + 1, cases_total=len(keys)
            )

    def _progress(self, keys: list[ProofKey]) -> verdict_pb2.Progress:
        done = sum(self.handler.proofs.lookup(key) is not None for key in keys)
        return verdict_pb2.Progress(stage=verdict_pb2.CHECK_STAGE_PROOFS, proofs_done=done, proofs_total=len(keys))

    def _to_verify(
        self, sampling: Cancellation, op: Op, refresh: bool, seconds: float, proving: Cancellation
    ) -> list[ProofKey]:
        """Keys of an op that are to be proved, and are being proved from now on: its cases, sampled attributes, and with
        ``refresh`` the classes that were met in runs. A declared case comes last, as each declared case has a response.
        Attributes are sampled for ``seconds``."""
        proofs = self.handler.proofs
        declared = keys_of(self.registry, op)
        sampled = proofs.sampled_keys(op.name, seconds, lambda: sampling.cancelled)
        others = [*sampled, *(proofs.keys_of(op.name) if refresh else ())]
        known = set(declared)
        keys = [*declared[:-1], *(key for key in dict.fromkeys(others) if key not in known), *declared[-1:]]
        for key in watched(sorted(keys, key=lambda key: not key.case.is_owed)):  # declared cases come first
            if refresh:
                proving.within(proofs.refresh, key)
            elif proofs.lookup(key) is None:
                proving.within(proofs.request, key)
        return keys

    def _info(self, op: Op) -> op_service_pb2.OpInfo:
        return op_service_pb2.OpInfo(
            name=op.name,
            plugin=self.registry.plugin_of(op.name).name,
            doc=op.doc,
            inputs=op.inputs,
            variadic=op.variadic,
            attributes=_attributes(op.attributes),
            elementwise=op.elementwise,
            differentiable=op.differentiable,
            grad_fn=op.grad_fn if op.differentiable else None,
            domains=[op.domain(k).name for k in range(len(op.inputs))],
            tie_convention=op.ties,
            optional_inputs=op.optional,
            composite=op.composite,
        )

    def _judged(self, op: Op) -> op_service_pb2.OpInfo:
        """An op with the verdict that is known so far."""
        info = self._info(op)
        if op.differentiable:
            if op.name not in self._keys:
                self._keys[op.name] = [key for key in keys_of(self.registry, op) if key.case.is_owed]
            verdicts = [self.handler.proofs.lookup(key) for key in watched(self._keys[op.name])]
            known = [verdict for verdict in verdicts if verdict is not None]
            pending = RuleVerdict(RuleWord.PENDING, op.name, reason="not proved yet")
            worst = weakest([*known, *([pending] if len(known) < len(verdicts) else [])])
            info.verdict.CopyFrom(encode.rule_verdict(worst))
            info.verdict.seconds = sum(verdict.seconds for verdict in known)
            info.verdict.cached = bool(known) and all(verdict.cached for verdict in known)
            info.verdict.shipped = any(verdict.shipped for verdict in known)
        return info


def _attributes(defaults: Mapping[str, Any]) -> list[graph_pb2.AttributeInfo]:
    values = encode_attributes({name: value for name, value in defaults.items() if value is not REQUIRED})
    return [graph_pb2.AttributeInfo(name=name, default_value=values.get(name)) for name in defaults]
