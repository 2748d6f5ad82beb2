"""Formal proofs about the gateware, by k-induction."""
