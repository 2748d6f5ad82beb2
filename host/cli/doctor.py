"""`nudge doctor`: what this installation has, what it lacks, and how to get that."""

from dataclasses import asdict

from golden.contract.errors import ExitCode

from .options import JsonOption
from .run import importing
from .terminal import emit, rendered


def doctor(as_json: JsonOption = False) -> int:
    """Look for all that commands need: packages, programs, loaders, serial ports, data and space on the disk.

    What is missing comes with the way to get it. Ends with 0 unless simulation lacks something, then with 7.
    """
    with importing():
        from rich.table import Table

        from .work.health import findings
    found = findings()
    table = Table("", "", "", "for", "to get it")
    group = ""
    for each in found:
        if each.group != group:
            table.add_section()
        name = each.group if each.group != group else ""
        group = each.group
        missing = each.found is None
        table.add_row(name, each.name, "missing" if missing else each.found, each.use, each.get if missing else "")
    lacking = [each.name for each in found if each.breaks]
    verdict = f"simulation lacks {', '.join(lacking)}" if lacking else "simulation has all that it needs"
    values = {"found": [asdict(each) for each in found], "lacking": lacking}
    emit(as_json, values, f"{rendered(table)}\n{verdict}")
    return ExitCode.TOOLS if lacking else ExitCode.OK
