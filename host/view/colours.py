"""Colours of the figures, which people with any colour vision can tell apart on white as on black.

They are of Bokeh's `Colorblind`, the palette of Okabe and Ito: the four whose contrast with both grounds is 3:1 or more.
"""

from bokeh.palettes import Cividis256, Colorblind, RdBu11

#: Blue, vermilion, green, purple.
COLOURS = tuple(Colorblind[8][i] for i in (0, 5, 3, 6))

#: Lines that have the same colour differ in their dashes.
DASHES = ("solid", "dashed")

#: Of what is beside the point.
GREY = "#808080"

#: Weights, from red to blue; spikes, none and one; xi, from 0 to 1. Where no value is, the ground is seen.
WEIGHTS, SPIKES, LEVELS, NO_VALUE = RdBu11, (f"{GREY}40", COLOURS[0]), Cividis256, "#00000000"
