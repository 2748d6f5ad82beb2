"""Measure the cost of `nudge train --live` for a training, by runs with and without it, on this machine.

    python -m tests.host.view.live_rate --pairs 6

Each run is the same training in the model. With the page, a client in a process of its own requests changes
once a second, as a browser does. The figures are the processor time of the training's own process, which
other programs on the machine change least, and the rate by the clock, which they do change. Exit code 1 if
the median of the pairs' ratios of processor time is below the limit.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nudge
from nudge.host.view.live import live

#: Least rate with a page, as a share of the rate without one.
LEAST = 0.97

#: A browser's requests: the page, then changes once a second.
CLIENT = """
import sys, time, urllib.request
address = sys.argv[1]
urllib.request.urlopen(address).read()
print("read", flush=True)
while True:
    urllib.request.urlopen(address.replace("/?", "/news?")).read()
    time.sleep(1)
"""


@dataclass(frozen=True)
class Cost:
    """Times of a training, in seconds."""

    #: Processor time of the process that trains.
    processor: float
    #: Time by the clock.
    clock: float


@contextlib.contextmanager
def watched(out: Path) -> Iterator[None]:
    """Serve a page of the run to a client that has read it and keeps requesting changes."""
    with live(out) as page:
        client = subprocess.Popen([sys.executable, "-c", CLIENT, page.address], stdout=subprocess.PIPE)
        try:
            assert client.stdout is not None
            client.stdout.readline()
            yield
        finally:
            client.kill()
            client.wait()
            if client.stdout is not None:
                client.stdout.close()


def training(page: bool, epochs: int) -> Cost:
    """Train `tiny` on the embedded digits; return the cost from the first commit to the last."""
    marks: list[tuple[float, float]] = []

    def mark(_: object) -> None:
        marks.append((time.process_time(), time.monotonic()))

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        out = Path(folder) / "run"
        if page:
            stack.enter_context(watched(out))
        nudge.Network.preset("tiny").fit("embedded", epochs=epochs, seed=1, out=out, callbacks=[mark])
    return Cost(*(last - first for first, last in zip(marks[0], marks[-1], strict=True)))


def measure(pairs: int, epochs: int) -> tuple[float, float]:
    """Return medians over pairs of cost without a page / cost with it, in processor time and by the clock."""
    training(False, 1)  # exclude one-time compilation and reading
    ratios = []
    for number in range(pairs):
        first = bool(number % 2)  # alternate which one comes first
        costs = {page: training(page, epochs) for page in (first, not first)}
        ratios.append(
            (costs[False].processor / costs[True].processor, costs[False].clock / costs[True].clock)
        )
        words = [
            f"{name} {c.processor:.2f} s of processor, {c.clock:.2f} s"
            for name, c in (("without", costs[False]), ("with", costs[True]))
        ]
        print(
            f"pair {number + 1}: {'; '.join(words)}; ratios {ratios[-1][0]:.3f}, {ratios[-1][1]:.3f}",
            flush=True,
        )
    processor, clock = (statistics.median(each) for each in zip(*ratios, strict=True))
    return processor, clock


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    processor, clock = measure(options.pairs, options.epochs)
    print(
        f"rate with --live: {processor:.1%} of that without, by processor time; {clock:.1%} by the clock "
        "(medians)"
    )
    return 0 if processor >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
