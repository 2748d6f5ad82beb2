"""Sweeps: many training runs of one file, over a grid or by a search, on several processes or machines."""
