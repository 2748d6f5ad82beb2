"""Benches of synthesised netlists: units and cores as cells of a part must pass the benches of the RTL.

A unit is synthesised with the options of `nudge build`, and each cell is replaced by its model: Yosys' own
model or, for the multiplier and the block RAM of an ECP5, the model in ecp5_blocks.v.
"""
