"""Network files, as text, for tests: no convolution, large kernels, three convolutions, colour, letters."""

#: Short phases, and rates for two stages.
SHORT = """
[schedule]
free = 8
nudged = 4
[learning]
rates = [0.06, 0.048]
batch = 16
"""

#: The default phases, which are longer: the nudge has to propagate down through three convolutions.
DEEP = """
[learning]
rates = [0.1, 0.1, 0.05, 0.02]
gain = 1.5
batch = 16
"""

_TABLES = {
    "dense-only": "[[stage]]\ndense = 12\n[[stage]]\ndense = 10\n" + SHORT,
    "five": "[[stage]]\nconv = 4\nkernel = 5\n[[stage]]\ndense = 10\n" + SHORT,
    "three-convs": "[[stage]]\nconv = 4\n[[stage]]\nconv = 8\n[[stage]]\nconv = 16\nkernel = "
    "2\n[[stage]]\ndense = 10\n" + DEEP,
    "colour": "[input]\nchannels = 3\nheight = 32\nwidth = 32\n"
    "[[stage]]\nconv = 4\nkernel = 7\n[[stage]]\ndense = 10\n" + SHORT,
    "letters": "[input]\nheight = 16\nwidth = 16\nclasses = 26\n[[stage]]\nconv = 6\n[[stage]]\ndense = 26\n"
    + SHORT,
}

NETWORKS = {name: f'name = "{name}"\n' + tables for name, tables in _TABLES.items()}
