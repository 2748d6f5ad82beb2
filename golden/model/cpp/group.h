// LANES samples through the three phases.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>
#include "deviation.h"
#include "drives.h"
#include "kept.h"
#include "lanes.h"
#include "network.h"
#include "updates.h"

namespace {

constexpr int PHASES = 3; // free, plus, minus

// LANES samples: their state, and all that the phases do to it.
struct Group {
    struct State {
        Ints d, u, phi; // of each neuron
        Ints xi;        // of the output layer's, whose nudge reads it a step later
        Ints s;             // of four neurons: word (quad, position), and as many more as tiles read
    };

    const Network &net;
    const int8_t *weights;
    std::vector<const int32_t *> bias; // of each layer
    Drives drives;
    Updates updates;
    std::vector<State> layers, kept;
    std::vector<Ints> sums[PHASES]; // of each layer
    Ints static_drive, images, target, above;
    Deviation deviation;
    bool deviating = false; // in a nudged phase with fine spikes
    std::vector<Long> spikes; // of each layer
    Int present;              // all ones in the lanes that hold a sample
    int shift = 0, next_shift = 0; // k of lambda = 2^-k in this step, and in the next one

    Group(const Network &n, const std::vector<Kernels> &k, const int8_t *w, const int32_t *b)
        : net(n), weights(w), bias{nullptr}, drives{n, k, {}, {}}, updates{n, {}, {}, {}, {}} {
        layers.resize(net.bundles + 1);
        for (int n = 1; n <= net.bundles; b += net.layers[n].channels, n++) bias.push_back(b);
        for (int n = 0; n <= net.bundles; n++) {
            const size_t size = net.layers[n].neurons();
            State &state = layers[n];
            for (Ints *x : {&state.d, &state.u, &state.phi}) x->resize(size);
            if (n == net.bundles || net.fine) state.xi.resize(size);
            // tiles may read beyond the last word
            const size_t above = n < net.bundles && net.bundle[n].kind == DENSE ? k[n].forward.reach() : 0;
            const size_t below = n > 0 ? k[n - 1].backward.reach() : 0;
            state.s.resize(std::max({static_cast<size_t>(net.layers[n].words(net.layers[n].positions())), above, below}));
            for (auto &sum : sums) sum.emplace_back(size);
            if (net.fine) deviation.add(size);
        }
        spikes.resize(net.bundles + 1);
        target.resize(net.classes);
        images.resize(net.layers[0].neurons());
    }

    void begin(const uint8_t *image, const int64_t *labels, int count) {
        const size_t size = images.size();
        for (int l = 0; l < LANES; l++) present[l] = l < count ? -1 : 0;
        for (size_t i = 0; i < size; i++) {
            images[i] = Int{};
            for (int l = 0; l < count; l++) images[i][l] = image[l * size + i];
        }
        std::fill(target.begin(), target.end(), Int{});
        if (labels)
            for (int l = 0; l < count; l++) target[labels[l]][l] = 1 << net.one_bits;
        for (auto &state : layers)
            for (Ints *x : {&state.d, &state.u, &state.xi, &state.s}) std::fill(x->begin(), x->end(), Int{});
        std::fill(spikes.begin(), spikes.end(), Long{});
        deviating = false;
        drives.image(weights, images, static_drive);
    }

    // All layers together in one turn, or odd ones and then even ones. averaged: this step's xi count for the sums of phase
    // `which`.
    void step(int which, int sign, bool averaged) {
        for (int first = 1; first <= net.turns; first++) {
            for (int n = first; n <= net.bundles; n += net.turns) drive(n);
            for (int n = first; n <= net.bundles; n += net.turns) fire(n, which, sign, averaged);
        }
    }

    // phi of a layer, from its neighbours' latest spikes: what comes from below is written, what comes from above is added.
    void drive(int n) {
        Ints &phi = layers[n].phi;
        const Shifts shifts = net.shifts[deviating][n];
        const bool last = n == net.bundles;
        if (n == 1 && deviating) { // nothing comes from the image
            std::fill(phi.begin(), phi.end(), Int{});
            if (!last) add_from_above(n, phi);
            return Deviation::without(phi, deviation.above[n], shifts.above);
        }
        if (n == 1) shifted(static_drive, shifts.below, phi);
        else {
            drive_from_below(n, phi);
            if (deviating) Deviation::without(phi, deviation.below[n], shifts.below);
            else if (shifts.below) shifted(phi, shifts.below, phi);
        }
        if (last) return;
        if (!deviating && !shifts.above) return add_from_above(n, phi);
        above.assign(phi.size(), Int{});
        add_from_above(n, above);
        if (deviating) Deviation::without(above, deviation.above[n], shifts.above);
        else shifted(above, shifts.above, above);
        for (size_t i = 0; i < phi.size(); i++) phi[i] += above[i];
    }

    static void shifted(const Ints &from, int left, Ints &to) {
        to.resize(from.size());
        for (size_t i = 0; i < from.size(); i++) to[i] = from[i] << left;
    }

    // Bundle n - 1 joins the layer to the one below.
    void drive_from_below(int n, Ints &phi) {
        if (net.bundle[n - 1].kind == CONV) drives.conv_forward(n - 1, layers[n - 1].s, phi);
        else Drives::dense_forward(drives.kernels[n - 1].forward, layers[n - 1].s, phi);
    }

    void add_from_above(int n, Ints &phi) {
        if (net.bundle[n].kind == CONV) drives.conv_backward(n, layers[n + 1].s, phi);
        else Drives::dense_backward(drives.kernels[n].backward, layers[n + 1].s, phi);
    }

    // Layers are at the end of the free phase, and send deviations from it from now on.
    void deviate() {
        deviating = true;
        // as each of them would be if all spiked; words of no deviation are the same
        for (int n = 1; n <= net.bundles; n++) std::fill(layers[n].s.begin(), layers[n].s.end(), Deviation::SILENT);
        for (int n = 1; n <= net.bundles; n++) {
            if (n > 1) drive_from_below(n, deviation.below[n]);
            std::fill(deviation.above[n].begin(), deviation.above[n].end(), Int{});
            if (n < net.bundles) add_from_above(n, deviation.above[n]);
            State &state = layers[n];
            const int positions = net.layers[n].positions();
            for (size_t i = 0; i < state.d.size(); i++) {
                const Int v = state.d[i] + bias[n][i / positions], xi = rounded(v, 0);
                deviation.v[n][i] = v;
                deviation.xi[n][i] = xi;
                state.u[i] = clip(state.u[i] + (xi << shift) - xi, -net.threshold, net.threshold);
                state.d[i] = state.xi[i] = Int{};
            }
        }
    }

    // xi of v, both with `point` more binary places.
    Int rounded(Int v, int point) const {
        return clip((v + (1 << (net.round_shift - 1))) >> net.round_shift, 0, 1 << net.one_bits << point);
    }

    // A layer's neurons.
    void fire(int n, int which, int sign, bool averaged) {
        State &state = layers[n];
        Int *const total = averaged ? sums[which][n].data() : nullptr;
        const int positions = net.layers[n].positions(), channels = net.layers[n].channels, rest = net.shifts[deviating][n].rest;
        const bool output = n == net.bundles;
        Int fired = {};
        for (int c = 0; c < channels; c++) {
            const Int base = Int{} + (bias[n][c] + (1 << (net.round_shift - 1)));
            Int *const s = state.s.data() + c / 4 * positions;
            for (int p = 0; p < positions; p++) {
                const int i = c * positions + p;
                Int offset = base, xi, spike;
                if (deviating) {
                    spike = deviate(state, n, i, output ? sign : 0, rest);
                    xi = state.xi[i];
                    fired += (spike - 1) & 1;
                } else {
                    if (output && sign) offset += nudge(i, state.xi[i], sign);
                    spike = neuron(state, i, offset, rest, xi);
                    if (output) state.xi[i] = xi;
                    fired += spike;
                }
                s[p] = c % 4 ? s[p] | spike << c % 4 * 8 : spike;
                if (total) total[i] += xi;
            }
        }
        spikes[n] += __builtin_convertvector(fired, Long);
    }

    Int nudge(int i, Int xi, int sign) const { return (sign * net.beta * (target[i] - xi)) >> net.nudge_shift; }

    // offset: bias, nudge and the half of the rounding. The result is 1 where a neuron fired.
    inline Int neuron(State &state, int i, Int offset, int rest, Int &xi) const {
        const Int old = state.d[i], u = state.u[i];
        const Int moved = old + (((state.phi[i] << rest) - old) >> shift);
        const Int d = clip(moved, net.decoder_low, net.decoder_high);
        xi = clip((d + offset) >> net.round_shift, 0, 1 << net.one_bits);
        const Int weighed = u + (xi << shift);
        const Int spike = (weighed > net.threshold) & 1;
        state.d[i] = d;
        state.u[i] = weighed - (xi << next_shift) + xi - (spike << net.one_bits);
        return spike;
    }

    // golden.model.ops.deviation. sign: of the nudge, or 0. The result is 1 more than what it sends, which is a byte without a sign.
    inline Int deviate(State &state, int n, int i, int sign, int rest) const {
        const int point = net.point[n], one = 1 << net.one_bits;
        const Int old = state.d[i], v = deviation.v[n][i] << point;
        const Int d = clip(old + (((state.phi[i] << rest) - old) >> shift), net.decoder_low, net.decoder_high);
        Int moved = v + d;
        if (sign) moved += nudge(i, deviation.xi[n][i] + (state.xi[i] >> point), sign) << point;
        const Int xi = clip(rounded(moved, point) - rounded(v, point), -one, one), weighed = state.u[i] + (xi << shift);
        const Int spike = ((weighed > net.threshold) & 1) - ((weighed < -net.threshold) & 1);
        state.d[i] = d;
        state.xi[i] = xi;
        state.u[i] += xi - (spike << net.one_bits);
        return spike + 1;
    }

    // k in step t of the free phase.
    int shift_at(int t) const {
        return net.decay_shift + static_cast<int>(std::count_if(net.halving, net.halving + net.halvings, [t](int at) { return at <= t; }));
    }

    void phase(int which, int steps, int sign) {
        for (auto &sum : sums[which]) std::fill(sum.begin(), sum.end(), Int{});
        for (int t = 0; t < steps; t++) {
            // the nudged phases go on with the free phase's last lambda
            shift = shift_at(sign ? net.free_steps - 1 : t);
            next_shift = shift_at(sign ? net.free_steps - 1 : std::min(t + 1, steps - 1));
            step(which, sign, t >= steps - net.averaging_window);
        }
    }

    void run(bool training) {
        phase(0, net.free_steps, 0);
        if (!training) return;
        if (net.fine) deviate();
        kept = layers;
        phase(1, net.nudged_steps, 1);
        layers.swap(kept);
        phase(2, net.nudged_steps, -1);
    }

    int prediction(int lane) const {
        const Ints &scores = sums[0][net.bundles];
        int best = 0;
        for (int o = 1; o < net.classes; o++)
            if (scores[o][lane] > scores[best][lane]) best = o;
        return best;
    }

    void add_updates(int64_t *const *weight_updates, int64_t *const *bias_updates) {
        updates.add(sums[1], sums[2], sums[0], images, present, weight_updates, bias_updates);
    }

    // golden.model.centring.read.
    void add_read(int64_t *const *totals) const {
        for (int n = 0; n < net.bundles; n++) {
            const Ints &from = n ? sums[0][n] : images;
            const int positions = net.layers[n].positions();
            for (int c = 0; c < net.layers[n].channels; c++) {
                Int total = {};
                for (int i = c * positions; i < (c + 1) * positions; i++) total += from[i] & present;
                for (int l = 0; l < LANES; l++) totals[n][c] += total[l];
            }
        }
    }
};

} // namespace
