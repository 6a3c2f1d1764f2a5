"""The definitions of the elementwise ops as text, written by ``plugins/generate.py``."""

FORMULAS: dict[str, str] = {}
