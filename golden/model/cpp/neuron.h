// One step of one neuron, in all lanes: golden.model.ops.neuron and deviation.
#pragma once

#include "kept.h"
#include "lanes.h"
#include "network.h"

namespace {

// What a step is, the same for all layers.
struct Step {
    int which, sign;       // phase, and of its nudge
    bool averaged;         // its xi count for the phase's sums
    bool deviating;        // in a nudged phase with fine spikes
    int shift, next_shift; // k of lambda = 2^-k in this step, and in the next one
};

// What the neurons of a layer are. All of it is read and written in each step, and is more than a near cache holds.
struct State {
    Ints du;    // of each neuron: d in the upper half, U in the lower one
    Ints phi;   // of each neuron
    Ints xi;    // of the output layer's, whose nudge reads it a step later
    Ints s;     // of four neurons: word (quad, position), and as many more as tiles read
    Ints boxes; // of s, below a convolution
};

inline Int packed(Int d, Int u) { return d << 16 | (u & 0xffff); }
inline Int decoder(Int du) { return du >> 16; }
inline Int membrane(Int du) { return du << 16 >> 16; }

// Of a neuron of the output layer.
inline Int nudge(const Network &net, Int target, Int xi, int sign) { return (sign * net.beta * (target - xi)) >> net.nudge_shift; }

// What is the same for all neurons of a layer in a step, by value: a compiler has to suppose that state which is stored changes the
// network.
struct Rule {
    Int shift, next_shift, rest, point; // k of this step and the next one, from phi to d's LSB, binary point of a fine spike
    Int round_shift, one_bits, half, one, threshold, low, high;

    Rule(const Network &net, const Step &step, int rest, int point)
        : shift(Int{} + step.shift), next_shift(Int{} + step.next_shift), rest(Int{} + rest), point(Int{} + point),
          round_shift(Int{} + net.round_shift), one_bits(Int{} + net.one_bits), half(Int{} + (1 << (net.round_shift - 1))),
          one(Int{} + (1 << net.one_bits)), threshold(Int{} + net.threshold), low(Int{} + net.decoder_low),
          high(Int{} + net.decoder_high) {}

    // xi of v, to which half of its last bit has been added, at most `one`.
    Int rounded(Int v, Int one) const { return clip(v >> round_shift, Int{}, one); }

    Int decoded(Int d, Int phi) const { return clip(d + (((phi << rest) - d) >> shift), low, high); }

    // offset: bias, nudge and the half of the rounding. The result is 1 where the neuron fired.
    Int neuron(Int &du, Int phi, Int offset, Int &xi) const {
        const Int d = decoded(decoder(du), phi);
        xi = rounded(d + offset, one);
        const Int weighed = membrane(du) + (xi << shift);
        const Int spike = (weighed > threshold) & 1;
        du = packed(d, weighed - (xi << next_shift) + xi - (spike << one_bits));
        return spike;
    }

    // free: v where the free phase ended. The result is 1 more than what it sends, which is a byte without a sign.
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
