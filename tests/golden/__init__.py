"""Tests of the golden model, against scalar loops, autograd and its own engines."""
