"""Logs, metrics, traces and the HTTP port, all made of the records of calls."""
