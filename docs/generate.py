"""The pages of the site that are made from the code: command line, registers, messages."""

import enum
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import typer.main
from sphinx.pycode import ModuleAnalyzer
from typer.cli import get_docs_for_click

from golden.contract import messages, stored_messages
from golden.contract.presets import PRESETS
from golden.contract.registers import registers
from host.cli.main import app

#: Names of the codes that `struct` has for a field.
KINDS = {"B": "u8", "H": "u16", "I": "u32"}


def cell(text: str) -> str:
    """Text for a table."""
    return " ".join(text.split()).replace("|", "\\|")


def comments(module: ModuleType) -> dict[tuple[str, str], str]:
    """The `#:` comments of a module's classes, by class and name."""
    analyzer = ModuleAnalyzer.for_module(module.__name__)
    return {key: " ".join(lines).strip() for key, lines in analyzer.find_attr_docs().items()}


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
        lines.append(
            f"| {each.address:#04x} | `{each.name}` | {each.access.value} | {cell(each.what)} | {allowed} | {each.reset} |"
        )
    return "\n".join(lines) + "\n"


def codes(kind: type[enum.IntEnum], header: str) -> list[str]:
    """The members of an enumeration as a table."""
    said = comments(messages)
    rows = [f"| {each:#04x} | `{each.name}` | {cell(said.get((kind.__name__, each.name), ''))} |" for each in kind]
    return [f"| code | name | {header} |", "| --- | --- | --- |", *rows]


def payload(kind: type, module: ModuleType) -> list[str]:
    """The fields of a payload as a table, in the order in which they are sent."""
    said, hints = comments(module), get_type_hints(kind, include_extras=True)
    rows = []
    for entry in fields(kind):
        homes = [cls.__name__ for cls in kind.__mro__]
        text = next((said[home, entry.name] for home in homes if (home, entry.name) in said), "")
        marks = getattr(hints[entry.name], "__metadata__", None)
        rows.append(f"| `{entry.name}` | {KINDS[marks[0]] if marks else 'bytes'} | {cell(text)} |")
    return [
        "", f"### {kind.__name__}", "", cell(kind.__doc__ or ""), "", "| field | type | |", "| --- | --- | --- |", *rows
    ]  # fmt: skip


def message_list() -> str:
    """Commands, statuses and payloads of the link, from the contract that gateware and host read."""
    lines = [
        "# Messages",
        "",
        "[link.md](../link.md) says how they travel. All integers are little endian; a request's payload -> its answer's.",
        "",
        "## Commands",
        "",
        *codes(messages.Command, "payloads"),
        "",
        "## Statuses",
        "",
        "The first byte of an answer after its header. " + cell((messages.Status.__doc__ or "").partition(". ")[2]),
        "",
        *codes(messages.Status, "what"),
        "",
        "## Payloads",
    ]
    for module in (messages, stored_messages):
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__ and is_dataclass(kind)
            if own and fields(kind):
                lines += payload(kind, module)
    lines += ["", "## What is refused, and when", "", messages.ORDER_RULES.strip()]
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """All of them."""
    folder.mkdir(exist_ok=True)
    for name, text in (("cli", command_line()), ("registers", register_map()), ("messages", message_list())):
        (folder / f"{name}.md").write_text(text)
