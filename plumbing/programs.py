"""Programs of the machine that are called, by name."""

#: What Verilator's simulations are compiled with; Debian's packages have the same names.
SIMULATION = ("g++", "make", "perl")

#: Loaders of bitstreams that are known here -> their Debian packages. Any other program will do as well.
LOADERS = {"openFPGALoader": "openfpgaloader", "iceprog": "fpga-icestorm", "dfu-util": "dfu-util"}
