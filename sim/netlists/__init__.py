"""Is the netlist that a board gets still the machine? Units and cores as cells of a part, by the benches of the RTL.

A unit is synthesised with the options of `nudge build`, and each cell is replaced by its model: Yosys' own, and for
the multiplier and the block RAM of an ECP5 those of ecp5_blocks.v.
"""
