"""Calls: callers, scopes, statuses, records and limits of messages."""
