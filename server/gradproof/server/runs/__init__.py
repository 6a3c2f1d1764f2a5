"""Runs: admission, the handler of all calls, batches of events, checks, and saved forward values."""
