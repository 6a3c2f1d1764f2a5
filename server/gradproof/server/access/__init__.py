"""Access: addresses, callers, certificates, and the files that these are read from."""
