"""The documentation site: `make docs` builds it with Sphinx into build/docs, warnings being errors."""

from pathlib import Path

import typer.main
from typer.cli import get_docs_for_click

from golden.contract.presets import PRESETS
from golden.contract.registers import registers
from host.cli.main import app

project = "nudge"
author = copyright = "the nudge contributors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["README.md", "curves/*", "pictures/*"]
html_theme = "furo"
html_title = "nudge"
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# Text in single backticks is code, as everywhere in this project.
default_role = "code"
# Links that lead out of docs/, such as to results/, are checked by tests/test_docs.py.
suppress_warnings = ["myst.xref_missing"]


def command_line() -> str:
    """Every command with its options, as `nudge --help` has them."""
    command = typer.main.get_command(app)
    return get_docs_for_click(obj=command, ctx=typer.Context(command), name="nudge", title="The command line")


def register_map(preset: str = "tiny") -> str:
    """The registers of a board, from the contract that gateware and host read."""
    lines = [
        "# Registers",
        "",
        f"Of a board built for `{preset}`; a network with more bundles has more of the numbered ones.",
        "[link.md](../link.md) says how they are read and written.",
        "",
        "| address | name | access | what | allowed | at reset |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in registers(PRESETS[preset]):
        allowed = f"{each.low}..{each.high}" if each.access.value != "ro" else ""
        what = each.what.replace("|", "\\|")
        lines.append(f"| {each.address:#04x} | `{each.name}` | {each.access.value} | {what} | {allowed} | {each.reset} |")
    return "\n".join(lines) + "\n"


generated = Path(__file__).parent / "generated"
generated.mkdir(exist_ok=True)
(generated / "cli.md").write_text(command_line())
(generated / "registers.md").write_text(register_map())
