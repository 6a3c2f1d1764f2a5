"""Readings of a definition: in symbols, in Arb balls, in power series, and of equations."""

from gradproof.engine.verify.readings.power_series import Series
from gradproof.engine.verify.readings.reading import NoDefinition, concrete, parts_shape, read, read_op, read_parts
from gradproof.engine.verify.readings.tape import Tape, TooLarge

__all__ = ["NoDefinition", "Series", "Tape", "TooLarge", "concrete", "parts_shape", "read", "read_op", "read_parts"]
