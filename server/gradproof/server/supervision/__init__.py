"""Supervision of serving processes: the supervisor, the peers of a process, and the owner of an embedded server."""
