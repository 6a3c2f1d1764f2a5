"""Runs: admission, the handler of all calls, batches of events, checks, and kept forward values."""
