"""Logs, metrics, traces and the HTTP port, which read the records of calls."""
