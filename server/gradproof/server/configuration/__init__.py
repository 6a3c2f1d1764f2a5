"""Settings, their sources, and the checks before a server starts."""
