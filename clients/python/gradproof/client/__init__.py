"""Gradproof for Python: tensors that differentiate themselves, with verdicts; or graphs, sent by hand.

>>> import gradproof.client as gp
>>> x = gp.tensor(3.0, requires_grad=True)
>>> y = x * x
>>> y.backward()
>>> x.grad, x.verdict.summary
(tensor(6.), 'verified')
"""

from typing import Any

from gradproof.client import autograd, func, ops
from gradproof.client.aio import AsyncClient, connect_async
from gradproof.client.aio_session import AsyncSession
from gradproof.client.autograd import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from gradproof.client.client import Client, connect
from gradproof.client.dtypes import (
    BY_PYTHON_NAMES,
    bfloat16,
    bool_,
    complex64,
    complex128,
    double,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int8,
    int16,
    int32,
    int64,
    long,
    set_default_dtype,
    uint8,
)
from gradproof.client.errors import (
    DataFault,
    DeadlineExceeded,
    FieldFault,
    Forked,
    GradproofError,
    InternalError,
    InvalidRequest,
    NotFound,
    NotServed,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    ResourceExhausted,
    RunError,
    Unauthenticated,
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
from gradproof.client.explanation import Explanation
from gradproof.client.graph import GraphBuilder, Ref, hook
from gradproof.client.recording.runtime import use
from gradproof.client.requests import Derived, Inference, ProofStep
from gradproof.client.session import Session
from gradproof.client.tensors import functions
from gradproof.client.tensors.constructors import (
    BFloat16Tensor,
    BoolTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_numpy,
    full,
    full_like,
    linspace,
    manual_seed,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from gradproof.client.tensors.functions import cat, maximum, minimum, stack, where
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "Accepted",
    "AsyncClient",
    "AsyncSession",
    "BFloat16Tensor",
    "BoolTensor",
    "Client",
    "DataFault",
    "DeadlineExceeded",
    "Derived",
    "DoubleTensor",
    "Event",
    "Explanation",
    "Fault",
    "FieldFault",
    "FloatTensor",
    "Forked",
    "Gradient",
    "GradproofError",
    "GraphBuilder",
    "GraphVerdict",
    "HalfTensor",
    "HookTrace",
    "Inference",
    "IntTensor",
    "InternalError",
    "InvalidRequest",
    "LongTensor",
    "NotFound",
    "NotServed",
    "OpInfo",
    "Overloaded",
    "PermissionDenied",
    "ProofStep",
    "QuotaExceeded",
    "Ref",
    "ResourceExhausted",
    "Result",
    "RuleVerdict",
    "RunError",
    "Session",
    "Summary",
    "Tensor",
    "Unauthenticated",
    "Unavailable",
    "Value",
    "Verdict",
    "VerdictRequired",
    "arange",
    "as_tensor",
    "autograd",
    "bfloat16",
    "bool_",
    "cat",
    "complex64",
    "complex128",
    "connect",
    "connect_async",
    "double",
    "empty",
    "empty_like",
    "enable_grad",
    "eye",
    "float16",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "func",
    "get_default_dtype",
    "half",
    "hook",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "linspace",
    "long",
    "manual_seed",
    "maximum",
    "minimum",
    "no_grad",
    "ones",
    "ones_like",
    "ops",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "set_default_dtype",
    "set_grad_enabled",
    "stack",
    "tensor",
    "uint8",
    "use",
    "where",
    "zeros",
    "zeros_like",
]


def __getattr__(name: str) -> Any:
    """Methods as functions (``exp(x)`` is ``x.exp()``), and the dtypes that have names of Python's."""
    return BY_PYTHON_NAMES[name] if name in BY_PYTHON_NAMES else functions.of_method(name)


def __dir__() -> list[str]:
    return sorted({*__all__, *functions.NAMES, *BY_PYTHON_NAMES})
