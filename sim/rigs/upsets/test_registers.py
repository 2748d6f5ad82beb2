"""Every flip-flop can be flipped under its own name, and an upset with an effect is noticed."""

import pytest

from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.contract.config import ENGINES, configuration
from nudge.golden.contract.presets import preset
from nudge.golden.training.data import load

from .cases import BUSY, DIGEST, FLIP_FLOPS, NOTHING, Cases, Outcome, Upset, draw_flip_flops, kind_of
from .registers import MARK, faulty_board, marked

CONFIG = configuration(preset("tiny"), ENGINES[0])

VERILOG = r"""module \top.top.unit (i, o, clk);
  reg [7:0] words [3:0];
  reg [3:0] \o$1  = 4'h0;
  reg plain = 1'h0;
  reg between;
  reg undefined_0;
  reg [1:0] _0_;
  always @* begin
    between = i;
  end
  always @(posedge clk)
    \o$1  <= between;
  always @(posedge clk)
    plain <= i;
  always @(posedge clk)
    undefined_0 <= i;
  always @(posedge clk) begin
    if (i)
      words[0] <= 8'h00;
    _0_ <= words[1];
  end
endmodule
"""


def test_flip_flops_alone_are_marked():
    text = marked(VERILOG)
    assert text.replace(f" {MARK}", "") == VERILOG
    found = [line for line in text.splitlines() if MARK in line]
    assert found == [
        rf"  reg [3:0] \o$1 {MARK}  = 4'h0;",
        f"  reg plain {MARK} = 1'h0;",
        f"  reg [1:0] _0_ {MARK};",
    ]


@pytest.fixture(scope="module")
def cases():
    with VirtualBoard(CONFIG, program=faulty_board(CONFIG, brief=True)) as virtual:
        yield Cases(virtual, load("embedded"))


def test_upsets_of_flip_flops(cases):
    registers = cases.virtual.registers
    assert cases.run(None) == Outcome(NOTHING)
    # all marked registers can be flipped
    assert len(registers) == (cases.virtual.program.parent / "top.v").read_text().count(MARK)
    assert {kind_of(name, FLIP_FLOPS) for name in registers} == set(FLIP_FLOPS)

    def flip(name, bit):
        return cases.run(Upset("", name, 0, bit, BUSY // 2))

    # a flipped learning rate stays wrong until it is written again
    outcome = flip("registers.weight_rate_2", registers["registers.weight_rate_2"] - 1)
    assert (outcome.ending, outcome.batch, outcome.cured) == (DIGEST, 2, True)
    # this register is overwritten before it is read
    assert flip("receiver.o__payload", 0).ending == NOTHING
    with pytest.raises(ValueError, match="words of"):
        flip("core.rates", registers["core.rates"])


def test_a_draw_has_any_flip_flop_once_for_each_bit():
    drawn = draw_flip_flops({"core.a": 1, "core.b": 999}, 400, 1)
    assert {upset.memory for upset in drawn} >= {"core.b"}
    assert sum(upset.memory == "core.a" for upset in drawn) < 5
    assert all(0 <= upset.bit < 999 and upset.word == 0 and 0 < (upset.after or 0) < BUSY for upset in drawn)
