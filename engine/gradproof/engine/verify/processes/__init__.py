"""Worker processes that read definitions, and can be killed."""

from gradproof.engine.verify.processes.context import NOTHING, Batch, Failed
from gradproof.engine.verify.processes.envelope import MARK, MAX_LINE, ORIGIN, Timing
from gradproof.engine.verify.processes.heap import glibc
from gradproof.engine.verify.processes.loading import load_plugin
from gradproof.engine.verify.processes.process import TICK, Ended, Worker
from gradproof.engine.verify.processes.shared_memory import Region
from gradproof.engine.verify.processes.spawner import NoWorker
from gradproof.engine.verify.processes.tasks import DescribeOp, Examine, Explain, Prove, SampleCases, SharedBy
from gradproof.engine.verify.processes.workers import MAX_WORKERS, Workers

__all__ = [
    "MARK",
    "MAX_LINE",
    "MAX_WORKERS",
    "NOTHING",
    "ORIGIN",
    "TICK",
    "Batch",
    "DescribeOp",
    "Ended",
    "Examine",
    "Explain",
    "Failed",
    "NoWorker",
    "Prove",
    "Region",
    "SampleCases",
    "SharedBy",
    "Timing",
    "Worker",
    "Workers",
    "glibc",
    "load_plugin",
]
