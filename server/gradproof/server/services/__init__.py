"""Servicers of gRPC: each decodes, calls the handler, and encodes."""
