"""The work of `nudge board throughput`."""

from dataclasses import asdict

import numpy as np
from rich.table import Table

from nudge.golden.contract.presets import preset
from nudge.golden.training import data as datasets
from nudge.golden.training.plan import first_samples
from nudge.host.cli.terminal import emit, rendered
from nudge.host.training.end_to_end import Rates, repeated, run_rates
from nudge.host.training.throughput import ADAPTER_DELAY, BAUD, line_share, occupied
from nudge.plumbing.errors import UsageError

from .builds import Target, paced_core


def streamed_throughput(baud: float | None, delay: float | None, samples: int | None, as_json: bool) -> None:
    """Model the protocol's overhead on a line, and print it."""
    baud, delay = BAUD if baud is None else baud, ADAPTER_DELAY if delay is None else delay
    samples = 512 if samples is None else samples
    spec, digits = preset("tiny"), datasets.load("embedded")
    images = digits.train_images[: first_samples(samples, len(digits.train_images), "embedded")].numpy()
    noise = np.random.default_rng(1).integers(1, 256, images.shape, np.uint8)
    shares = {
        name: line_share(spec, pixels, baud=baud) for name, pixels in (("digits", images), ("noise", noise))
    }
    windows = (1, 8, 16, 32)
    busy = {
        milliseconds: {
            w: occupied(spec, images, milliseconds / 1e3, window=w, baud=baud, delay=delay) for w in windows
        }
        for milliseconds in (0.5, 1, 2, 3, 6)
    }
    line = f"{baud:g} baud, {delay * 1e3:g} ms of delay"
    title = f"% of the time that a board is busy: {line}, digits (modelled)"
    table = Table("ms a sample", title=title)
    for window in windows:
        table.add_column(f"{window} in flight", justify="right")
    for milliseconds, row in busy.items():
        table.add_row(f"{milliseconds:g}", *(f"{100 * share:.1f}" for share in row.values()))
    lines = [
        f"line time on {name}: {share:.1%} of that of bare labels and pixels (modelled)"
        for name, share in shares.items()
    ]
    emit(as_json, {"line": shares, "busy": busy}, "\n".join([rendered(table), *lines]))


#: Round trips in seconds that `--stored` models: an adapter with and without its low-latency mode.
LATENCIES = (0.001, ADAPTER_DELAY)


def stored_throughput(target: Target, samples: int, epochs: int, as_json: bool) -> None:
    """Model a run of `samples` repeated embedded digits from the board's memory, and print its rate."""
    if samples < 1:
        raise UsageError(f"--samples must be 1 or more, not {samples}")
    core = paced_core(target)
    spec, digits = core.config.spec, datasets.load("embedded")
    data = repeated(digits, samples)
    found = [run_rates(core, spec, data, epochs, delay) for delay in LATENCIES]
    streamed = run_rates(core, spec, repeated(digits, min(samples, 2000)), 1, ADAPTER_DELAY, stored=False)
    worst = found[-1]
    result = {
        "preset": spec.name,
        "target": target.name,
        "samples": samples,
        "epochs": epochs,
        "core_samples_per_second": core.samples_per_second,
        "end_to_end_samples_per_second": worst.end_to_end,
        "upload_seconds": worst.upload,
        "latencies": [asdict(rates) | {"share": rates.share} for rates in found],
        "streamed_samples_per_second": streamed.end_to_end,
    }
    emit(as_json, result, rates_table(f"{target.name}, {spec.name}", epochs, samples, found, streamed))


def rates_table(name: str, epochs: int, samples: int, found: list[Rates], streamed: Rates) -> str:
    """Return the rates as a table."""
    title = f"{name}: {epochs} epochs of {samples} digits from the board's memory (modelled)"
    table = Table("round trip", title=title)
    for column in (
        "core, samples/s",
        "run, samples/s",
        "% of the core's",
        "upload, s",
        "with all else, samples/s",
    ):
        table.add_column(column, justify="right")
    for rates in found:
        values = (rates.core, rates.end_to_end, 100 * rates.share, rates.upload or 0.0, rates.whole)
        texts = (f"{value:.{digits}f}" for value, digits in zip(values, (0, 0, 1, 1, 0), strict=True))
        table.add_row(f"{rates.delay * 1e3:g} ms", *texts)
    line = (
        f"streamed, {streamed.delay * 1e3:g} ms: {streamed.end_to_end:.0f} samples/s, "
        f"{streamed.share:.1%} of the core's"
    )
    return "\n".join([rendered(table), line])
