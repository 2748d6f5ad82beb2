// Models of the cells of a GW2A that Yosys has no model of, in the modes that Yosys' synthesis of this gateware uses.
//
// A parameter with an unsupported value instantiates a missing module, whose name tells the cause, so that
// the build of the simulation fails. An input that must be low ends the simulation when it is high. Sources:
// Gowin's UG285 (memories) and UG287 (multipliers), quoted from memory, and the bit order in Yosys' gowin/brams_map.v.

`define ONLY(PARAMETER, VALUE) if (PARAMETER != VALUE) PARAMETER``_isnt_modelled stop();
`define LOW(INPUTS) always @* if (INPUTS) $fatal(1, `"%m: INPUTS isn't modelled while it is high`");

`define SIXTEEN(NAME, SET) \
    NAME``0 SET, NAME``1 SET, NAME``2 SET, NAME``3 SET, NAME``4 SET, NAME``5 SET, NAME``6 SET, NAME``7 SET, \
    NAME``8 SET, NAME``9 SET, NAME``A SET, NAME``B SET, NAME``C SET, NAME``D SET, NAME``E SET, NAME``F SET
`define CONTENTS(SET) \
    `SIXTEEN(INIT_RAM_0, SET), `SIXTEEN(INIT_RAM_1, SET), `SIXTEEN(INIT_RAM_2, SET), `SIXTEEN(INIT_RAM_3, SET)

// Combinational product of two 18-bit numbers; the cell's registers aren't used.
module MULT18X18(
    input [17:0] A, SIA, B, SIB,
    input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output [35:0] DOUT,
    output [17:0] SOA, SOB
);
    parameter AREG = 0, BREG = 0, OUT_REG = 0, PIPE_REG = 0, ASIGN_REG = 0, BSIGN_REG = 0, SOA_REG = 0;
    parameter MULT_RESET_MODE = "SYNC";
    `ONLY(AREG, 0)
    `ONLY(BREG, 0)
    `ONLY(OUT_REG, 0)
    `ONLY(PIPE_REG, 0)
    `LOW(ASEL | BSEL)

    // a 19th bit: the sign of a signed factor, 0 for an unsigned one
    wire signed [18:0] a = {ASIGN & A[17], A}, b = {BSIGN & B[17], B};
    wire signed [37:0] product = a * b;
    assign DOUT = product[35:0];
endmodule

// Memory of 16,384 bits, or 18,432 if a word has 9 bits or more: one port writes, one reads with a latency of a cycle.
//
// A read of a word that is being written is undefined on the part; the model returns the old word inverted.
module gowin_memory #(parameter W = 9) (
    input written_clk, write,
    input [13:0] written_at,
    input [35:0] data,
    input read_clk, read,
    input [13:0] read_at,
    output [35:0] out
);
    if (W != 1 && W != 2 && W != 4 && W != 9 && W != 18 && W != 36) BIT_WIDTH_0_isnt_modelled stop();
    // in words of two or four bytes the lowest address bits are the bytes' write enables
    localparam BYTES = W > 9 ? W / 9 : 1, BYTE = W / BYTES;
    localparam LOWEST = W == 36 ? 5 : W == 18 ? 4 : W == 9 ? 3 : W == 4 ? 2 : W == 2 ? 1 : 0;
    reg [W-1:0] words [0:(1 << 14 - LOWEST)-1];
    integer n, part;
    initial for (n = 0; n < 1 << 14 - LOWEST; n = n + 1) words[n] = 0;

    wire [3:0] enabled = BYTES == 1 ? 4'd1 : written_at[3:0];
    always @(posedge written_clk) if (write)
        for (part = 0; part < BYTES; part = part + 1)
            if (enabled[part]) words[written_at[13:LOWEST]][BYTE*part +: BYTE] <= data[BYTE*part +: BYTE];

    wire same = write & |(enabled & (1 << BYTES) - 1) & written_at[13:LOWEST] == read_at[13:LOWEST];
    reg [W-1:0] shown = 0;
    always @(posedge read_clk) if (read) shown <= words[read_at[13:LOWEST]] ^ {W{same}};
    assign out = 36'(shown);
endmodule

// Semi dual port: port A writes, port B reads. OCE has no effect, since the output register is bypassed.
`define SEMI_DUAL(NAME, BITS) \
module NAME( \
    input CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB, \
    input [13:0] ADA, ADB, \
    input [2:0] BLKSELA, BLKSELB, \
    input [BITS-1:0] DI, \
    output [BITS-1:0] DO \
); \
    parameter READ_MODE = 0, BIT_WIDTH_0 = BITS, BIT_WIDTH_1 = BITS, BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC"; \
    parameter [287:0] `CONTENTS(= 0); \
    `ONLY(READ_MODE, 0) \
    `ONLY(BIT_WIDTH_1, BIT_WIDTH_0) \
    `ONLY(BLK_SEL_0, 0) \
    `ONLY(BLK_SEL_1, 0) \
    if ({`CONTENTS()} != 0) INIT_RAM_isnt_modelled stop(); \
    `LOW(RESETA | RESETB | (|BLKSELA) | (|BLKSELB)) \
    wire [35:0] out; \
    gowin_memory #(.W(BIT_WIDTH_0)) memory(CLKA, CEA, ADA, 36'(DI), CLKB, CEB, ADB, out); \
    assign DO = out[BITS-1:0]; \
endmodule
`SEMI_DUAL(SDPX9B, 36)
`SEMI_DUAL(SDPB, 32)

// True dual port, of which port A writes alone, and port B reads alone. WRITE_MODE is of the data that a port shows while
// it writes, which isn't used here.
`define DUAL(NAME, BITS) \
module NAME( \
    input CLKA, CEA, CLKB, CEB, OCEA, OCEB, RESETA, RESETB, WREA, WREB, \
    input [13:0] ADA, ADB, \
    input [2:0] BLKSELA, BLKSELB, \
    input [BITS-1:0] DIA, DIB, \
    output [BITS-1:0] DOA, DOB \
); \
    parameter READ_MODE0 = 0, READ_MODE1 = 0, WRITE_MODE0 = 0, WRITE_MODE1 = 0, BIT_WIDTH_0 = BITS, BIT_WIDTH_1 = BITS; \
    parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC"; \
    parameter [287:0] `CONTENTS(= 0); \
    `ONLY(READ_MODE1, 0) \
    `ONLY(BIT_WIDTH_1, BIT_WIDTH_0) \
    `ONLY(BLK_SEL_0, 0) \
    `ONLY(BLK_SEL_1, 0) \
    if ({`CONTENTS()} != 0) INIT_RAM_isnt_modelled stop(); \
    `LOW(WREB) \
    `LOW(RESETA | RESETB | (|BLKSELA) | (|BLKSELB)) \
    wire [35:0] out; \
    gowin_memory #(.W(BIT_WIDTH_0)) memory(CLKA, CEA & WREA, ADA, 36'(DIA), CLKB, CEB, ADB, out); \
    assign DOA = {BITS{1'bx}}; \
    assign DOB = out[BITS-1:0]; \
endmodule
`DUAL(DPX9B, 18)
`DUAL(DPB, 16)
