"""No false alarm at the size of real data: whatever graph of right ops is drawn, no gradient of it is called wrong.

``CHECK_GRAPHS`` sets how many graphs are drawn; `make check` draws a thousand.
"""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.fault_injection import BASE
from tests.support.proof_sources import SharedProofs
from tests.support.random_graphs import DTYPES, MOST, alarms, checked, random_job

from gradproof.engine.engine import Engine
from gradproof.engine.extend import Composite
from gradproof.engine.verify.verifier import Verifier

GRAPHS = int(os.environ.get("CHECK_GRAPHS", "12"))
ENGINE = Engine(REGISTRY)
VERIFIER = Verifier(REGISTRY, SharedProofs(REGISTRY))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(GRAPHS))
def test_no_gradient_of_right_ops_is_called_wrong(seed: int) -> None:
    check = checked(seed, VERIFIER, ENGINE, budget=60.0)
    if check is not None:
        job, verdicts, _ = check
        assert list(alarms(verdicts)) == [], [str(node) for node in job.graph.nodes]


def test_a_graph_is_its_seed() -> None:
    for seed in range(20):
        first, second = random_job(seed), random_job(seed)
        assert first.graph.digest() == second.graph.digest()
        pairs = zip((*first.values, *first.seeds), (*second.values, *second.seeds), strict=True)
        assert all(a.tobytes() == b.tobytes() for (_, a), (_, b) in pairs)


@pytest.mark.slow
def test_graphs_are_of_all_sizes_dtypes_and_kinds() -> None:
    """Over the first 300: half of the ops at least that are not composed of others, every dtype, values of a million
    elements nearly."""
    ops: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    sizes = []
    for seed in range(300):
        job = random_job(seed)
        ops.update(node.op for node in job.graph.nodes)
        dtypes[job.graph.leaves[0].spec.dtype.name] += 1
        sizes.append(max(leaf.spec.size for leaf in job.graph.leaves))
    assert len(ops) > sum(not isinstance(op, Composite) for op in BASE.ops.values()) / 2
    assert min(dtypes[dtype.name] for dtype in DTYPES) > 40
    assert MOST / 2 < max(sizes) <= MOST
    assert np.median(sizes) > 1000
