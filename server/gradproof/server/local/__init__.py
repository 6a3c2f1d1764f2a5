"""The server in the caller's own process, without gRPC: its event loop, its calls, and the channel that makes them."""
