"""Names of fields: the response types of the client say the words of the messages they come from."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gradproof.client import events, explanation, requests
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2, tensor_pb2, verdict_pb2

MESSAGES: dict[type, Any] = {
    events.Accepted: pb.Accepted,
    events.Value: tensor_pb2.NamedTensor,
    events.HookTrace: pb.HookTrace,
    events.Gradient: pb.Gradient,
    events.Witness: verdict_pb2.Witness,
    events.RuleVerdict: verdict_pb2.RuleVerdict,
    events.ValueVerdict: verdict_pb2.ValueVerdict,
    events.AccumulationVerdict: verdict_pb2.AccumulationVerdict,
    events.GraphVerdict: verdict_pb2.GraphVerdict,
    events.UseVerdict: verdict_pb2.UseVerdict,
    events.NonfiniteOrigin: verdict_pb2.NonfiniteOrigin,
    events.Verdict: verdict_pb2.GradientVerdict,
    events.Progress: verdict_pb2.Progress,
    events.Fault: pb.RunFault,
    events.Summary: pb.RunSummary,
    events.Result: pb.DifferentiateResponse,
    events.OpInfo: op_service_pb2.OpInfo,
    explanation.Formula: pb.Formula,
    explanation.Explanation: pb.ExplainResponse,
    requests.Inference: pb.InferResponse,
    requests.DerivedValue: pb.DerivedValue,
    requests.Derived: pb.DeriveResponse,
    requests.ProofStep: op_service_pb2.VerifyOpResponse,
}
NOT_IN_CLIENT: dict[type, dict[str, str]] = {
    events.Accepted: {"request_id": "the client sets it for a call, and errors carry it"},
    events.Result: {"accepted": "of it `digest` only"},
    explanation.Explanation: {
        "latex": "a notebook typesets the formulas as a table",
        "text": "str() joins the formulas",
    },
    requests.Inference: {
        "violations": "`faults`, the word of the client's errors for violations of fields",
        "violation_count": "as of errors, the faults that are listed are kept",
    },
    requests.ProofStep: {"progress": "goes to the function `on_progress`"},
}
NOT_IN_MESSAGE: dict[type, dict[str, str]] = {
    events.Result: {"digest": "of `accepted`"},
    requests.Inference: {"faults": "`violations` as `FieldFault`"},
}


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_fields_have_the_names_of_the_message(kind: Any) -> None:
    client = {field.name for field in dataclasses.fields(kind)}
    message = set(MESSAGES[kind].DESCRIPTOR.fields_by_name)
    assert message - client == set(NOT_IN_CLIENT.get(kind, ()))
    assert client - message == set(NOT_IN_MESSAGE.get(kind, ()))


@pytest.mark.parametrize("module", [events, explanation, requests], ids=lambda module: module.__name__)
def test_every_response_type_has_its_message(module: Any) -> None:
    types = {kind for kind in vars(module).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)}
    responses = {kind for kind in types if kind.__module__ == module.__name__} - {requests.Options}
    assert responses <= set(MESSAGES)


def test_kinds_of_formulas_have_the_words_of_the_enum() -> None:
    words = {number: name.removeprefix("FORMULA_KIND_").lower() for name, number in pb.FormulaKind.items() if number}
    assert words == explanation.KINDS
