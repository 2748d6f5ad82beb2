"""Damaged files of builds and of the compiled engine are made again or refused, or the result is right."""

import functools
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nudge.plumbing.errors import ExitCode

from .attack import Attack, same_output
from .cell import Ended
from .damaged_files import EVAL, damages, text_of, whole_run
from .scenarios import (
    BUILD,
    ENVIRONMENT,
    REPORT,
    baselines_here,
    build_left,
    build_mend,
    no_elaboration,
    tools,
)

FLASH = ["flash", "icebreaker", "--preset", "tiny", "--tools", "native", "--board", "/none", "--json"]
SHOWN = [*(word for word in REPORT if word != "--save"), "--json"]

#: A loader that copies the file that it is given to `flashed`.
LOADER = '#!/bin/sh\nfor file; do :; done\ncat "$file" > flashed\n'


def whole_build(folder: Path) -> None:
    """Make a build, and a loader."""
    tools(folder)
    assert build_mend(folder) == []
    (folder / "bin" / "iceprog").write_text(LOADER)
    (folder / "bin" / "iceprog").chmod(0o755)
    (folder / "baselines").mkdir()


def plugged_in() -> None:
    """Replace the checks of a connected board by ones that pass."""
    from nudge.host.devices import flash

    no_elaboration()
    flash.plugged_in = lambda *arguments: True
    flash.verify = lambda *arguments: None


def files_of(folder: Path) -> list[str]:
    """Return the paths of all files of the build, relative to the folder."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.glob("build/icebreaker-tiny-*/**/*")
        if path.is_file()
    )


def right_bitstream(folder: Path, ended: Ended) -> list[str]:
    """Return an error if the command succeeded without the right bitstream, or loaded another one."""
    loaded = folder / "flashed"
    wrong = loaded.exists() and loaded.read_bytes() != b"bits\n"
    return build_left(folder, ended) + ["another bitstream was loaded"] * wrong


def damaged_builds(seed: int) -> Iterator[Attack]:
    """Yield attacks: each file of a build damaged in each way, before `build`, `flash` or `report`."""
    example = Path(os.environ["NUDGE_BUILD"]) / "example"
    if not example.exists():
        example.mkdir()
        whole_build(example)
    prepare = functools.partial(shutil.copytree, example, symlinks=True, dirs_exist_ok=True)
    report = next(name for name in files_of(example) if name.endswith("build.json"))
    shown = functools.partial(same_output, text_of(SHOWN, prepare, baselines_here, ENVIRONMENT))
    kinds: list[tuple[list[str], list[str], Callable[[], None], Callable[..., list[str]]]] = [
        (BUILD, files_of(example), no_elaboration, right_bitstream),
        (FLASH, [name for name in files_of(example) if ".bin" in name], plugged_in, right_bitstream),
        (SHOWN, [report], baselines_here, shown),
    ]
    for arguments, names, before, check in kinds:
        for name in names:
            for what, damage in damages(random.Random(f"{seed} {arguments} {Path(name).name}")):
                title = f"{arguments[0]}: {'/'.join(Path(name).parts[2:])}: {what}"
                spoil = functools.partial(_damaged, prepare, name, damage)
                yield Attack("builds", title, arguments, spoil, check, ENVIRONMENT, before)


def _damaged(prepare: Callable[[Path], Any], name: str, damage: Callable[[Path], None], folder: Path) -> None:
    prepare(folder)
    damage(folder / name)


# -- the compiled engine

#: A compiler that copies the library compiled before.
COPIES = '#!/bin/sh\ntest "$1" = --version || cp {library} "$(echo "$*" | sed "s/.*-o \\([^ ]*\\).*/\\1/")"\n'


def engine_here() -> None:
    """Empty the caches, so that the engine is found in the folder, as by a new process."""
    from nudge.golden.model import native, native_check
    from nudge.plumbing import cache

    native.library.cache_clear()
    native_check.usable.cache_clear()
    cache._whole.clear()


def damaged_engines(seed: int) -> Iterator[Attack]:
    """Yield attacks: the compiled engine and its manifest damaged in each way; results must stay the same."""
    from nudge.golden.model import native

    library = Path(native.library()._name)
    example = Path(os.environ["NUDGE_BUILD"]) / "engine"
    given = {"NUDGE_BUILD": "build", "CXX": "bin/c++"}

    def prepare(folder: Path) -> None:
        shutil.copytree(example, folder, dirs_exist_ok=True)
        whole_run(folder)

    if not example.exists():
        (example / "bin").mkdir(parents=True)
        (example / "bin" / "c++").write_text(COPIES.format(library=library))
        (example / "bin" / "c++").chmod(0o755)
        made = _compiled_in(example, given)
        shutil.copytree(made / "build", example / "build")
        shutil.rmtree(made)
    expected = text_of(EVAL, prepare, engine_here, given)
    for name in sorted(str(path.relative_to(example)) for path in example.glob("build/native-*/*")):
        for what, damage in damages(random.Random(f"{seed} {Path(name).name}")):
            spoil, check = (
                functools.partial(_damaged, prepare, name, damage),
                functools.partial(same_output, expected),
            )
            yield Attack(
                "engines", f"eval: {Path(name).name}: {what}", EVAL, spoil, check, given, engine_here
            )


def _compiled_in(example: Path, given: dict[str, str]) -> Path:
    """Return a folder in which a command has compiled the engine."""
    from .cell import cell

    folder = example.with_name("engine-made")
    shutil.copytree(example, folder)
    whole_run(folder)
    ended = cell(EVAL, folder, None, given, engine_here)
    assert ended.code == ExitCode.OK, ended.err
    return folder
