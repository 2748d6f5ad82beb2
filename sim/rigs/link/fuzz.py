"""Drawn frames for the virtual board: each answer, byte by byte, must be the one that the golden model gives.

The board is the whole gateware compiled by Verilator, at a raw socket; the model is `sim.rigs.modelled.golden_device`.
Frames come in bursts of as many as the board may have in flight, so what is compared covers the deframer, the decoder,
the framer, every command, samples under way together, every refusal, stored answers, counters and weights. What isn't:
numbers of clock cycles, which the model doesn't have, and, in bursts, the counter of frames: it runs ahead of the
request that reads it. A board with memory for samples is asked to store them, and to train on them, too.
"""

from collections import Counter

from golden.contract.config import Config
from golden.training.data import load
from plumbing.progress import Meter
from sim.rigs.modelled.beside_model import BesideModel, FuzzError

from .drawn_frames import DrawnFrames


def fuzz(url: str, config: Config, frames: int, seed: int) -> Counter[str]:
    """Send frames to a board just after reset; how many answers of each status, all equal to the model's."""
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
