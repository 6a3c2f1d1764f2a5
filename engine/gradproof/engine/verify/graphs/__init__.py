"""The check of a large graph: crossed node by node, in whole arrays."""
