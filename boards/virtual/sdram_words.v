// The words of an SDRAM, for simulation: pseudo-random at power-up, and lost where a REFRESH is lost.
//
// One word is read or written in a cycle; `q` is the word read in the cycle before. Each `refresh` refreshes
// the next row of all banks. Injected faults write to the memories here: they invert any bit of `words`, or
// set `lose[0]`, the number of refreshes to be lost, after which the words of their rows are pseudo-random.
module sdram_words #(
    parameter ADDRESS_BITS = 24,  // bank above row above column
    parameter COLUMN_BITS = 9,
    parameter BANK_BITS = 2,
    parameter SEED = 1            // seed of the pseudo-random words
) (
    input clk,
    input [ADDRESS_BITS-1:0] address,
    input read,
    input [1:0] write,            // a bit for each byte
    input [15:0] data,
    input refresh,
    output reg [15:0] q
);
    localparam ROW_BITS = ADDRESS_BITS - COLUMN_BITS - BANK_BITS;

    reg [15:0] words [0:(1 << ADDRESS_BITS)-1];
    reg [15:0] lose [0:1];
    reg [ROW_BITS-1:0] row;
    reg [31:0] noise;
    integer n;

    // the linear congruential generator of Numerical Recipes; its upper bits are random enough
    initial begin
        noise = SEED;
        for (n = 0; n < (1 << ADDRESS_BITS); n = n + 1) begin
            noise = noise * 32'd1664525 + 32'd1013904223;
            words[n] = noise[31:16];
        end
        lose[0] = 0;
        lose[1] = 0;
        row = 0;
        q = 0;
    end

    always @(posedge clk) begin
        if (write[0]) words[address][7:0] <= data[7:0];
        if (write[1]) words[address][15:8] <= data[15:8];
        if (read) q <= words[address];
        if (refresh) begin
            row <= row + 1;
            if (lose[0] != 0) begin
                lose[0] <= lose[0] - 1;
                for (n = 0; n < (1 << (BANK_BITS + COLUMN_BITS)); n = n + 1) begin
                    noise = noise * 32'd1664525 + 32'd1013904223;
                    words[{n[BANK_BITS+COLUMN_BITS-1:COLUMN_BITS], row, n[COLUMN_BITS-1:0]}] <= noise[31:16];
                end
            end
        end
    end
endmodule
