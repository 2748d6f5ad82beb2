"""`nudge presets` and `nudge boards`: list the named networks, and the kinds of boards."""

from nudge.plumbing.errors import ConfigError, ExitCode

from .options import JsonOption
from .run import importing
from .terminal import emit, rendered


def presets(as_json: JsonOption = False) -> int:
    """List the presets, whether the gateware supports each, and their packaged weights."""
    with importing():
        from rich.table import Table

        from nudge.golden.contract.config import buildable
        from nudge.golden.contract.datasets import NAMES
        from nudge.golden.contract.presets import PRESETS
        from nudge.golden.training.packaged import packaged

    def gateware(name: str) -> bool:
        try:
            buildable(PRESETS[name])
        except ConfigError:
            return False
        return True

    weights = packaged()
    found = [
        {
            "preset": name,
            "layers": [bundle.post.channels for bundle in spec.bundles],
            "weights": spec.parameters,
            "gateware": gateware(name),
            "packaged": [f"{name}-{data}" for data in NAMES if f"{name}-{data}" in weights],
        }
        for name, spec in PRESETS.items()
    ]
    table = Table("preset", "channels, neurons", box=None)
    table.add_column("weights", justify="right")
    table.add_column("gateware")
    table.add_column("trained on")
    for each in found:
        layers = ", ".join(map(str, each["layers"]))  # type: ignore[call-overload]
        runs = "yes" if each["gateware"] else "model alone"
        data = ", ".join(name.removeprefix(f"{each['preset']}-") for name in each["packaged"])  # type: ignore[attr-defined]
        table.add_row(str(each["preset"]), layers, f"{each['weights']:,}", runs, data)
    note = "trained on: the weights come with the package, as PRESET-DATA for `nudge eval`"
    emit(as_json, {"presets": found}, f"{rendered(table)}\n{note}")
    return ExitCode.OK


def boards(as_json: JsonOption = False) -> int:
    """List the kinds of boards that bitstreams are built for: the TARGETs of `nudge build`."""
    with importing():
        from rich.table import Table

        from .work.builds import known_targets
    found = known_targets()
    table = Table("TARGET", "board, FPGA", "preset", title="boards that bitstreams are built for")
    table.add_column("clock, MHz", justify="right")
    table.add_column("routed, MHz", justify="right")
    for each in found:
        for number, design in enumerate(each["designs"]):
            fmax = design["fmax_hz_median"]
            table.add_row(
                "" if number else each["target"],
                "" if number else each["what"],
                design["preset"],
                f"{design['clock_hz'] / 1e6:g}",
                "" if fmax is None else f"{fmax / 1e6:.1f}",
            )
    notes = "routed: median fmax of the committed report, post-route; empty: none is committed"
    emit(as_json, {"boards": found}, f"{rendered(table)}\n{notes}")
    return ExitCode.OK
