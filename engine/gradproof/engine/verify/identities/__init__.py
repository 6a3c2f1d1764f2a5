"""Proofs that an expression vanishes: zero tests, branches, and regions between ties."""
