// One step of NEURONS neurons: golden.model.ops.neuron and deviation.
#pragma once

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

// Both halves of NEURONS numbers of 32 bits.
struct Ints {
    Int low, high;
};

// State of NEURONS neurons, and in `fired` and `lost` the comparisons that positive and negative spikes are.
struct State {
    Short d, u, xi, fired, lost;
};

// Constants of a layer's neurons in a step. golden/model/native.py checks that U + (xi << k) fits 16 bits.
struct Rule {
    const int shift, next_shift, rest, point; // k, next k, shift from phi to d's LSB, point of a fine spike
    const bool linear;                        // deviations aren't the change of a clipped state
    const int round_shift, one_bits, low, high;
    const Short one, threshold;

    Rule(const Network &net, const Step &step, int n, int rest)
        : shift(step.shift), next_shift(step.next_shift), rest(rest), point(net.point[n]),
          linear(net.linear_output && n == net.bundles), round_shift(net.round_shift), one_bits(net.one_bits), low(net.decoder_low), high(net.decoder_high), one(shorts(1 << net.one_bits)),
          threshold(shorts(net.threshold)) {}

    Int decoded(Int d, Int phi) const { return clip(d + (((phi << rest) - d) >> shift), low, high); }

    // offset: bias + nudge + half of the rounding unit. The addition may saturate: xi would be clipped
    // anyway.
    void neuron(State &s, Ints phi, Short offset) const {
        s.d = packed(decoded(::low(s.d), phi.low), decoded(::high(s.d), phi.high));
        s.xi = clip(add(s.d, offset) >> round_shift, Short{}, one);
        const Short weighed = s.u + (s.xi << shift);
        s.fired = weighed > threshold;
        s.u = weighed - (s.xi << next_shift) + s.xi + (s.fired << one_bits); // a true comparison is -1
    }

    // free: `shifted` v of the end of the free phase, plus the nudge; still: xi in units of a fine spike.
    void deviation(State &s, Ints phi, Ints free, Ints still) const {
        const Int low = decoded(::low(s.d), phi.low), high = decoded(::high(s.d), phi.high);
        s.d = packed(low, high);
        s.xi = clip(packed(rounded(free.low + low) - still.low, rounded(free.high + high) - still.high), -one, one);
        const Short weighed = s.u + (s.xi << shift);
        s.fired = weighed > threshold;
        s.lost = weighed < -threshold;
        s.u = s.u + s.xi + (s.fired << one_bits) - (s.lost << one_bits);
    }

    Int shifted(Int v) const { return ((linear ? Int{} : v) << point) + (1 << (round_shift - 1)); }
    Int rounded(Int v) const { return linear ? v >> round_shift : clip(v >> round_shift, 0, 1 << (one_bits + point)); }
};

// golden.model.ops.nudge: (sign beta (target - xi)) >> nudge_shift.
inline Int nudge(const Network &net, Int target, Int xi, int sign) {
    return (sign * net.beta * (target - xi)) >> net.nudge_shift;
}

} // namespace
