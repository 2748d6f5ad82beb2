"""A board's logic as plain Verilog, for a flow that isn't ours."""

import os

from amaranth.back import verilog

from boards.fpga import Fpga
from hw.lib.elaboration import fast_elaboration
from hw.top import Top


def synthesisable_verilog(fpga: Fpga, preset: str) -> str:
    """Verilog of `hw.top.Top` as this board has it for a preset; `DesignError` if the board has no design for that.

    Ports of the module `top`: `clk` and `rst`, the serial pins `rx` and `tx`, the lights `busy`, `phase` and `error`.
    The clock, the pins and their constraints are for the other flow to add. The registers that tell of a bitstream's
    making read 0.

    Elaborated for the board's platform, so that memories are what the part has: what is read at an address in the cycle in
    which it is written is undefined, and nothing uses it. `sim.board.verilator.to_verilog` makes it wrong on purpose.
    """
    # Amaranth's own, which is pinned: the same text on each machine
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    facts, config = fpga.facts(preset), fpga.design(preset).config
    top = Top(config, clock_hz=facts.clock_hz, divisor=facts.uart_divisor, window=facts.window)
    with fast_elaboration():
        return str(verilog.convert(top, name="top", platform=fpga.platform(), emit_src=False, strip_internal_attrs=True))
