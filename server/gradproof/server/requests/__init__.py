"""Messages to jobs, and events to messages."""
