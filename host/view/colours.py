"""Colours of the figures, distinguishable with any colour vision, on white and on black.

They are the four colours of Bokeh's `Colorblind`, the palette of Okabe and Ito, whose contrast with both is
3:1 or more.
"""

from bokeh.palettes import Cividis256, Colorblind, RdBu11

#: Blue, vermilion, green, purple.
COLOURS = tuple(Colorblind[8][i] for i in (0, 5, 3, 6))

#: Dashes that distinguish lines of the same colour.
DASHES = ("solid", "dashed")

#: Colour of secondary elements.
GREY = "#808080"

#: Palettes of weights (red to blue), of spikes (0 and 1), and of xi (0 to 1); transparent where there is no
#: value.
WEIGHTS, SPIKES, LEVELS, NO_VALUE = RdBu11, (f"{GREY}40", COLOURS[0]), Cividis256, "#00000000"
