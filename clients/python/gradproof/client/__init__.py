"""Gradproof for Python: send a graph, get gradients with verdicts.

>>> from gradproof.client import GraphBuilder, connect
>>> g = GraphBuilder()
>>> x = g.leaf("x", 3.0, requires_grad=True)
>>> y = g.output(x * x)
>>> with connect() as client:
...     result = client.differentiate(g)
>>> float(result.gradients["x"].gradient), result.verdicts["x"].summary
(6.0, 'verified')
"""

from gradproof.client.client import Client, Inference, ProofStep, connect
from gradproof.client.errors import (
    DeadlineExceeded,
    FieldFault,
    GradproofError,
    InternalError,
    InvalidRequest,
    NotFound,
    NotServed,
    ResourceExhausted,
    RunError,
    Unavailable,
    VerdictRequired,
)
from gradproof.client.events import (
    Accepted,
    Event,
    Fault,
    Gradient,
    GraphVerdict,
    HookTrace,
    OpInfo,
    Result,
    RuleVerdict,
    Summary,
    Value,
    Verdict,
)
from gradproof.client.graph import FunctionHook, GraphBuilder, Ref, hook
from gradproof.client.requests import Options
from gradproof.client.session import Session

__all__ = [
    "Accepted",
    "Client",
    "DeadlineExceeded",
    "Event",
    "Fault",
    "FieldFault",
    "FunctionHook",
    "Gradient",
    "GradproofError",
    "GraphBuilder",
    "GraphVerdict",
    "HookTrace",
    "Inference",
    "InternalError",
    "InvalidRequest",
    "NotFound",
    "NotServed",
    "OpInfo",
    "Options",
    "ProofStep",
    "Ref",
    "ResourceExhausted",
    "Result",
    "RuleVerdict",
    "RunError",
    "Session",
    "Summary",
    "Unavailable",
    "Value",
    "Verdict",
    "VerdictRequired",
    "connect",
    "hook",
]
