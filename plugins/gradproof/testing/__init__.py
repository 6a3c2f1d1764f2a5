"""Tests of plugins: all that a test of an op needs, promised to stay, beside `gradproof.engine.extend`."""

from gradproof.testing.checking import Report, check_op
from gradproof.testing.checks import CHECKS
from gradproof.testing.digits import LostDigits, lost_digits
from gradproof.testing.fault import Broken, Fault, OpFault
from gradproof.testing.gradients import assert_gradient
from gradproof.testing.registries import registry_with
from gradproof.testing.trial import Trial, run_rule

__all__ = [
    "CHECKS",
    "Broken",
    "Fault",
    "LostDigits",
    "OpFault",
    "Report",
    "Trial",
    "assert_gradient",
    "check_op",
    "lost_digits",
    "registry_with",
    "run_rule",
]
