"""The gRPC server: thin servicers over the engine, sessions, limits, and the command line."""
