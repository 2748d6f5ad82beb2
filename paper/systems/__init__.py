"""The systems that the paper compares, in floating point: pure step functions on named tuples, one idea a file.

`pooling`, `network` and `neuron` are what they share, `phases` runs them, `equilibrium` and `backprop` learn; `eqspike` is
a system of its own. `published` is what the paper prints, `configurations` gathers all that Table II has: `own` systems and
`cited` ones, with their `variants`. `train` trains any of it.
"""
