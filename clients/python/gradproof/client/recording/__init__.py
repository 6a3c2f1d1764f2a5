"""The record of applied ops: nodes, the graphs that are sent of them, and the server they are computed on."""
