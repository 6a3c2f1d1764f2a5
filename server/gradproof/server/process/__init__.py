"""Serving process: started, warmed up, drained, stopped."""
