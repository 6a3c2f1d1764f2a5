"""The record behind tensors: nodes, grad mode, the graph that is sent, the server that runs it."""
