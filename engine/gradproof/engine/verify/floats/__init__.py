"""Comparison of a float with an enclosure of its true value, in units in the last place."""
