"""The design that is common to the boards with a smaller ECP5."""

from dataclasses import replace

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset

#: `tiny` with few enough lanes for the 28 multipliers of an LFE5U-25F.
FEW = replace(configuration(preset("tiny"), "event"), lanes=(1, 4, 2), image_taps=1, shared=frozenset({1, 2}))
