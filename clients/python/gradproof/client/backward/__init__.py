"""Backward passes over the record: their hooks, their results, and passes that are recorded themselves."""
