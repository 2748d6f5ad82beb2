"""`nudge presets`, `boards` and `doctor`: list named networks, kinds of boards, and what is installed."""

from dataclasses import asdict

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
        from nudge.golden.contract.presets import PRESETS, packaged

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


def boards(as_json: JsonOption = False) -> None:
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


def doctor(as_json: JsonOption = False) -> int:
    """Check packages, programs, loaders, serial ports, data and disk space.

    It tells how to get each thing that is missing. The exit code is 7 if simulation lacks something, else 0.
    """
    with importing():
        from rich.table import Table

        from .work.health import findings
    found = findings()
    table = Table("", "for", "", box=None, show_header=False)
    group = ""
    for each in found:
        if each.group != group:
            table.add_row(f"{each.group}:")
        group = each.group
        state = f"missing: {each.get}" if each.found is None else each.found
        table.add_row(f"  {each.name}", each.use, state)
    lacking = [each.name for each in found if each.breaks]
    verdict = f"simulation lacks {', '.join(lacking)}" if lacking else "simulation has all that it needs"
    values = {"found": [asdict(each) for each in found], "lacking": lacking}
    emit(as_json, values, f"{rendered(table)}\n{verdict}")
    return ExitCode.TOOLS if lacking else ExitCode.OK
