"""Examination of a run: its evidence, and the questions that workers answer about it."""
