// Lookup tables as Yosys' $lut cell, which becomes one expression in Verilog; Yosys' own models become eight.
module LUT4(input A, B, C, D, output Z);
    parameter [15:0] INIT = 0;
    \$lut #(.WIDTH(4), .LUT(INIT)) lookup (.A({D, C, B, A}), .Y(Z));
endmodule

module LUT2(input A, B, output Z);
    parameter [3:0] INIT = 0;
    \$lut #(.WIDTH(2), .LUT(INIT)) lookup (.A({B, A}), .Y(Z));
endmodule

module SB_LUT4(output O, input I0, I1, I2, I3);
    parameter [15:0] LUT_INIT = 0;
    \$lut #(.WIDTH(4), .LUT(LUT_INIT)) lookup (.A({I3, I2, I1, I0}), .Y(O));
endmodule
