"""Simulation: cocotb benches of every component and of the whole core."""
