// One step of one neuron, in all lanes: golden.model.ops.neuron and deviation.
#pragma once

#include "kept.h"
#include "lanes.h"
#include "network.h"

namespace {

// Parameters of a step, the same for all layers.
struct Step {
    int which, sign;       // phase, and sign of its nudge
    bool averaged;         // xi is added to the phase's window sums
    bool deviating;        // in a nudged phase with fine spikes
    int shift, next_shift; // k of lambda = 2^-k in this step and in the next one
};

// State of a layer's neurons, all read and written in each step; it exceeds a near cache.
struct State {
    Ints du;    // per neuron: d in the upper half, U in the lower one
    Ints phi;   // per neuron
    Ints xi;    // per neuron of the output layer, whose nudge reads it in the next step
    Ints s;     // per four neurons: word (quad, position), and the extra words that tiles read
    Ints boxes; // box sums of s, in layers below a convolution
};

inline Int packed(Int d, Int u) { return d << 16 | (u & 0xffff); }
inline Int decoder(Int du) { return du >> 16; }
inline Int membrane(Int du) { return du << 16 >> 16; }

// golden.model.ops.nudge: (sign beta (target - xi)) >> nudge_shift.
inline Int nudge(const Network &net, Int target, Int xi, int sign) { return (sign * net.beta * (target - xi)) >> net.nudge_shift; }

// Constants of a layer's neurons in a step. They are values, not references: otherwise a compiler must assume
// that stores to the state change the network.
struct Rule {
    Int shift, next_shift, rest, point; // k, next k, shift from phi to d's LSB, point of a fine spike
    Int round_shift, one_bits, half, one, threshold, low, high;

    Rule(const Network &net, const Step &step, int rest, int point)
        : shift(Int{} + step.shift), next_shift(Int{} + step.next_shift), rest(Int{} + rest), point(Int{} + point),
          round_shift(Int{} + net.round_shift), one_bits(Int{} + net.one_bits), half(Int{} + (1 << (net.round_shift - 1))),
          one(Int{} + (1 << net.one_bits)), threshold(Int{} + net.threshold), low(Int{} + net.decoder_low),
          high(Int{} + net.decoder_high) {}

    // xi of v, to which half of the rounding unit has been added; at most `one`.
    Int rounded(Int v, Int one) const { return clip(v >> round_shift, Int{}, one); }

    Int decoded(Int d, Int phi) const { return clip(d + (((phi << rest) - d) >> shift), low, high); }

    // offset: bias + nudge + rounding half. Returns 1 if the neuron fired.
    Int neuron(Int &du, Int phi, Int offset, Int &xi) const {
        const Int d = decoded(decoder(du), phi);
        xi = rounded(d + offset, one);
        const Int weighed = membrane(du) + (xi << shift);
        const Int spike = (weighed > threshold) & 1;
        du = packed(d, weighed - (xi << next_shift) + xi - (spike << one_bits));
        return spike;
    }

    // free: v at the end of the free phase. Returns the fine spike plus 1, which is an unsigned byte.
    Int deviation(Int &du, Int phi, Int free, Int nudge, Int &xi) const {
        const Int d = decoded(decoder(du), phi), v = (free << point) + half, top = one << point;
        xi = clip(rounded(v + d + (nudge << point), top) - rounded(v, top), -one, one);
        const Int u = membrane(du), weighed = u + (xi << shift);
        const Int spike = ((weighed > threshold) & 1) - ((weighed < -threshold) & 1);
        du = packed(d, u + xi - (spike << one_bits));
        return spike + 1;
    }
};

} // namespace
