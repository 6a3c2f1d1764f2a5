"""The command line: its commands, their target server, and the reports that they print."""
