"""Proofs of the gateware."""
