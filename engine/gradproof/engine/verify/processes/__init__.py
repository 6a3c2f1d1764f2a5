"""Worker processes that read definitions, and can be killed."""
