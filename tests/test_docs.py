"""Files, modules, links, commands and options that the manual names exist. The dated diary isn't checked."""

import ast
import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
import typer.main

import nudge
from nudge.boards.catalog import BOARDS
from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.protocol import Command, Register, Status, registers
from nudge.host.cli.main import app

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *NOTEBOOKS]
PAGES.append(ROOT / "docs/measured/README.md")
ROOMS = ("plumbing", "golden", "paper", "hw", "sim", "host", "boards", "nudge", "tests")

#: Matches `golden.contract.spec`, but not `Config.passes`, which begins with none of ROOMS.
DOTTED = re.compile(rf"`((?:{'|'.join(ROOMS)})(?:\.\w+)+)`")
#: Matches `boards/toolchain/` or `golden/contract/spec.py`, with or without backticks.
PATH = re.compile(rf"(?<![\w/.-])((?:{'|'.join(ROOMS)}|docs|results)/[\w./-]*\w/?)")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def words_of(page: Path) -> str:
    """Return a page's text; a notebook's is that of its cells, `!command` as a code block without the `!`."""
    if page.suffix != ".ipynb":
        return page.read_text()
    sources = ["".join(cell["source"]) for cell in json.loads(page.read_text())["cells"]]
    return "\n\n".join(f"```\n{source[1:]}\n```" if source.startswith("!") else source for source in sources)


def names(path: Path) -> set[str]:
    """Return the names that a module defines or imports, and `Class.name` of its methods and fields."""
    out: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            out.add(node.name)
        if isinstance(node, ast.ClassDef):
            out |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
            fields = (inner.target for inner in node.body if isinstance(inner, ast.AnnAssign))
            out |= {f"{node.name}.{field.id}" for field in fields if isinstance(field, ast.Name)}
        targets = (
            [node.target]
            if isinstance(node, ast.AnnAssign)
            else node.targets
            if isinstance(node, ast.Assign)
            else []
        )
        out |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        if isinstance(node, ast.ImportFrom):
            out |= {alias.asname or alias.name for alias in node.names}
    return out


def defined(dotted: str) -> bool:
    """Return whether a name without `nudge.` is a folder, a module, a name in one, or public in `nudge`."""
    words = dotted.split(".")
    for length in range(len(words), 0, -1):
        place, rest = ROOT.joinpath(*words[:length]), ".".join(words[length:])
        if place.is_dir() and not rest:
            return True
        for module in (place.with_suffix(".py"), place / "__init__.py"):
            if module.exists() and (not rest or rest in names(module)):
                return True
    return words[0] == "nudge" and public(words[1:])


def public(words: list[str]) -> bool:
    """Return whether `nudge` has an attribute `words[0]`, which has an attribute `words[1]`, and so on."""
    found: object = nudge
    for word in words:
        if word in getattr(found, "__annotations__", {}):
            return True
        if not hasattr(found, word):
            return False
        found = getattr(found, word)
    return True


def commands(text: str) -> list[list[str]]:
    """Return the words of each `nudge ...` in backticks and in code blocks, without comments."""
    found = re.findall(r"`(nudge [^`\n]+)`", text)
    for block in re.findall(r"```\n(.*?)```", text, re.S):
        found += [line for line in block.splitlines() if line.startswith("nudge ")]
    return [shlex.split(line, comments=True) for line in found]


def problem(words: list[str]) -> str | None:
    """Return the error for an unknown subcommand or option in a command's words, or None."""
    command = typer.main.get_command(app)
    rest = words[1:]
    while rest and hasattr(command, "commands"):
        if rest[0].startswith("-") or not rest[0].islower():
            break
        for name in rest[0].split("|"):
            if name not in command.commands:
                return f"no command {name!r}"
        command = command.commands[rest[0].split("|")[0]]
        rest = rest[1:]
    known = {
        option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]
    }
    unknown = [word for word in rest if word.startswith("--") and word not in {*known, "--help"}]
    return f"no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page):
    text = words_of(page)
    missing = [name for name in DOTTED.findall(text) if not defined(name)]
    prose = LINK.sub("", text)
    missing += [name for name in PATH.findall(prose) if not (ROOT / name).exists()]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_exist(page):
    problems = {" ".join(words): problem(words) for words in commands(words_of(page))}
    assert not {command: what for command, what in problems.items() if what}


def test_a_wrong_name_is_noticed():
    assert defined("plumbing.errors.NudgeError")
    assert defined("plumbing.errors.NudgeError.exit_code")
    assert not defined("plumbing.errors.NoSuchError")
    assert not defined("golden.nothing")
    assert defined("nudge.Network.fit")
    assert not defined("nudge.Network.unfit")
    assert problem(["nudge", "train", "--nonsense"]) == "no option --nonsense"
    assert problem(["nudge", "board", "dance"]) == "no command 'dance'"
    assert problem(["nudge", "board", "info", "--board", "URL"]) is None
    assert commands("`nudge eval F` and\n```\nnudge bench   # why\n```") == [
        ["nudge", "eval", "F"],
        ["nudge", "bench"],
    ]


def test_the_table_of_measurements_is_that_of_the_records():
    generate = runpy.run_path(str(ROOT / "docs/generate.py"))
    page = generate["MEASURED"].read_text()
    assert page == generate["measured_page"](), "run python docs/generate.py"
    # a record here is one from a board
    assert "| simulated |" not in page


def test_messages_and_registers_are_those_of_the_contract():
    generate = runpy.run_path(str(ROOT / "docs/generate.py"))
    page = generate["MESSAGES"].read_text()
    assert page == generate["message_page"](), "run python docs/generate.py"
    # the tables of the page have every code and address
    codes = {(name, int(code, 16)) for code, name in re.findall(r"^\| (0x\w+) \| `(\w+)` \|", page, re.M)}
    every = [*Command, *Status, *registers(PRESETS["tiny"], stores=True)]
    assert codes == {(one.name, one.address if isinstance(one, Register) else one.value) for one in every}
    # each constant that the page names in its texts has a row with its value
    named = set(re.findall(r"`([A-Z][A-Z_]+|\w+_words)`", page)) - {one.name for one in (*Command, *Status)}
    assert named == set(re.findall(r"^\| `([A-Z][A-Z_]+|\w+_words)` \| \d", page, re.M))
    bits = PRESETS["tiny"].mean_bits
    assert f"0 to 2^{bits} - 1 in the default formats" in " ".join(
        (ROOT / "docs/link.md").read_text().split()
    )


def test_the_drawings_are_those_of_the_boards_and_the_guide_shows_them():
    drawings = runpy.run_path(str(ROOT / "docs/drawings.py"))["drawings"]()
    committed = {path.name: path.read_bytes() for path in (ROOT / "docs/pictures").glob("*.svg")}
    assert committed == {name: text.encode() for name, text in drawings.items()}, (
        "run python docs/drawings.py"
    )
    page = (ROOT / "docs/first-board.md").read_text()
    shown = {
        name: " ".join(alt.split())
        for alt, name in re.findall(r"!\[([^]]+)\]\(pictures/([\w-]+\.svg)\)", page)
    }
    assert shown.keys() == drawings.keys()
    for name, fpga in BOARDS.items():
        wires = ", ".join(f"{signal} to {label}" for signal, label in fpga.adapter)
        assert not wires or shown[f"wires-{name}.svg"].endswith(f": {wires}"), name


def test_every_page_is_on_the_site():
    listed = set(re.findall(r"^([\w/-]+)$", (ROOT / "docs/index.md").read_text(), re.M))
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - {"README", "index"} <= listed
    assert {f"notebooks/{page.stem}" for page in NOTEBOOKS} <= listed
