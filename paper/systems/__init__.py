"""The systems that the paper compares, in floating point: pure functions on named tuples, one idea per file.

All systems share `pooling`, `network` and `neuron`. `phases` runs the free and nudged phases; `equilibrium`
and `backprop` are the two learning rules; `eqspike` is a separate system. `published` holds the paper's
Tables I and II. `configurations` lists the systems of Table II: the paper's `own`, the `cited` ones, and
their `variants`. `train` trains any of them.
"""
