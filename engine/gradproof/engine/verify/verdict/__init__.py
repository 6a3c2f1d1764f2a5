"""Words of a verdict, the summary of them, and the advice that ends a reason."""

from gradproof.engine.verify.verdict.words import (
    AccumulationVerdict,
    AccumulationWord,
    GradientVerdict,
    GraphVerdict,
    GraphWord,
    Origin,
    RuleVerdict,
    RuleWord,
    SummaryWord,
    UseVerdict,
    ValueVerdict,
    ValueWord,
    weakest,
)

__all__ = [
    "AccumulationVerdict",
    "AccumulationWord",
    "GradientVerdict",
    "GraphVerdict",
    "GraphWord",
    "Origin",
    "RuleVerdict",
    "RuleWord",
    "SummaryWord",
    "UseVerdict",
    "ValueVerdict",
    "ValueWord",
    "weakest",
]
