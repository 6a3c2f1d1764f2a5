"""The op of values that were computed outside the graph, for functions with a backward of the client's own."""

from collections.abc import Sequence

from gradproof.engine.extend import Attributes, Case, InferenceError, Inferred, Spec, case, registering, zeros_like
from gradproof.plugins.axes import ROOM, integer, smaller
from gradproof.plugins.families import H
from gradproof.plugins.names import named

GRADPROOF_API = 1

MAX_RESULTS = 64  # each has a definition


def external_infer(*arrays: Spec, results: object = 1) -> Inferred:
    count = integer("results", results)
    if not 1 <= count <= min(len(arrays), MAX_RESULTS):
        raise InferenceError(
            f"results is {count}; there are {len(arrays)} inputs, and 1 to {MAX_RESULTS} of them are results"
        )
    return Inferred(tuple(Spec(x.shape, x.dtype) for x in arrays[:count]), {"results": count})


def external(*arrays, results):
    """The first inputs, which were computed from the others somewhere else."""
    return arrays[0] if results == 1 else arrays[:results]


def external_rule(g, y, *arrays, results):
    """Zeros for the others: a hook on their cotangents replaces these."""
    return (*((g,) if results == 1 else g), *(zeros_like(x) for x in arrays[results:]))


def external_define(part):
    """The definition of result number ``part``."""

    def define(f, i, *arrays, results):
        return arrays[part][i]

    return define


def external_arrays(f, *arrays, results):
    parts = tuple(f.moved(lambda a: a, x) for x in arrays[:results])
    return parts[0] if results == 1 else parts


def external_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    room = max(ROOM // len(specs), 1)
    return case(*(smaller(x.shape, room) for x in specs), **attributes)


RESULTS = tuple(external_define(part) for part in range(MAX_RESULTS))
CASES = (case((), (2, 1), (3,), results=2), case((2,), (3,)), case((2,)))

# fmt: off
EXTERNAL = (
    # op           forward    rule           definition  inference       cases
    H("external", external, external_rule, RESULTS,    external_infer, CASES,
      shrink=external_shrink, arrays=external_arrays, doc="values computed outside the graph, from the other inputs"),
)
# fmt: on

register_ops = registering(*named(EXTERNAL))
