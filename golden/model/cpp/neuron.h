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

// What the neurons of a layer are.
struct State {
    Ints d, u, phi; // of each neuron
    Ints xi;        // of the output layer's, whose nudge reads it a step later; of all, with fine spikes
    Ints s;         // of four neurons: word (quad, position), and as many more as tiles read
    Ints boxes;     // of s, below a convolution
};

// xi of v, both with `point` more binary places.
inline Int rounded(const Network &net, Int v, int point) {
    return clip((v + (1 << (net.round_shift - 1))) >> net.round_shift, 0, 1 << net.one_bits << point);
}

// Of a neuron of the output layer.
inline Int nudge(const Network &net, Int target, Int xi, int sign) { return (sign * net.beta * (target - xi)) >> net.nudge_shift; }

// offset: bias, nudge and the half of the rounding. The result is 1 where the neuron fired.
inline Int neuron_step(const Network &net, State &state, int i, Int offset, const Step &step, int rest, Int &xi) {
    const Int old = state.d[i], u = state.u[i];
    const Int moved = old + (((state.phi[i] << rest) - old) >> step.shift);
    const Int d = clip(moved, net.decoder_low, net.decoder_high);
    xi = clip((d + offset) >> net.round_shift, 0, 1 << net.one_bits);
    const Int weighed = u + (xi << step.shift);
    const Int spike = (weighed > net.threshold) & 1;
    state.d[i] = d;
    state.u[i] = weighed - (xi << step.next_shift) + xi - (spike << net.one_bits);
    return spike;
}

// free: v where the free phase ended. point: of the layer's spikes. The result is 1 more than what it sends, which is a byte
// without a sign.
inline Int deviation_step(const Network &net, State &state, int i, Int free, Int nudge, int point, int shift, int rest) {
    const int one = 1 << net.one_bits;
    const Int old = state.d[i], v = free << point;
    const Int d = clip(old + (((state.phi[i] << rest) - old) >> shift), net.decoder_low, net.decoder_high);
    const Int xi = clip(rounded(net, v + d + (nudge << point), point) - rounded(net, v, point), -one, one);
    const Int weighed = state.u[i] + (xi << shift);
    const Int spike = ((weighed > net.threshold) & 1) - ((weighed < -net.threshold) & 1);
    state.d[i] = d;
    state.xi[i] = xi;
    state.u[i] += xi - (spike << net.one_bits);
    return spike + 1;
}

} // namespace
