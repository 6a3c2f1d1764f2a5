"""The serving process: start, warm-up, drain, stop."""
