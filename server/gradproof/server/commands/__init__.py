"""Command line: its verbs, the server that they talk to, and the reports that they print."""
