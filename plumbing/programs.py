"""Names of the system's programs that are called."""

#: Programs that compile Verilator's simulations; Debian's packages have the same names.
SIMULATION = ("g++", "make", "perl")

#: Known loaders of bitstreams -> their Debian packages. Any other program can be used as well.
LOADERS = {"openFPGALoader": "openfpgaloader", "iceprog": "fpga-icestorm", "dfu-util": "dfu-util"}
