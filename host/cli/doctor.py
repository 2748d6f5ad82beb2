"""`nudge doctor`: lists what this installation has and lacks, with commands that install the rest."""

from dataclasses import asdict

from nudge.plumbing.errors import ExitCode

from .options import JsonOption
from .run import importing
from .terminal import emit, rendered


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
