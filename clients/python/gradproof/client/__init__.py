"""Gradproof for Python: tensors that differentiate themselves, with verdicts; or graphs, sent by hand.

>>> import gradproof.client as gp
>>> x = gp.tensor(3.0, requires_grad=True)
>>> y = x * x
>>> y.backward()
>>> x.grad, x.verdict.summary
(tensor(6.), 'verified')
"""

from gradproof.client import array_api, autograd, func, linalg, nn, ops, optim, special
from gradproof.client import numpy_functions as _numpy_functions  # noqa: F401 - fills the tables of NumPy's protocols
from gradproof.client.aio import AsyncClient, connect_async
from gradproof.client.aio_session import AsyncSession
from gradproof.client.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from gradproof.client.autograd.saved import checkpoint
from gradproof.client.batching.vmap import vmap
from gradproof.client.client import Client, connect
from gradproof.client.dtypes import (
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
    DimensionOutOfRange,
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
    Progress,
    Result,
    RuleVerdict,
    Summary,
    Value,
    Verdict,
)
from gradproof.client.explanation import Explanation
from gradproof.client.func import grad, value_and_grad
from gradproof.client.function import function
from gradproof.client.graph import GraphBuilder, Ref, hook
from gradproof.client.recording.modes import is_inference_mode_enabled
from gradproof.client.recording.runtime import use
from gradproof.client.requests import Derived, Inference, ProofStep
from gradproof.client.session import Session
from gradproof.client.tensors import method_functions
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
from gradproof.client.tensors.generator import manual_seed
from gradproof.client.tensors.method_functions import *  # noqa: F403
from gradproof.client.tensors.tensor import Tensor
from gradproof.client.version import __version__

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
    "DimensionOutOfRange",
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
    "Progress",
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
    "__version__",
    "arange",
    "array_api",
    "as_tensor",
    "autograd",
    "bfloat16",
    "bool_",
    "checkpoint",
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
    "function",
    "get_default_dtype",
    "grad",
    "half",
    "hook",
    "inference_mode",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "linalg",
    "linspace",
    "long",
    "manual_seed",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "ops",
    "optim",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "set_default_dtype",
    "set_grad_enabled",
    "special",
    "tensor",
    "uint8",
    "use",
    "value_and_grad",
    "vmap",
    "zeros",
    "zeros_like",
]

__all__ += method_functions.__all__

# Dtypes that PyTorch calls by names of Python's types: ``import *`` brings none of them.
bool, int, float, short = bool_, int32, float32, int16  # noqa: A001
cfloat, cdouble = complex64, complex128
