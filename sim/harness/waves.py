"""Writes a GTKWave setup for a wave file, with the ports of the bench in groups."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from vcd.gtkw import GTKWSave

#: The scope in which Verilator repeats the ports of the top module; `vcd.reader` rejects such a name.
ROOT = "$rootio"

#: Lines of a VCD file's header: the start of a scope; a signal, with its range if it has one.
SCOPE = re.compile(r"\s*\$scope \w+ (\S+) \$end")
SIGNAL = re.compile(r"\s*\$var \w+ \d+ \S+ (\S+)(?: (\[\d+:\d+\]))? \$end")

#: Members of a stream or flow, in the order in which they are shown.
MEMBERS = ("valid", "ready", "payload")


def signals(waves: Path) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(scopes, name, range or "") of each signal of a VCD file."""
    scopes: list[str] = []
    with waves.open() as stream:
        for line in stream:
            if "$enddefinitions" in line:
                return
            if scope := SCOPE.match(line):
                scopes.append(scope[1])
            elif "$upscope" in line:
                scopes.pop()
            elif signal := SIGNAL.match(line):
                yield tuple(scopes), signal[1], signal[2] or ""


def ports(waves: Path) -> dict[str, str]:
    """The ports of the bench, which are those of the top module: name to full name in the file."""
    found = list(signals(waves))
    names = {name for scopes, name, _ in found if scopes == (ROOT,)}
    return {
        name: f"{scopes[0]}.{name}{bits}"
        for scopes, name, bits in found
        if len(scopes) == 1 and scopes != (ROOT,) and name in names
    }


def _place(name: str) -> tuple[str, int, str]:
    """Sort key of a port: interface, then a stream's members first. Clock and reset have no interface."""
    interface, _, member = name.rpartition("__")
    return interface, MEMBERS.index(member) if member in MEMBERS else len(MEMBERS), name


def write_setup(waves: Path) -> Path:
    """Writes a GTKWave save file beside a VCD file, with a group for each interface; returns its path."""
    setup = waves.with_suffix(".gtkw")
    shown = sorted(ports(waves).items(), key=lambda port: _place(port[0]))
    with setup.open("w") as stream:
        save = GTKWSave(stream)
        save.dumpfile(str(waves.resolve()))
        save.savefile(str(setup.resolve()))
        for interface, members in itertools.groupby(shown, key=lambda port: _place(port[0])[0]):
            if not interface:
                for _, full in members:
                    save.trace(full)
                continue
            with save.group(interface.replace("__", ".")):
                for name, full in members:
                    save.trace(full, alias=name.rpartition("__")[2])
    return setup
