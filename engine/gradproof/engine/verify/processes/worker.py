"""A worker: the process that reads definitions for proofs, formulas and examinations, and may be killed at any time."""

from __future__ import annotations

import pickle
from multiprocessing.connection import Connection

import numpy as np

from gradproof.engine.verify.processes import heap
from gradproof.engine.verify.processes.context import BEGUN, OwnerGone, WorkerContext, failed
from gradproof.engine.verify.processes.envelope import redirect_output
from gradproof.engine.verify.processes.loading import loaded_registry
from gradproof.engine.verify.processes.tasks import prove_key
from gradproof.engine.verify.proof_cache import ProofKey

IDLE_SECONDS = 5.0  # after which free memory goes back to the system
WARMING = ("multiply", "clip")  # a sum of products, and a rule with branches, which SymPy simplifies
WARM_SECONDS = 5.0


def warm() -> None:
    """Prove a rule or two of the registry, so that all forked processes share what SymPy imports and caches at first
    use."""
    ops = loaded_registry().ops
    for op in (ops[name] for name in WARMING if name in ops):
        for case in op.declared_cases()[:1]:
            prove_key(ProofKey(op.name, case), WARM_SECONDS)


def work(connection: Connection, notes: int) -> None:
    """Run the tasks that come through a connection, in order, until its other end is closed. ``notes``: file of the
    current step."""
    np.seterr(all="ignore")  # verdicts report numbers that are not finite
    heap.keep_freed()
    context = WorkerContext(connection, notes)
    lines = redirect_output()
    while True:
        try:
            if not connection.poll(IDLE_SECONDS):
                heap.give_back()
            data = connection.recv_bytes()
        except (EOFError, ConnectionError):
            return
        context.note(BEGUN)
        try:
            context.number, task, origin, context.timed = pickle.loads(data)
            del data
            lines.begin(origin)
            context.begin(type(task).__name__.lower())
            task.run(context)
        except OwnerGone:
            return
        except BaseException as error:  # a definition is plugin code, which may raise anything
            context.answer(failed(error))
