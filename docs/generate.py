"""Pages that are made from the code: the command line, for the site alone, and docs/messages.md, which is committed.

    python docs/generate.py     # writes docs/messages.md anew
"""

from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import typer.main
from sphinx.pycode import ModuleAnalyzer
from typer.cli import get_docs_for_click

from golden.contract import identity, messages, stored, stored_messages
from golden.contract.messages import (
    ANSWERED_BYTES,
    PAYLOAD_BYTES,
    Command,
    Fields,
    Label,
    readable_words,
    writable_words,
)
from golden.contract.presets import PRESETS
from golden.contract.registers import STORED, registers
from golden.contract.stored_messages import LONGER, STORED_ANSWERED_BYTES, STORED_PAYLOAD_BYTES
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


def register_map(preset: str = "tiny") -> list[str]:
    """The registers of a board, from the contract that gateware and host read."""
    lines = [
        "## Registers",
        "",
        f"Of a board built for `{preset}`; a network with more bundles has more of the numbered ones. Without memory for",
        f"samples there are none from {STORED[0]:#04x} on. All have 32 bits. `wo`: writing does something, and it reads 0.",
        "",
        "| address | name | access | what | allowed | at reset |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in registers(PRESETS[preset], stores=True):
        allowed = f"{each.low}..{each.high}" if each.access.value != "ro" else ""
        lines.append(
            f"| {each.address:#04x} | `{each.name}` | {each.access.value} | {cell(each.what)} | {allowed} | {each.reset} |"
        )
    return lines


def sizes(command: Command) -> str:
    """Payload bytes of a request and of its answer, where they don't depend on more than the command."""
    images = command in (Command.INFER, Command.TRAIN)
    request = f"{Label.size()} + pixels" if images else str((PAYLOAD_BYTES | STORED_PAYLOAD_BYTES)[command])
    answer = (ANSWERED_BYTES | STORED_ANSWERED_BYTES).get(command, "")
    return f"{'at least ' if command in LONGER else ''}{request} | {answer}"


def command_table() -> list[str]:
    """Commands with their payloads."""
    said = comments(messages)
    rows = [f"| {each:#04x} | `{each.name}` | {sizes(each)} | {cell(said['Command', each.name])} |" for each in Command]
    return ["| code | name | request | answer | payloads |", "| --- | --- | --- | --- | --- |", *rows]


def status_table() -> list[str]:
    """Statuses."""
    said = comments(messages)
    rows = [f"| {each:#04x} | `{each.name}` | {cell(said.get(('Status', each.name), ''))} |" for each in messages.Status]
    return ["| code | name | what |", "| --- | --- | --- |", *rows]


def limits() -> list[str]:
    """Constants that the texts of the page name."""
    values: dict[str, object] = {name: getattr(messages, name) for name in ("VERSION", "MAX_WINDOW", "MAX_REGISTERS")}
    values |= {name: getattr(stored_messages, name) for name in ("MAX_DIGESTED", "MAX_ASKED", "MAX_CODED")}
    values |= {name: getattr(stored, name) for name in ("MAX_SAMPLES", "MAX_MOVE", "LOG_AT")}
    values |= {f"{of.__name__}": f"{of(1)} // lanes" for of in (readable_words, writable_words)}
    return ["| name | value |", "| --- | --- |", *(f"| `{name}` | {value} |" for name, value in values.items())]


def payload(kind: type, module: ModuleType) -> list[str]:
    """The fields of a payload as a table, in the order in which they are sent; where that isn't its coding, the coding too."""
    said, hints, fixed = comments(module), get_type_hints(kind, include_extras=True), issubclass(kind, Fields)
    rows = []
    for entry in fields(kind):
        homes = [cls.__name__ for cls in kind.__mro__]
        text = cell(next((said[home, entry.name] for home in homes if (home, entry.name) in said), ""))
        rows.append(f"| {kind.at(entry.name)} | {KINDS[hints[entry.name].__metadata__[0]]} " if fixed else "")
        rows[-1] += f"| `{entry.name}` | {text} |"
    doc = [cell(kind.__doc__ or "")]
    if not fixed:
        doc += ["", f"Bytes: {cell(kind.encode.__doc__).partition('`ValueError`')[0].rstrip('; ')}"]
    columns = ["| at | type | field | |", "| ---: | --- | --- | --- |"] if fixed else ["| field | |", "| --- | --- |"]
    return ["", f"### {kind.__name__}", "", *doc, "", *columns, *rows]


def message_page() -> str:
    """Commands, statuses, payloads and registers of the link, from the contract that gateware and host read."""
    lines = [
        "# Messages and registers",
        "",
        "Made from `golden/contract/` by `python docs/generate.py`. [link.md](link.md) says how frames travel, and when a",
        "request is refused with what. All integers are little endian.",
        "",
        "## Commands",
        "",
        "With the bytes of both payloads, where the command decides them. A request of another length is BAD_LENGTH.",
        "",
        *command_table(),
        "",
        "## Statuses",
        "",
        "The first byte of an answer after its header. " + cell((messages.Status.__doc__ or "").partition(". ")[2]),
        "",
        *status_table(),
        "",
        "## What is refused, and when",
        "",
        messages.ORDER_RULES.strip(),
        "",
        "## Limits",
        "",
        *limits(),
        "",
        "## Payloads",
    ]
    for module in (identity, messages, stored_messages, stored):
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__ and is_dataclass(kind)
            if own and fields(kind):
                lines += payload(kind, module)
    return "\n".join([*lines, "", *register_map()]) + "\n"


#: The page that is committed.
MESSAGES = Path(__file__).with_name("messages.md")


def write(folder: Path) -> None:
    """The page that isn't."""
    folder.mkdir(exist_ok=True)
    (folder / "cli.md").write_text(command_line())


if __name__ == "__main__":
    MESSAGES.write_text(message_page())
