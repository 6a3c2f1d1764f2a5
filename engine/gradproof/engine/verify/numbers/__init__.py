"""Numbers of a run: outputs, contributions and sums, against enclosures of their true values."""
