"""Shape classes: every differentiable op is proved for each kind of shape, or is listed here as an exception."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.rule_proofs import known

from gradproof.engine.domains import INTEGER
from gradproof.engine.op import Op
from gradproof.engine.rules import trace_rule
from gradproof.engine.spec import DType, Spec
from gradproof.engine.verify.proof_cache import ProofKey, key_of

FLOAT, COMPLEX, INT = np.dtype(np.float64), np.dtype(np.complex128), np.dtype(np.int64)
ALL = {"different": (4, 5, 6), "equal": (5, 5), "size 1": (1, 7, 1), "0-d": (), "batched": (3, 8, 8, 4)}
COMPLEX_KINDS = (
    "equal",
    "size 1",
    "0-d",
    "large",
)  # of an elementwise op: in parts, a proof of seconds where there are more
WITH_AXES = {kind: shape for kind, shape in ALL.items() if shape}

Situation = tuple[str, list[tuple[int, ...]], dict[str, Any]]
"""What kind it is, the shapes of the inputs, and the attributes."""


def reductions(**more: Any) -> Iterator[Situation]:
    for kind, shape in ALL.items():
        yield kind, [shape], more
    for kind, shape in WITH_AXES.items():
        yield f"{kind}, last axis", [shape], {"axis": -1, "keepdims": True, **more}


def extremes() -> Iterator[Situation]:
    """Fewer shapes, since several axes at once take seconds to prove."""
    yield "equal", [(5, 5)], {}
    yield "batched", [(3, 8, 4)], {"axis": 1}
    yield "size 1", [(1, 7, 1)], {"axis": -2, "keepdims": True}
    yield "0-d", [()], {}


def along() -> Iterator[Situation]:
    for kind, shape in WITH_AXES.items():
        yield kind, [shape], {"axis": len(shape) - 1}
        yield f"{kind}, first axis", [shape], {"axis": 0}


def matrices(**more: Any) -> Iterator[Situation]:
    for kind, shape in {"different": (4, 6), "equal": (5, 5), "size 1": (1, 7), "batched": (3, 5, 5)}.items():
        yield kind, [shape], more


def squares() -> Iterator[Situation]:
    for kind, shape in {"2": (2, 2), "3": (3, 3), "size 1": (1, 1), "batched": (5, 2, 2)}.items():
        yield kind, [shape], {}


def products() -> Iterator[Situation]:
    yield "different", [(4, 5), (5, 6)], {}
    yield "equal", [(5, 5), (5, 5)], {}
    yield "size 1", [(1, 5), (5, 1)], {}
    yield "vectors", [(9,), (9,)], {}
    yield "rank difference", [(4, 5), (5,)], {}
    yield "rank difference, first", [(5,), (5, 4)], {}
    yield "batched", [(7, 4, 5), (7, 5, 6)], {}
    yield "batched, broadcast", [(7, 1, 4, 5), (3, 5, 6)], {}


def broadcasts() -> Iterator[Situation]:
    yield "different", [(4, 1, 6)], {"shape": (4, 5, 6)}
    yield "equal", [(5, 1)], {"shape": (5, 5)}
    yield "size 1", [(1, 1)], {"shape": (1, 7)}
    yield "rank difference", [(6,)], {"shape": (4, 5, 6)}
    yield "0-d", [()], {"shape": (4, 5)}


def reshapes() -> Iterator[Situation]:
    yield "different", [(4, 6)], {"shape": (2, 12)}
    yield "equal", [(5, 5)], {"shape": (25,)}
    yield "size 1", [(1, 7, 1)], {"shape": (7,)}
    yield "0-d", [()], {"shape": (1, 1)}
    yield "batched", [(3, 8, 8)], {"shape": (3, 64)}


def several(**more: Any) -> Iterator[Situation]:
    yield "equal", [(5, 5), (5, 5)], more
    yield "size 1", [(1, 7), (1, 7)], more
    yield "three", [(4, 6), (4, 6), (4, 6)], more
    yield "batched", [(3, 8, 4), (3, 8, 4)], more


def concats() -> Iterator[Situation]:
    yield from several(axis=0)
    yield "different", [(4, 6), (5, 6)], {"axis": 0}


def slices() -> Iterator[Situation]:
    yield "different", [(4, 6)], {"start": (1, 0), "stop": (3, 6), "step": (1, 2)}
    yield "equal", [(5, 5)], {"start": (4, 0), "stop": (None, 5), "step": (-2, 1)}
    yield "size 1", [(1, 7)], {"start": (0, 6), "stop": (1, 7), "step": (1, 1)}
    yield "0-d", [()], {"start": (), "stop": (), "step": ()}
    yield "large", [(300, 200)], {"start": (10, 0), "stop": (290, 200), "step": (3, 1)}


def unslices() -> Iterator[Situation]:
    yield "different", [(2, 3)], {"shape": (4, 6), "start": (1, 0), "step": (1, 2)}
    yield "equal", [(5, 5)], {"shape": (5, 5), "start": (0, 0), "step": (1, 1)}
    yield "size 1", [(1, 1)], {"shape": (1, 7), "start": (0, 6), "step": (1, 1)}


def slice_updates() -> Iterator[Situation]:
    for kind, [shape], cut in slices():
        values = np.empty(shape)[tuple(map(slice, cut["start"], cut["stop"], cut["step"]))].shape
        yield kind, [shape, values], cut


def index_updates() -> Iterator[Situation]:
    yield "different", [(4, 6), (5,), (5, 6)], {}
    yield "equal", [(5, 5), (5,), (5, 5)], {}
    yield "last axis", [(4, 6), (5,), (4, 5)], {"axis": 1}


def line_updates() -> Iterator[Situation]:
    yield "different", [(4, 6), (4, 5), (4, 5)], {}
    yield "equal", [(5, 5), (5, 5), (5, 5)], {"axis": 0}
    yield "batched", [(2, 4, 6), (2, 3, 6), (2, 3, 6)], {"axis": 1}


SITUATIONS: Mapping[str, Any] = {
    **dict.fromkeys(("sum", "mean", "prod", "var"), reductions),
    "min": extremes,
    "max": lambda: [x for x in extremes() if x[0] != "equal"],  # its mirror image takes several axes at once
    **dict.fromkeys(("log_softmax", "cumsum", "cumprod", "logcumsumexp"), along),
    "softmax": lambda: [x for x in along() if x[0] in ("different", "equal", "size 1", "batched, first axis")],
    "std": lambda: [("different", [(4, 6)], {"axis": 0, "correction": 0.5}), ("0-d", [()], {})],
    "euclidean_norm": extremes,
    "p_norm": lambda: [("different", [(4, 6)], {"axis": 1, "p": 2.5}), ("batched", [(3, 8, 4)], {"axis": 1, "p": -3})],
    "logsumexp": lambda: [
        *reductions(),
        *((f"{kind}, weighted", [shape, shape], attributes) for kind, [shape], attributes in extremes()),
    ],
    "recurrence": lambda: [(kind, [shape, shape], attributes) for kind, [shape], attributes in along()],
    "matmul": products,
    **dict.fromkeys(("tril", "triu"), lambda: [*matrices(), *matrices(k=-1), *matrices(k=3)]),
    **dict.fromkeys(("inv", "det", "cofactors"), squares),
    "cholesky": lambda: [*squares(), *((kind, shapes, {"upper": True}) for kind, shapes, _ in squares())],
    "solve": lambda: [(kind, [a, (*a[:-1], 2)], {}) for kind, [a], _ in squares()],
    "reshape": reshapes,
    "broadcast_to": broadcasts,
    "expand_dims": lambda: [(kind, [shape], {"axis": 0}) for kind, shape in ALL.items()],
    "squeeze": lambda: [
        ("size 1", [(1, 7, 1)], {}),
        ("different", [(4, 1, 6)], {"axis": 1}),
        ("equal", [(5, 1, 5)], {"axis": 1}),
    ],
    "transpose": lambda: [
        *((kind, [shape], {}) for kind, shape in ALL.items()),
        ("axes", [(4, 5, 6)], {"axes": (2, 0, 1)}),
    ],
    "matrix_transpose": matrices,
    "flip": lambda: [(kind, [shape], {}) for kind, shape in ALL.items()] + list(along()),
    "astype": lambda: [(kind, [shape], {"dtype": "float32"}) for kind, shape in ALL.items()],
    "checked": lambda: [(kind, [shape], {"low": -8.5, "high": 8.5}) for kind, shape in ALL.items()],
    "complex": lambda: [(kind, [shape, shape], {}) for kind, shape in ALL.items()],
    "concat": concats,
    "stack": lambda: several(axis=1),
    "external": lambda: [("equal", [(6, 6), (6, 6)], {}), ("different", [(7, 4), (5,), (9,)], {"results": 2})],
    "sections": lambda: [("equal", [(6, 6)], {"sizes": (3, 3)}), ("different", [(7, 4)], {"sizes": (2, 5)})],
    "slice": slices,
    "unslice": unslices,
    "slice_scatter": slice_updates,
    "unfold": lambda: [
        ("different", [(9, 4)], {"axis": 0, "size": 3, "step": 2}),
        ("equal", [(5, 5)], {"axis": 1, "size": 5}),
        ("size 1", [(7, 1)], {"axis": 0, "size": 1}),
        ("apart", [(3, 11)], {"axis": 1, "size": 2, "step": 4}),
    ],
    "overlap_add": lambda: [
        ("different", [(4, 2, 3)], {"axis": 0, "length": 10, "step": 2}),
        ("equal", [(5, 5)], {"axis": 0, "length": 9}),
        ("touching", [(3, 4)], {"axis": 0, "length": 12, "step": 4}),
    ],
    "index_copy": index_updates,
    "put_along_axis": line_updates,
    "take": lambda: [
        ("different", [(4, 6), (5,)], {}),
        ("equal", [(5, 5), (5,)], {"axis": 1}),
        ("0-d index", [(4, 6), ()], {}),
        ("rank difference", [(9,), (4, 5)], {}),
    ],
    "index_add": index_updates,
    "take_along_axis": lambda: [
        ("different", [(4, 6), (4, 5)], {}),
        ("equal", [(5, 5), (5, 5)], {"axis": 0}),
        ("size 1", [(4, 1), (4, 1)], {"axis": 1}),
        ("batched", [(2, 4, 6), (2, 3, 6)], {"axis": 1}),
        ("broadcast", [(4, 6), (1, 5)], {}),
    ],
    "add_along_axis": line_updates,
}  # fmt: skip


def elementwise(op: Op) -> Iterator[Situation]:
    count = len(op.inputs)
    for kind, shape in ALL.items():
        yield kind, [shape] * count, {}
    yield "large", [(1000, 1000)] * count, {}


def situations(*names: str) -> Iterator[Any]:
    """Parameters of the test: an op, shapes, attributes and dtype; of all ops, if none is named."""
    for op in REGISTRY.ops.values():
        if op.rule and (not names or op.name in names):
            table = SITUATIONS.get(op.name, partial(elementwise, op) if op.elementwise else list)
            for kind, shapes, attributes in table():
                yield pytest.param(op, shapes, attributes, FLOAT, id=f"{op.name}: {kind}")
                if op.complex_cases() and (op.name in SITUATIONS or kind in COMPLEX_KINDS):
                    yield pytest.param(op, shapes, attributes, COMPLEX, id=f"{op.name}: {kind}, complex")


def class_key(op: Op, shapes: list[tuple[int, ...]], attributes: dict[str, Any], dtype: DType) -> ProofKey | None:
    """The key of the proof of the rule that runs in a situation."""
    specs = [Spec(s, INT if op.domain(k) is INTEGER else dtype) for k, s in enumerate(shapes)]
    inference = op.inference(specs, attributes)
    inputs = list(inference.inputs or specs)
    rule = trace_rule(REGISTRY.ops, op, inputs, inference.outputs, inference.attributes)
    return key_of(REGISTRY, op, inputs, rule, inference.attributes)


def test_every_op_that_is_not_elementwise_is_in_the_table() -> None:
    names = {op.name for op in REGISTRY.ops.values() if op.rule and not op.elementwise}
    assert names <= set(SITUATIONS), f"add a row to SITUATIONS for {sorted(names - set(SITUATIONS))}"


@pytest.mark.sweep(of=10, by_op=False)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "shapes", "attributes", "dtype"), list(situations()))
def test_the_class_of_a_live_node_is_proved(
    op: Op, shapes: list[tuple[int, ...]], attributes: dict[str, Any], dtype: DType
) -> None:
    key = class_key(op, shapes, attributes, dtype)
    assert key is not None
    assert known(key).proved, known(key)
