"""Attacks, fuzzers and fault injection: commands of `python -m tests.attack`, not in the distribution."""
