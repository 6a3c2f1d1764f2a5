"""Examination of a run: its values, uses and rules as checks read them, and the questions that workers answer."""

from gradproof.engine.verify.runs.accumulation import check_sum, expected_uses, is_requested_seed
from gradproof.engine.verify.runs.derivation_rules import DerivationRules
from gradproof.engine.verify.runs.evidence import (
    Layout,
    Request,
    layout_of,
    packed_plan,
    read_values,
    request_of,
    run_of,
    unpack_plan,
    write_values,
)
from gradproof.engine.verify.runs.examination import (
    Brief,
    Examination,
    Findings,
    Kind,
    NoFindings,
    Question,
    brief_of,
    budget_is_over,
    questions_of,
    ties_unchecked,
    unexamined,
)
from gradproof.engine.verify.runs.known_rules import KnownRule, KnownRules, RunRules
from gradproof.engine.verify.runs.nonfinite import origin_of
from gradproof.engine.verify.runs.progress import Progress
from gradproof.engine.verify.runs.upstream import UpstreamValues

__all__ = [
    "Brief",
    "DerivationRules",
    "Examination",
    "Findings",
    "Kind",
    "KnownRule",
    "KnownRules",
    "Layout",
    "NoFindings",
    "Progress",
    "Question",
    "Request",
    "RunRules",
    "UpstreamValues",
    "brief_of",
    "budget_is_over",
    "check_sum",
    "expected_uses",
    "is_requested_seed",
    "layout_of",
    "origin_of",
    "packed_plan",
    "questions_of",
    "read_values",
    "request_of",
    "run_of",
    "ties_unchecked",
    "unexamined",
    "unpack_plan",
    "write_values",
]
