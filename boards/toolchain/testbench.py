"""A Verilog test bench for the module that `verilog` exports: it plays a script of bytes, and prints PASSED
or FAILED.

It runs in Icarus Verilog and Verilator (--binary --timing). The script is a memory file with one step per
line: the kind in bits 9..8, a byte in bits 7..0.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kinds:
    """Codes of the kinds of steps, bits 9..8."""

    #: Send the byte.
    send: int
    #: The next byte that comes back must be this one.
    expect: int
    #: Accept all bytes up to the end of an answer, which is a zero byte.
    skip: int
    #: End of the script: the test has passed.
    end: int


#: Clock cycles without a byte after which the test fails; a sample and a commit take fewer.
PATIENCE = 20_000_000

#: Verilog that exchanges bytes with the module's streams.
BYTES = """\
    top dut(.clk(clk), .rst(rst), .framing(1'b0), .busy(), .phase(), .error(),
        .i__payload(step[7:0]), .i__valid(sending), .i__ready(taken),
        .o__payload(answer), .o__valid(answered), .o__ready(listening));
"""

#: Verilog that exchanges bytes over the module's serial line, {divisor} cycles per bit.
UART = """\
    wire rx, tx;
    top dut(.clk(clk), .rst(rst), .rx(rx), .tx(tx), .busy(), .phase(), .error());

    // to the board: a start bit, eight bits, a stop bit
    reg [9:0] frame = 10'h3ff;
    integer sent = 0, wait_sent = 0;
    assign rx = frame[0];
    assign taken = sent == 0;
    always @(posedge clk)
        if (sent != 0) begin
            if (wait_sent == {divisor} - 1) begin
                frame <= {{1'b1, frame[9:1]}};
                wait_sent <= 0;
                sent <= sent - 1;
            end else wait_sent <= wait_sent + 1;
        end else if (sending) begin
            frame <= {{1'b1, step[7:0], 1'b0}};
            wait_sent <= 0;
            sent <= 10;
        end

    // and back: each bit in its middle
    integer left = 0, wait_left = 0;
    reg [7:0] shift = 0;
    reg complete = 0;
    assign answer = shift;
    assign answered = complete;
    always @(posedge clk) begin
        complete <= 0;
        if (left == 0) begin
            if (!tx) begin
                left <= 9;
                wait_left <= {divisor} + {divisor} / 2 - 1;
            end
        end else if (wait_left == 0) begin
            wait_left <= {divisor} - 1;
            left <= left - 1;
            if (left > 1) shift <= {{tx, shift[7:1]}};
            else complete <= 1;
        end else wait_left <= wait_left - 1;
    end
"""

BENCH = """\
// Plays {script}: requests to the module `top`, and what it must answer. Prints PASSED or FAILED.
`timescale 1ns / 1ps
/* verilator lint_off DECLFILENAME */
/* verilator lint_off PINCONNECTEMPTY */
/* verilator lint_off PROCASSINIT */
module top_tb;
    reg clk = 0, rst = 1;
    always #5 clk = !clk;

    // bits 9..8: {kinds.send} send, {kinds.expect} expect, {kinds.skip} skip an answer, {kinds.end} the end
    reg [9:0] script [0:{last}];
    initial $readmemh("{script}", script);
    integer at = 0, idle = 0, compared = 0, resting = 0;
    wire [9:0] step = script[at];
    wire sending = !rst && step[9:8] == 2'd{kinds.send};
    wire listening = step[9:8] == 2'd{kinds.expect} || step[9:8] == 2'd{kinds.skip};
    wire taken, answered;
    wire [7:0] answer;
{link}
    always @(posedge clk) begin
        resting <= resting + 1;
        if (resting == 8) rst <= 0;
        idle <= idle + 1;
        if (sending && taken) begin
            at <= at + 1;
            idle <= 0;
        end
        if (listening && answered) begin
            idle <= 0;
            if (step[9:8] == 2'd{kinds.expect}) begin
                compared <= compared + 1;
                at <= at + 1;
                if (answer !== step[7:0]) begin
                    $display("FAILED: line %0d of {script}: %02x, not %02x", at + 1, answer, step[7:0]);
                    $finish;
                end
            end else if (answer == 0) at <= at + 1;
        end
        if (step[9:8] == 2'd{kinds.end}) begin
            $display("PASSED: %0d bytes of answers are the model's", compared);
            $finish;
        end
        if (idle > {patience}) begin
            $display("FAILED: nothing for {patience} cycles at line %0d of {script}", at + 1);
            $finish;
        end
    end
endmodule
"""


def testbench(script: str, steps: int, kinds: Kinds, link: str, divisor: int) -> str:
    """Return the bench. script: name of its file of `steps` steps. link: one of `verilog.LINKS`. divisor:
    cycles per bit."""
    part = BYTES if link == "bytes" else UART.format(divisor=divisor)
    return BENCH.format(script=script, last=steps - 1, kinds=kinds, link=part, patience=PATIENCE)
