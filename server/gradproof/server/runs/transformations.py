"""Derivatives as graphs and as formulas: what can be done with a graph without running it."""

from __future__ import annotations

from gradproof.engine.cancellation import Cancellation
from gradproof.engine.derive import Mode, derivation_faults, derive
from gradproof.engine.engine import Engine
from gradproof.engine.errors import InvalidRequest, Violation
from gradproof.engine.graph import names_of
from gradproof.engine.hints import did_you_mean
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.readings.formulas import NoFormula
from gradproof.server.limits import Limits
from gradproof.server.requests import encode
from gradproof.server.requests.counts import check_counts
from gradproof.server.requests.decode import Decoder
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import tensor_pb2

MODES = {getattr(pb, f"DERIVE_MODE_{mode.name}"): mode for mode in Mode}


def derive_graph(request: pb.DeriveRequest, engine: Engine, limits: Limits) -> pb.DeriveResponse:
    """The graph of a derivative. Raises InvalidRequest, LimitExceeded."""
    check_counts(request, limits)
    decoder = Decoder(limits)
    graph, carried = decoder.graph(request.graph)
    by, mode = decoder.names("by", request.by), MODES.get(request.mode)
    decoder.enum("tensor_format", tensor_pb2.TensorFormat, request.tensor_format, "TENSOR_FORMAT")
    if mode is None:
        text = f"{request.mode} is no mode to derive; there are {', '.join(map(pb.DeriveMode.Name, MODES))}"
        decoder.faults.append(Violation("mode", text, "MODE"))
    if decoder.faults or mode is None:
        raise InvalidRequest([*decoder.faults, *derivation_faults(graph, engine.registry, by)])
    derived = derive(graph, engine.registry, mode, by, max_nodes=limits.graph_nodes)
    values = {**{name: array for name, array, _ in carried}, **dict(derived.values)}
    return encode.derived(derived, values, request.tensor_format)


def explain_value(
    cancellation: Cancellation, request: pb.ExplainRequest, engine: Engine, proofs: ProofPool, limits: Limits
) -> pb.ExplainResponse:
    """Formulas of a value and its derivatives. Raises InvalidRequest, LimitExceeded."""
    check_counts(request, limits)
    decoder = Decoder(limits)
    graph, carried = decoder.graph(request.graph)
    name = decoder.name("value", request.value)
    lowered = engine.infer(graph)
    faults = [*decoder.faults, *lowered.faults]
    specs = lowered.specs()
    if name not in specs and (not lowered.faults or name not in names_of(graph)):
        text = f"there is no value named {name!r}{did_you_mean(name, specs)}"
        faults.append(Violation("value", text, "VALUE_UNKNOWN"))
    if faults:
        raise InvalidRequest(faults)
    limits.check("explain_elements", sum(spec.size for spec in specs.values()))
    try:
        values = {name: array for name, array, _ in carried}
        formulas = proofs.explain(graph, request.value, values, limits.explain_seconds, lambda: cancellation.cancelled)
    except NoFormula as error:
        raise InvalidRequest([Violation("value", str(error), "NO_FORMULA")]) from error
    return encode.explained(formulas)
