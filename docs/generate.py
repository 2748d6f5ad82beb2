"""Pages generated from the code: command line and widths for the site, and the committed docs/messages.md;
the table of docs/measured/README.md.

    python docs/generate.py     # writes the committed ones anew
"""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import typer.main
from sphinx.pycode import ModuleAnalyzer
from typer.cli import get_docs_for_click

from nudge.golden.contract import identity, messages, stored, stored_messages
from nudge.golden.contract.formats import Formats
from nudge.golden.contract.messages import (
    ANSWERED_BYTES,
    PAYLOAD_BYTES,
    Command,
    Fields,
    Label,
    readable_words,
    writable_words,
)
from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.registers import STORED, registers
from nudge.golden.contract.shapes import Layer
from nudge.golden.contract.spec import Spec
from nudge.golden.contract.stored_messages import LONGER, STORED_ANSWERED_BYTES, STORED_PAYLOAD_BYTES
from nudge.host.cli.main import app
from nudge.host.training import record
from nudge.plumbing.errors import ExitCode

#: Types of fields, by their `struct` codes.
KINDS = {"B": "u8", "H": "u16", "I": "u32"}

#: Suffixes of the names of bounds and widths in the contract.
WIDTHS = ("_bound", "_bits", "_low", "_high")


def cell(text: str) -> str:
    """Return a text in the form of a table cell: on one line, with | escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def comments(module: ModuleType) -> dict[tuple[str, str], str]:
    """Return the `#:` comments of a module's classes, by class and name."""
    analyzer = ModuleAnalyzer.for_module(module.__name__)
    return {key: " ".join(lines).strip() for key, lines in analyzer.find_attr_docs().items()}


def does(command: Any) -> str:
    """Return the first sentence of a command's help."""
    return (command.help or "").strip().partition("\n\n")[0].partition(". ")[0].rstrip(".") + "."


def command_page(command: Any, name: str) -> str:
    """Return the page of a command, with its --help's arguments and options; of a group, of each command."""
    context = typer.Context(command)
    inner = [
        command.get_command(context, each)
        for each in getattr(command, "list_commands", lambda _: [])(context)
    ]
    if not inner:
        prefix, _, own = name.rpartition(" ")
        return get_docs_for_click(obj=command, ctx=context, name=own, call_prefix=prefix)
    pages = (command_page(each, f"{name} {each.name}").replace("# ", "## ", 1) for each in inner)
    return "\n".join([f"# `{name}`", "", does(command), "", *pages])


def command_pages(program: str = "nudge") -> dict[str, str]:
    """Return a page for each command, by its name, and "cli", which lists them and the exit codes."""
    top = typer.main.get_command(app)
    context = typer.Context(top)
    found = {name: top.get_command(context, name) for name in top.list_commands(context)}
    lines = [
        "# The command line",
        "",
        f"What `{program} COMMAND --help` says, a page for each command; `{program} --version` prints the "
        "version.",
        "",
        "| command | what it does |",
        "| --- | --- |",
        *(f"| [`{program} {name}`]({name}.md) | {cell(does(command))} |" for name, command in found.items()),
        "",
        "## Exit codes",
        "",
        "| code | name | meaning |",
        "| ---: | --- | --- |",
        *(f"| {code.value} | `{code.name}` | {cell(code.what)} |" for code in ExitCode),
        "",
        "```{toctree}",
        ":hidden:",
        *(f"{program} {name} <{name}>" for name in found),
        "```",
    ]
    pages = {name: command_page(command, f"{program} {name}") for name, command in found.items()}
    return {"cli": "\n".join(lines) + "\n"} | pages


def register_map(preset: str = "tiny") -> list[str]:
    """Return the lines of the registers of a board."""
    lines = [
        "## Registers",
        "",
        f"Of a board built for `{preset}`; a network with more bundles has more of the numbered ones. "
        "Without memory for",
        f"samples there are none from {STORED[0]:#04x} on. All have 32 bits. `wo`: writing does something, "
        "and it reads 0.",
        "",
        "| address | name | access | what | allowed | at reset |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in registers(PRESETS[preset], stores=True):
        allowed = f"{each.low}..{each.high}" if each.access.value != "ro" else ""
        lines.append(
            f"| {each.address:#04x} | `{each.name}` | {each.access.value} | {cell(each.what)} | {allowed} | "
            f"{each.reset} |"
        )
    return lines


def sizes(command: Command) -> str:
    """Return the payload bytes of a request and of its answer, where the command determines them."""
    images = command in (Command.INFER, Command.TRAIN)
    request = f"{Label.size()} + pixels" if images else str((PAYLOAD_BYTES | STORED_PAYLOAD_BYTES)[command])
    answer = (ANSWERED_BYTES | STORED_ANSWERED_BYTES).get(command, "")
    return f"{'at least ' if command in LONGER else ''}{request} | {answer}"


def command_table() -> list[str]:
    """Return the table of commands with their payloads."""
    said = comments(messages)
    rows = [
        f"| {each:#04x} | `{each.name}` | {sizes(each)} | {cell(said['Command', each.name])} |"
        for each in Command
    ]
    return ["| code | name | request | answer | payloads |", "| --- | --- | --- | --- | --- |", *rows]


def status_table() -> list[str]:
    """Return the table of statuses."""
    said = comments(messages)
    rows = [
        f"| {each:#04x} | `{each.name}` | {cell(said.get(('Status', each.name), ''))} |"
        for each in messages.Status
    ]
    return ["| code | name | what |", "| --- | --- | --- |", *rows]


def limits() -> list[str]:
    """Return the table of the constants to which the page's texts refer."""
    values: dict[str, object] = {
        name: getattr(messages, name) for name in ("VERSION", "MAX_WINDOW", "MAX_REGISTERS")
    }
    values |= {name: getattr(stored_messages, name) for name in ("MAX_DIGESTED", "MAX_ASKED", "MAX_CODED")}
    values |= {name: getattr(stored, name) for name in ("MAX_SAMPLES", "MAX_MOVE", "LOG_AT")}
    values |= {f"{of.__name__}": f"{of(1)} // lanes" for of in (readable_words, writable_words)}
    return [
        "| name | value |",
        "| --- | --- |",
        *(f"| `{name}` | {value} |" for name, value in values.items()),
    ]


def payload(kind: type, module: ModuleType) -> list[str]:
    """Return a payload's fields as a table, in the order of transmission, and its coding if it differs."""
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
    columns = (
        ["| at | type | field | |", "| ---: | --- | --- | --- |"]
        if fixed
        else ["| field | |", "| --- | --- |"]
    )
    return ["", f"### {kind.__name__}", "", *doc, "", *columns, *rows]


def message_page() -> str:
    """Return the page of the link's commands, statuses, payloads and registers, made from the contract."""
    lines = [
        "# Messages and registers",
        "",
        "`python docs/generate.py` makes this page from `golden/contract/`. [link.md](link.md) describes "
        "frames, sequence",
        "numbers and the order of refusals. All integers are little endian.",
        "",
        "## Commands",
        "",
        "With the bytes of both payloads, where the command decides them. A request of another length is "
        "BAD_LENGTH.",
        "",
        *command_table(),
        "",
        "## Statuses",
        "",
        "The first byte of an answer after its header. "
        + cell((messages.Status.__doc__ or "").partition(". ")[2]),
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


#: The committed page.
MESSAGES = Path(__file__).with_name("messages.md")


def contract_widths(preset: str) -> Iterator[str]:
    """Yield a row for each bound and width of a network or its formats, with its values in a preset."""
    spec = PRESETS[preset]
    for kind, owners in ((Formats, [spec.formats]), (Layer, spec.layers[1:]), (Spec, [spec])):
        for name, member in vars(kind).items():
            if not name.endswith(WIDTHS) or not (
                isinstance(member, property | cached_property) or inspect.isfunction(member)
            ):
                continue
            found = [getattr(owner, name) for owner in owners]
            if inspect.isfunction(member):
                found = [member(spec, bundle) for bundle in spec.bundles]
            values = ", ".join(map(str, dict.fromkeys(found)))
            yield f"| `{kind.__name__}.{name}` | {values} | {cell(inspect.getdoc(member) or '')} |"


def assigned(function: ast.AST) -> dict[str, str]:
    """Return the expression assigned to each name in a function."""
    found: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            target, value = node.targets[-1], node.value
            several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts, strict=True) if several else [(target, value)]
            found |= {ast.unparse(name): ast.unparse(of) for name, of in pairs}
    return found


def gateware_bounds(root: Path = Path(__file__).parents[1]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (module, target, range, reason) of each assignment with a function of `hw.lib.bounds`."""
    for path in sorted((root / "hw").rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        for function in (
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
        ):
            names = assigned(function)
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                kind = ast.unparse(call.func)
                if kind not in ("bounded", "wraps", "low_bits"):
                    continue
                target, *rest, why = (ast.unparse(each) for each in call.args)
                within = {"wraps": "modulo 2^width", "low_bits": f"{rest[0]} bits"}.get(kind)
                if within is None:
                    high = rest[-1].removeprefix("*")
                    low = (
                        "-"
                        if rest[1] == f"-{high}"
                        else f"{names.get(rest[1], rest[1])} .. "
                        if len(rest) > 2
                        else ""
                    )
                    within = ("±" if low == "-" else low) + names.get(high, high)
                yield module, target, within, ast.literal_eval(names.get(why, why))


def width_list(preset: str = "garments") -> str:
    """Return the page of the contract's widths, and of the gateware's widths that are below Amaranth's."""
    lines = [
        "# Widths",
        "",
        "Each quantity's width and the bound that it follows from. [arithmetic.md](../arithmetic.md) has the "
        "formats.",
        "",
        "## Widths in the contract",
        "",
        f"The values are those of `{preset}`, one for each layer or bundle where they differ.",
        "",
        "| home | value | proof |",
        "| --- | --- | --- |",
        *contract_widths(preset),
        "",
        "## Widths in the gateware",
        "",
        "Amaranth gives a sum or a product the width that its terms' widths need. Each assignment to a "
        "narrower target is in",
        "this table (`hw.lib.bounds`), or steps a counter, or is an address; `sim/test_widths.py` fails at "
        "any other.",
        "",
        "| module | what | within | because |",
        "| --- | --- | --- | --- |",
    ]
    for module, target, within, why in gateware_bounds():
        lines.append(f"| `{module}` | `{cell(target)}` | `{cell(within)}` | {cell(why)} |")
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write the uncommitted pages to a folder, and delete other pages there, as of removed commands."""
    folder.mkdir(exist_ok=True)
    pages = {"widths": width_list()} | command_pages()
    for name, page in pages.items():
        (folder / f"{name}.md").write_text(page)
    for old in folder.glob("*.md"):
        if old.stem not in pages:
            old.unlink()


#: The committed page of measurements, and the marks around its table of records.
MEASURED = Path(__file__).parent / "measured" / "README.md"
MARKS = ("<!-- records -->\n\n", "\n\n<!-- end of the records -->")


def measured_page() -> str:
    """Return the page of measurements with the table of the records beside it."""
    before, rest = MEASURED.read_text().split(MARKS[0])
    return MARKS[0].join(
        [before, record.overview(record.records(MEASURED.parent)) + MARKS[1] + rest.split(MARKS[1])[1]]
    )


if __name__ == "__main__":
    MEASURED.write_text(measured_page())
    MESSAGES.write_text(message_page())
