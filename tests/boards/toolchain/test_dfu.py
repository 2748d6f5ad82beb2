"""Bitstreams get the DFU suffix that the platform asks for, and dfu-util accepts it."""

import shutil
import subprocess
import zlib

import pytest

from nudge.boards.catalog import BOARDS
from nudge.boards.toolchain import dfu
from nudge.boards.toolchain.netlist import commands, plan
from nudge.golden.contract.protocol import BuildFacts
from nudge.plumbing.errors import ToolError


def test_what_comes_after_packing():
    """The build knows the command that the OrangeCrab's platform runs after packing."""
    fpga = BOARDS["orangecrab"]
    words = commands(plan(fpga, "tiny", BuildFacts(0, 1, 0, 0)))
    assert [command[0] for command in words] == [
        "yosys",
        fpga.family.nextpnr,
        fpga.family.packer,
        "dfu-suffix",
    ]
    assert len(dfu.finished(b"bits", words[3])) == 4 + 16


def test_the_suffix_byte_by_byte():
    made = dfu.suffixed(b"bits", 0x1209, 0x5AF0)
    assert made[:16].hex() == "62697473" + "ffff" + "f05a" + "0912" + "0001" + "554644" + "10"
    # the suffix stores CRC-32 without its final inversion
    assert zlib.crc32(made[:16]) ^ int.from_bytes(made[16:], "little") == 0xFFFFFFFF


@pytest.mark.skipif(
    shutil.which("dfu-suffix") is None, reason="dfu-suffix (package dfu-util) is not installed"
)
def test_dfu_suffix_accepts_it(tmp_path):
    file = tmp_path / "top.bit"
    file.write_bytes(dfu.suffixed(b"bits", 0x1209, 0x5AF0))
    said = subprocess.run(
        ["dfu-suffix", "-v", "1209", "-p", "5af0", "-c", file], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    assert "0x5AF0" in said.stdout


def test_an_unknown_command_is_named():
    with pytest.raises(
        ToolError, match=r"asks for 'sign --fast top[.]bit' after packing; only dfu-suffix is known"
    ):
        dfu.finished(b"", ["sign", "--fast", "top.bit"])
