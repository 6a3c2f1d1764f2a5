"""The checker: evidence for each gradient, from proofs of rules to enclosures of values. Its face is `verifier`.

This module imports nothing: it is a part of every import of the checker, and proofs depend on its source.
"""
