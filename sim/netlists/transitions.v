// Counts the transitions of wires from clock edge to clock edge while `counting` is high; wraps.
module transitions #(
    parameter WIRES = 1,
    parameter BITS = 40
) (
    input clk,
    input counting,
    input [WIRES-1:0] wires,
    output reg [BITS-1:0] count
);
    reg [WIRES-1:0] last;

    initial count = 0;

    always @(posedge clk) begin
        last <= wires;
        if (counting) count <= count + BITS'($countones(wires ^ last));
    end
endmodule
