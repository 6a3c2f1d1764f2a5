"""Processes above a server: the guard, its siblings, and the owner of an embedded server."""
