"""The Amaranth accelerator.

Protocol, configuration and layout of the weights are plain data in `golden.contract`, which the host reads
too.
"""
