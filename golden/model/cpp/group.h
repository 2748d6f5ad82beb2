// A group of LANES samples in the three phases, processed by a team of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>
#include "deviation.h"
#include "drives.h"
#include "kept.h"
#include "lanes.h"
#include "network.h"
#include "neuron.h"
#include "team.h"
#include "updates.h"

namespace {

constexpr int PHASES = 3; // free, plus, minus

// State of LANES samples, and the operations of the phases. Each member of the team calls `run` and
// `add_updates`.
struct Group {
    const Network &net;
    Team &team;
    const int8_t *weights;
    std::vector<const int32_t *> bias; // per layer
    Drives drives;
    Updates updates;
    std::vector<State> layers, kept;
    std::vector<Ints> sums[PHASES]; // per layer
    Ints static_drive, images, target;
    std::vector<Ints> above; // per layer: scratch
    Deviation deviation;
    std::vector<std::vector<Long>> spikes; // per member and layer
    Int present;                           // all ones in lanes with a sample

    Group(const Network &n, Team &team, const std::vector<Kernels> &k, const int8_t *w, const int32_t *b)
        : net(n), team(team), weights(w), bias{nullptr}, drives(n, k, team.size), updates(n), above(n.bundles + 1) {
        layers.resize(net.bundles + 1);
        for (int n = 1; n <= net.bundles; b += net.layers[n].channels, n++) bias.push_back(b);
        for (int n = 0; n <= net.bundles; n++) {
            const size_t size = net.layers[n].neurons();
            State &state = layers[n];
            for (Ints *x : {&state.du, &state.phi}) x->resize(size);
            if (n == net.bundles) state.xi.resize(size);
            if (boxed(n)) state.boxes.resize(Drives::box_words(net.layers[n]));
            // tiles may read beyond the last word
            const size_t above = n < net.bundles && net.bundle[n].kind == DENSE ? k[n].forward.reach() : 0;
            const size_t below = n > 0 ? k[n - 1].backward.reach() : 0;
            state.s.resize(std::max({static_cast<size_t>(net.layers[n].words(net.layers[n].positions())), above, below}));
            for (auto &sum : sums) sum.emplace_back(size);
            if (net.fine) deviation.add(size);
            this->above[n].resize(size);
        }
        kept = layers;
        spikes.assign(team.size, std::vector<Long>(net.bundles + 1));
        target.resize(net.classes);
        images.resize(net.layers[0].neurons());
        static_drive.resize(net.layers[1].neurons());
    }

    // Called by one member, before the others begin.
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
            for (Ints *x : {&state.du, &state.xi, &state.s, &state.boxes}) std::fill(x->begin(), x->end(), Int{});
        for (auto &each : spikes) std::fill(each.begin(), each.end(), Long{});
        drives.begin(images);
    }

    // Whether the layer's box sums are read.
    bool boxed(int n) const { return n > 0 && n < net.bundles && net.bundle[n].kind == CONV; }

    // A member's channels of a layer, and its neurons.
    Share channels(int n, int member) const { return team.share(net.layers[n].channels, member); }
    Share neurons(int n, int member) const { return channels(n, member).times(net.layers[n].positions()); }

    static void fill(Ints &to, Share share, Int with) { std::fill(to.begin() + share.first, to.begin() + share.end, with); }

    // One step: all layers in one turn, or the odd ones and then the even ones. In a single turn, all drives
    // precede all spikes.
    void step(const Step &step, int member) {
        for (int first = 1; first <= net.turns; first++) {
            for (int n = first; n <= net.bundles; n += net.turns) drive(n, step, member);
            if (net.turns == 1) team.wait();
            for (int n = first; n <= net.bundles; n += net.turns) fire(n, step, member);
            team.wait();
        }
    }

    // phi of a layer from its neighbours' latest spikes: the drive from below is written, the one from above
    // added.
    void drive(int n, const Step &step, int member) {
        Ints &phi = layers[n].phi;
        const Shifts shifts = net.shifts[step.deviating][n];
        const Share own = neurons(n, member);
        const bool last = n == net.bundles;
        if (n == 1 && step.deviating) { // no drive from the image
            fill(phi, own, Int{});
            if (!last) add_from_above(n, member, phi);
            return Deviation::without(phi, deviation.above[n], shifts.above, own);
        }
        if (n == 1) shifted(static_drive, shifts.below, own, phi);
        else {
            drive_from_below(n, member, phi);
            if (step.deviating) Deviation::without(phi, deviation.below[n], shifts.below, own);
            else if (shifts.below) shifted(phi, shifts.below, own, phi);
        }
        if (last) return;
        if (!step.deviating && !shifts.above) return add_from_above(n, member, phi);
        Ints &more = above[n];
        fill(more, own, Int{});
        add_from_above(n, member, more);
        if (step.deviating) Deviation::without(more, deviation.above[n], shifts.above, own);
        else shifted(more, shifts.above, own, more);
        for (int i = own.first; i < own.end; i++) phi[i] += more[i];
    }

    static void shifted(const Ints &from, int left, Share share, Ints &to) {
        for (int i = share.first; i < share.end; i++) to[i] = from[i] << left;
    }

    // Bundle n - 1 joins layer n to the one below.
    void drive_from_below(int n, int member, Ints &phi) const {
        const State &below = layers[n - 1];
        if (net.bundle[n - 1].kind == CONV) drives.conv_forward(n - 1, below.boxes, channels(n, member), phi);
        else Drives::dense_forward(drives.kernels[n - 1].forward, below.s, channels(n, member), phi);
    }

    void add_from_above(int n, int member, Ints &phi) {
        if (net.bundle[n].kind == CONV) drives.conv_backward(n, layers[n + 1].s, member, channels(n, member), phi);
        else Drives::dense_backward(drives.kernels[n].backward, layers[n + 1].s, neurons(n, member), phi);
    }

    // Compute the layer's box sums from its spikes, if the layer above reads them.
    void box(int n, int member) {
        if (boxed(n)) Drives::box(net.layers[n], layers[n].s, channels(n, member), layers[n].boxes);
    }

    // At the end of the free phase: switch all layers to deviations from it. shift: k of its last step.
    void deviate(int shift, int member) {
        // drives if all neurons spiked; the words are those of no deviation
        for (int n = 1; n <= net.bundles; n++) {
            const Share own = channels(n, member);
            const int positions = net.layers[n].positions();
            fill(layers[n].s, Share{own.first / 4, (own.end + 3) / 4}.times(positions), Deviation::SILENT);
            box(n, member);
        }
        team.wait();
        for (int n = 1; n <= net.bundles; n++) {
            const Share own = neurons(n, member);
            if (n > 1) drive_from_below(n, member, deviation.below[n]);
            fill(deviation.above[n], own, Int{});
            if (n < net.bundles) add_from_above(n, member, deviation.above[n]);
            State &state = layers[n];
            const int positions = net.layers[n].positions();
            const Rule rule(net, {}, 0, 0);
            for (int i = own.first; i < own.end; i++) {
                const Int v = decoder(state.du[i]) + bias[n][i / positions], xi = rule.rounded(v + rule.half, rule.one);
                const Int u = membrane(state.du[i]);
                deviation.v[n][i] = v;
                deviation.xi[n][i] = xi;
                state.du[i] = packed(Int{}, clip(u + (xi << shift) - xi, -net.threshold, net.threshold));
                if (n == net.bundles) state.xi[i] = Int{};
            }
        }
        team.wait();
    }

    // Step a member's neurons of a layer.
    void fire(int n, const Step &step, int member) {
        const bool output = n == net.bundles;
        if (step.deviating) output ? fire_of<true, true>(n, step, member) : fire_of<true, false>(n, step, member);
        else output ? fire_of<false, true>(n, step, member) : fire_of<false, false>(n, step, member);
        box(n, member);
    }

    template <bool DEVIATING, bool OUTPUT> void fire_of(int n, const Step &step, int member) {
        State &state = layers[n];
        const Share own = channels(n, member);
        const int positions = net.layers[n].positions();
        const Rule rule(net, step, net.shifts[DEVIATING][n].rest, net.point[n]);
        Int fired = {};
        for (int c = own.first; c < own.end; c++) {
            const Int base = Int{} + bias[n][c] + rule.half, kept = Int{} - (c % 4 > 0);
            const size_t first = static_cast<size_t>(c) * positions;
            Int *const s = state.s.data() + c / 4 * positions, *const du = state.du.data() + first;
            Int *const total = step.averaged ? sums[step.which][n].data() + first : nullptr;
            const Int *const phi = state.phi.data() + first, *const free = DEVIATING ? deviation.v[n].data() + first : nullptr;
            for (int p = 0; p < positions; p++) {
                Int xi, spike, pull = {};
                if constexpr (OUTPUT) {
                    const Int before = state.xi[first + p];
                    const Int now = DEVIATING ? deviation.xi[n][first + p] + (before >> net.point[n]) : before;
                    if (step.sign) pull = nudge(net, target[first + p], now, step.sign);
                }
                if constexpr (DEVIATING) spike = rule.deviation(du[p], phi[p], free[p], pull, xi);
                else spike = rule.neuron(du[p], phi[p], base + pull, xi);
                if constexpr (OUTPUT) state.xi[first + p] = xi;
                s[p] = (s[p] & kept) | spike << c % 4 * 8;
                fired += DEVIATING ? (spike - 1) & 1 : spike;
                if (total) total[p] += xi;
            }
        }
        spikes[member][n] += __builtin_convertvector(fired, Long);
    }

    // k in step t of the free phase.
    int shift_at(int t) const {
        return net.decay_shift + static_cast<int>(std::count_if(net.halving, net.halving + net.halvings, [t](int at) { return at <= t; }));
    }

    void phase(int which, int steps, int sign, int member) {
        for (int n = 1; n <= net.bundles; n++) fill(sums[which][n], neurons(n, member), Int{});
        const int end = net.free_steps - 1; // the nudged phases keep the free phase's last lambda
        for (int t = 0; t < steps; t++)
            step({which, sign, t >= steps - net.averaging_window, sign && net.fine, shift_at(sign ? end : t),
                  shift_at(sign ? end : std::min(t + 1, steps - 1))},
                 member);
    }

    // Run the three phases; without training, only the free phase.
    void run(bool training, int member) {
        drives.image(weights, images, channels(1, member), static_drive);
        phase(0, net.free_steps, 0, member);
        if (!training) return;
        if (net.fine) deviate(shift_at(net.free_steps - 1), member);
        if (!member) kept = layers;
        team.wait();
        phase(1, net.nudged_steps, 1, member);
        if (!member) layers.swap(kept);
        team.wait();
        phase(2, net.nudged_steps, -1, member);
    }

    // Spikes of a layer, in the lanes with a sample.
    int64_t spikes_of(int n) const {
        int64_t total = 0;
        for (const auto &each : spikes)
            for (int l = 0; l < LANES; l++) total += present[l] ? each[n][l] : 0;
        return total;
    }

    int prediction(int lane) const {
        const Ints &scores = sums[0][net.bundles];
        int best = 0;
        for (int o = 1; o < net.classes; o++)
            if (scores[o][lane] > scores[best][lane]) best = o;
        return best;
    }

    void add_updates(int64_t *const *weight_updates, int64_t *const *bias_updates, int member) {
        for (int n = 0; n < net.bundles; n++) {
            if (!member) updates.prepare(n, sums[1], sums[2], sums[0], images, present);
            team.wait();
            updates.add(n, sums[1], sums[2], present, channels(n + 1, member), weight_updates[n], bias_updates[n]);
            team.wait();
        }
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
