"""Send random frames to the virtual board; each answer must equal the golden model's, byte by byte.

The board is the whole gateware compiled by Verilator, at a raw socket; the model is
`sim.rigs.modelled.golden_device`. Frames come in bursts of up to the board's window, so the comparison covers
the deframer, the decoder, the framer, every command, overlapping samples, every refusal, stored answers,
counters and weights. It excludes numbers of clock cycles, which the model doesn't have, and, in bursts, the
counter `frames`, which may include later frames. A board with memory is also asked to store samples and to
train on them.
"""

from collections import Counter

from nudge.golden.contract.config import Config
from nudge.golden.training.data import load
from nudge.plumbing.progress import Meter
from sim.rigs.modelled.beside_model import BesideModel, FuzzError

from .drawn_frames import DrawnFrames


def fuzz(url: str, config: Config, frames: int, seed: int) -> Counter[str]:
    """Send frames to a board just after reset; return the number of answers by status, if all are right."""
    pair, sent = BesideModel(url, config), 0
    source = DrawnFrames(config, load("embedded"), pair.protocol, pair.device.store, seed)
    with pair.socket, Meter("frames", frames) as meter:
        try:
            for pieces in source.bursts():
                pair.exchange(pieces)
                sent += len(pieces)
                meter.advance(len(pieces))
                if sent >= frames:
                    break
            pair.finish()
        except FuzzError as error:
            raise FuzzError(f"after {sent} frames of --seed {seed}: {error}") from None
    return pair.endings
