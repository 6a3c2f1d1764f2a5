"""Cache of proofs: the key of a proof, and the verdicts that are kept under it."""
