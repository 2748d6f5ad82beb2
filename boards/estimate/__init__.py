"""Area and cycles of a network on a part without synthesis or simulation, and the lanes that fit a part."""
