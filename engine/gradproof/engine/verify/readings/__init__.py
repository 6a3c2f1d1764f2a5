"""Readings of a definition: in symbols, in Arb balls, in power series, and of equations."""
