"""Random and mutated frames for the virtual board: each answer, byte by byte, must be the one that the golden model gives.

The board is the whole gateware compiled by Verilator, at a raw socket; the model is `host.harness.golden_device` behind
`host.harness.protocol_model`. Frames come in bursts of as many as the board may have in flight, so what is compared covers the
deframer, the decoder, the framer, every command, samples under way together, every refusal, stored answers, counters and
weights. What isn't: numbers of clock cycles, which the model doesn't have, and, in bursts, the counter of frames: it runs ahead
of the request that reads it. A board with memory for samples is asked to store them, and to train on them, too.

    python -m sim.harness.fuzz --frames 100000 --seed 1 --memory
"""

import sys
from collections import Counter
from typing import Annotated

import typer

from boards.virtual import VIRTUAL, VIRTUAL_SDRAM
from golden.contract.config import Config, configuration
from golden.contract.presets import preset
from golden.training.data import load
from plumbing.progress import Meter
from sim.board.virtual import VirtualBoard

from .beside_model import BesideModel, FuzzError
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


def main(
    frames: Annotated[int, typer.Option(help="Frames, good and bad ones.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 1,
    preset_name: Annotated[str, typer.Option("--preset", help="Network.")] = "tiny",
    memory: Annotated[bool, typer.Option("--memory", help="The board has a memory for samples.")] = False,
) -> None:
    """Compare the board's answers with the model's."""
    config = configuration(preset(preset_name))
    with VirtualBoard(config, board=VIRTUAL_SDRAM if memory else VIRTUAL) as virtual:
        try:
            endings = fuzz(virtual.url, config, frames, seed)
        except FuzzError as error:
            sys.exit(str(error))
    counts = ", ".join(f"{count} {name}" for name, count in endings.most_common())
    print(f"{endings.total()} answers, all equal to the model's, and all weights: {counts}")


if __name__ == "__main__":
    typer.run(main)
