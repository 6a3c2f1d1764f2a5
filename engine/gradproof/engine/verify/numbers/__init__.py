"""Values of a node against enclosures of their true values."""

from gradproof.engine.verify.numbers.truth import FAR, Application, Truth, true_contributions, true_outputs
from gradproof.engine.verify.numbers.value import MAX_ELEMENTS, Checked, check_values, unjudged

__all__ = [
    "FAR",
    "MAX_ELEMENTS",
    "Application",
    "Checked",
    "Truth",
    "check_values",
    "true_contributions",
    "true_outputs",
    "unjudged",
]
