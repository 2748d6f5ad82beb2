"""`locks/` and pyproject.toml agree for each Python; `make setup` installs no version but the locked ones."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nudge.plumbing import DISTRIBUTION

ROOT = Path(__file__).parents[1]
#: Each locked requirement: file, requirement, and the lines after it (hashes, and packages that need it).
LOCKED = [
    (file.name, Requirement(found[1]), found[2])
    for file in sorted((ROOT / "locks").iterdir())
    for found in re.finditer(r"^(\w[^\\\n]*)(.*(?:\n .*)*)", file.read_text(), re.M)
]


def wanted() -> Iterator[Requirement]:
    """Yield the requirements of pyproject.toml, with their ranges of versions."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = content["project"]
    for group in (
        content["build-system"]["requires"],
        project["dependencies"],
        *project["optional-dependencies"].values(),
    ):
        yield from (each for each in map(Requirement, group) if each.name != project["name"])


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_each_range_holds_the_one_version_that_is_locked(python):
    surroundings = default_environment() | {"python_version": python, "python_full_version": f"{python}.9"}
    here = [each for _, each, _ in LOCKED if each.marker is None or each.marker.evaluate(surroundings)]
    versions = {each.name: str(each.specifier).removeprefix("==") for each in here}
    assert len(versions) == len(here) > 100
    for each in wanted():
        assert each.specifier.contains(versions[canonicalize_name(each.name)]), each


def test_what_is_locked_for_this_project_is_what_it_asks_for():
    direct = {
        each.name
        for file, each, rest in LOCKED
        if f"{DISTRIBUTION} (pyproject.toml)" in rest or each.name == "torch"
    }
    assert direct == {canonicalize_name(each.name) for each in wanted()}


def test_all_but_builds_of_torch_have_hashes():
    for file, each, rest in LOCKED:
        assert str(each.specifier).startswith("=="), each
        assert each.url is None
        assert ("--hash=sha256:" in rest) == (file != "torch.txt"), each
        assert each.name.startswith(("torch", "triton", "cuda-", "nvidia-")) == (file == "torch.txt"), each


def installed(*words: str, newer: Path) -> list[str]:
    """Return the packages that `pip install --upgrade` would change, with `newer` as the only index."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment["PIP_CONFIG_FILE"] = os.devnull
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-"]
    options = ["--upgrade", "--upgrade-strategy", "eager", "--no-index", "--find-links", str(newer)]
    done = subprocess.run(
        [*pip, *options, *words], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [
        f"{each['metadata']['name']} {each['metadata']['version']}"
        for each in json.loads(done.stdout)["install"]
    ]


def test_a_newer_version_changes_nothing(tmp_path):
    """A newer version in the index, here of cobs in a folder, doesn't change what `make setup` installs."""
    with zipfile.ZipFile(tmp_path / "cobs-1.99-py3-none-any.whl", "w") as wheel:
        wheel.writestr("cobs-1.99.dist-info/METADATA", "Metadata-Version: 2.1\nName: cobs\nVersion: 1.99\n")
        wheel.writestr(
            "cobs-1.99.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("cobs-1.99.dist-info/RECORD", "")
    ranges = [str(each) for each in wanted() if each.name == "cobs"]
    assert installed(*ranges, newer=tmp_path) == ["cobs 1.99"]
    recipe = subprocess.run(
        ["make", "--dry-run", "--always-make", ".venv/.complete"],
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    commands = [
        line.partition(" -m pip install ")[2]
        for line in recipe.stdout.splitlines()
        if " -m pip install " in line
    ]
    assert len(commands) == 4
    assert (
        commands[-1] == "--no-input --quiet --no-compile --no-index --no-build-isolation --editable '.[dev]'"
    )
    for command in commands[:-1]:
        assert installed(*shlex.split(command), newer=tmp_path) == []
