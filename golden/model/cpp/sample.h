// A sample in the three phases: golden.model.phases.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>
#include "events.h"
#include "kept.h"
#include "lanes.h"
#include "network.h"
#include "neuron.h"
#include "synapses.h"

namespace {

constexpr int PHASES = 3; // free, plus, minus

// Working copies of a batch's parameters.
struct Weights {
    std::vector<Synapses> synapses; // of bundles 2..N
    Vector<int32_t> image;          // bundle 1: for each pair of taps, the pairs of the post channels
    Vector<int16_t> biases[16];     // per layer, of each neuron in its `Map`
};

// State of a layer's neurons, in the order of its `Map`.
struct Neurons {
    Vector<int16_t> d, u;
    Vector<int16_t> xi; // of the output layer, whose nudge reads it in the next step
    Spikes spikes;
};

// A layer's state, and what the nudged phases need of the free phase.
struct Population {
    Neurons now, kept;
    Spikes next; // of the step in progress
    Vector<int16_t> sums[PHASES];
    Vector<int32_t> free;    // with fine spikes: shifted v at the end of the free phase
    Vector<int32_t> still;   // its xi, in units of a fine spike
    Vector<int16_t> free_xi; // its xi in the output layer
};

struct Sample {
    const Network &net;
    const Weights &weights;
    std::vector<Map> maps;
    std::vector<Population> layers;
    Vector<int32_t> image, boxes; // pixels (position, channel) in their frame, and their box sums
    Vector<int32_t> static_drive, drives;
    Vector<int32_t> window, sums;      // under a pooled position
    std::vector<uint16_t> fired, lost; // per vector of a block
    int label = -1;
    Selected up, down;           // by the neighbours' spikes of either sign
    std::vector<int64_t> spikes; // per layer

    // Allocates all memory: a thread couldn't report later that there is none.
    Sample(const Network &net, const Weights &weights)
        : net(net), weights(weights), layers(net.bundles + 1), spikes(net.bundles + 1) {
        size_t most = 0, block = 0;
        for (const Synapses &each : weights.synapses) most = std::max<size_t>(most, each.most());
        for (Selected *x : {&up, &down}) x->rows.resize(most + SLACK);
        for (int n = 0; n <= net.bundles; n++) {
            const Map &map = maps.emplace_back(net, n);
            if (!n) continue;
            Population &to = layers[n];
            for (auto *x : {&to.now.d, &to.now.u}) x->resize(map.size());
            for (auto &sums : to.sums) sums.resize(map.size());
            to.now.spikes = to.next = Spikes(map);
            if (net.fine) to.free.resize(map.size()), to.still.resize(map.size());
            if (n == net.bundles) to.now.xi.resize(map.size()), to.free_xi.resize(map.size());
            to.kept = to.now;
            block = std::max<size_t>(block, map.block);
        }
        const Layer &input = net.layers[0];
        const int frame = 2 * net.bundle[0].padding;
        for (auto *x : {&image, &boxes}) x->assign((input.height + frame) * (input.width + frame) * input.channels, 0);
        static_drive.assign(maps[1].size(), 0);
        for (auto *x : {&fired, &lost}) x->resize(block / NEURONS);
        drives.resize(block + NEURONS); // rows are padded
        window.assign(inputs() + 1, 0);
        sums.resize(padded(maps[1].channels, LANES));
    }

    // Run the three phases; without a label (-1), only the free phase.
    void run(const uint8_t *pixels, int64_t shown) {
        label = static_cast<int>(shown);
        begin(pixels);
        phase(0, net.free_steps, 0);
        if (label < 0) return;
        if (net.fine)
            for (int n = 1; n <= net.bundles; n++) deviate(n, shift_at(net.free_steps - 1));
        for (auto &layer : layers) layer.kept = layer.now;
        phase(1, net.nudged_steps, 1);
        for (auto &layer : layers) std::swap(layer.now, layer.kept);
        phase(2, net.nudged_steps, -1);
    }

    // The first class with the largest window sum.
    int prediction() const {
        const auto &scores = layers[net.bundles].sums[0];
        return static_cast<int>(std::max_element(scores.begin(), scores.begin() + net.classes) - scores.begin());
    }

    // golden.model.centring.read.
    void add_read(int64_t *const *totals) const {
        const int colours = net.layers[0].channels;
        for (size_t i = 0; i < image.size(); i++) totals[0][i % colours] += image[i];
        for (int n = 1; n < net.bundles; n++)
            for (int p = 0; p < maps[n].positions(); p++)
                for (int c = 0, i = maps[n].neuron(p); c < maps[n].channels; c++, i++)
                    totals[n][c] += layers[n].sums[0][i];
    }

  private:
    void begin(const uint8_t *pixels) {
        const Layer &input = net.layers[0];
        const int frame = net.bundle[0].padding, wide = input.width + 2 * frame;
        for (int c = 0; c < input.channels; c++)
            for (int y = 0; y < input.height; y++)
                for (int x = 0; x < input.width; x++)
                    image[((y + frame) * wide + x + frame) * input.channels + c] = *pixels++;
        if (!net.bundle[0].full()) box_sums(input.height + 2 * frame, wide, input.channels, image.data(), boxes.data());
        drive_from_image();
        for (int n = 1; n <= net.bundles; n++) {
            Neurons &now = layers[n].now;
            for (auto *x : {&now.d, &now.u, &now.xi}) std::fill(x->begin(), x->end(), 0);
            now.spikes.clear();
        }
        std::fill(spikes.begin(), spikes.end(), 0);
    }

    // Inputs of a position of layer 1.
    int inputs() const {
        const Bundle &b = net.bundle[0];
        return b.full() ? net.layers[0].neurons() : net.layers[0].channels * b.taps();
    }

    // The first bundle's drive, once per sample, rounded to phi's LSB.
    void drive_from_image() {
        const Bundle &b = net.bundle[0];
        const Layer &input = net.layers[0];
        const Map &post = maps[1];
        const int vectors = padded(post.channels, LANES) / LANES;
        const int row = (input.width + 2 * b.padding - 1) * input.channels, run = b.kernel * input.channels;
        for (int y = 0; y < post.height; y++)
            for (int x = 0; x < post.width; x++) {
                if (b.full()) std::copy_n(image.begin(), inputs(), window.begin());
                else
                    for (int dy = 0; dy < b.kernel; dy++)
                        std::copy_n(boxes.begin() + (2 * y + dy) * row + 2 * x * input.channels, run,
                                    window.begin() + dy * run);
                std::fill(sums.begin(), sums.end(), 1 << (net.static_shift - 1));
                const Int *w = reinterpret_cast<const Int *>(weights.image.data());
                for (int i = 0; i < inputs(); i += 2, w += vectors) {
                    const Int two = Int{} + pair(window[i], window[i + 1]);
                    for (int j = 0; j < vectors; j++) ints(sums)[j] += pair_dot(two, w[j]);
                }
                std::transform(sums.begin(), sums.begin() + post.channels, static_drive.begin() + post.neuron(y, x),
                               [this](int32_t sum) { return sum >> net.static_shift; });
            }
    }

    static Int *ints(Vector<int32_t> &of) { return reinterpret_cast<Int *>(of.data()); }
    static Short *shorts(Vector<int16_t> &of) { return reinterpret_cast<Short *>(of.data()); }

    // k in step t of the free phase.
    int shift_at(int t) const {
        return net.decay_shift + static_cast<int>(std::count_if(net.halving, net.halving + net.halvings,
                                                                [t](int at) { return at <= t; }));
    }

    void phase(int which, int steps, int sign) {
        for (int n = 1; n <= net.bundles; n++) std::fill(layers[n].sums[which].begin(), layers[n].sums[which].end(), 0);
        const int end = net.free_steps - 1; // the nudged phases keep the free phase's last lambda
        for (int t = 0; t < steps; t++)
            step({which, sign, t >= steps - net.averaging_window, sign && net.fine, shift_at(sign ? end : t),
                  shift_at(sign ? end : std::min(t + 1, steps - 1))});
    }

    // One step: all layers in one turn, or the odd ones and then the even ones.
    void step(const Step &step) {
        for (int first = 1; first <= net.turns; first++) {
            for (int n = first; n <= net.bundles; n += net.turns) {
                const bool output = n == net.bundles;
                if (step.deviating) output ? fire<true, true>(n, step) : fire<true, false>(n, step);
                else output ? fire<false, true>(n, step) : fire<false, false>(n, step);
            }
            for (int n = first; n <= net.bundles; n += net.turns) {
                std::swap(layers[n].now.spikes, layers[n].next);
                spikes[n] += layers[n].now.spikes.count();
            }
        }
    }

    // phi of block (y, x) of layer n.
    void drive(int n, int y, int x, bool deviating) {
        const Map &map = maps[n];
        const Shifts &shifts = net.shifts[deviating][n];
        const Int *const from = ints(static_drive) + (y * map.columns + x) * map.block / LANES;
        for (int i = 0; i < map.block / LANES; i++)
            ints(drives)[i] = n == 1 && !deviating ? from[i] << shifts.below : Int{};
        if (n < net.bundles) {
            const Synapses &above = weights.synapses[n - 1];
            above.from_above(y, x, layers[n + 1].now.spikes, up, down);
            above.backward.add(up, down, shifts.above + dense_shift(above), drives.data());
        }
        if (n == 1 && !map.frame) return;
        const int side = map.side ? 2 : map.width; // of the block
        for (int p = 0; p < map.inside; p++) {
            const int py = 2 * y + p / side - map.frame, px = 2 * x + p % side - map.frame;
            int32_t *const to = drives.data() + p * map.channels;
            if (py < 0 || px < 0 || py >= map.height || px >= map.width)
                std::fill_n(to, map.channels, 0); // outside of the layer
            else if (n > 1) {
                const Synapses &below = weights.synapses[n - 2];
                below.from_below(py, px, layers[n - 1].now.spikes, up, down);
                below.forward.add(up, down, shifts.below + dense_shift(below), to);
            }
        }
    }

    // From the weights' LSB to phi's: 4 spikes are under a pooled position, but one drives a dense layer.
    static int dense_shift(const Synapses &synapses) { return synapses.bundle.kind == DENSE ? 2 : 0; }

    // Step all neurons of a layer; their spikes are `next`.
    template <bool DEVIATING, bool OUTPUT> void fire(int n, const Step &step) {
        Population &layer = layers[n];
        const Map &map = maps[n];
        const Rule rule(net, step, n, net.shifts[DEVIATING][n].rest);
        const int vectors = map.block / NEURONS;
        // in registers: a compiler must assume that a store to a vector changes all that is in memory
        Short *const d = shorts(layer.now.d), *const u = shorts(layer.now.u);
        Short *const sums = step.averaged ? shorts(layer.sums[step.which]) : nullptr;
        const Int *const free = ints(layer.free), *const still = ints(layer.still), *const phi = ints(drives);
        const Short *const biases = reinterpret_cast<const Short *>(weights.biases[n].data());
        uint16_t *const ups = fired.data(), *const downs = lost.data();
        const Short half = ::shorts(1 << (net.round_shift - 1));
        for (int block = 0; block < map.rows * map.columns; block++) {
            drive(n, block / map.columns, block % map.columns, DEVIATING);
            for (int v = 0; v < vectors; v++) {
                const int i = block * vectors + v;
                State s{d[i], u[i], {}, {}, {}};
                Ints pull{};
                if constexpr (OUTPUT) pull = nudges(layer, n, v, step);
                if constexpr (DEVIATING) {
                    const Ints start{free[2 * i] + (pull.low << rule.point),
                                     free[2 * i + 1] + (pull.high << rule.point)};
                    rule.deviation(s, {phi[2 * v], phi[2 * v + 1]}, start, {still[2 * i], still[2 * i + 1]});
                    downs[v] = static_cast<uint16_t>(bits(s.lost));
                } else rule.neuron(s, {phi[2 * v], phi[2 * v + 1]}, biases[i] + packed(pull.low, pull.high) + half);
                ups[v] = static_cast<uint16_t>(bits(s.fired));
                d[i] = s.d;
                u[i] = s.u;
                if constexpr (OUTPUT) shorts(layer.now.xi)[i] = s.xi;
                if (sums) sums[i] += s.xi;
            }
            layer.next.up.append(map, block, ups);
            if (DEVIATING) layer.next.down.append(map, block, downs);
        }
        if (!DEVIATING) layer.next.down.clear();
    }

    // Nudges of NEURONS outputs, by their xi of the step before.
    Ints nudges(Population &layer, int n, int c, const Step &step) {
        Ints to{};
        if (!step.sign) return to;
        for (int half = 0; half < 2; half++) {
            const auto of = [half](Short x) { return half ? high(x) : low(x); };
            Int xi = of(shorts(layer.now.xi)[c]), wanted{};
            if (step.deviating) xi = of(shorts(layer.free_xi)[c]) + (xi >> net.point[n]);
            if (label / LANES == 2 * c + half) wanted[label % LANES] = 1 << net.one_bits;
            (half ? to.high : to.low) = nudge(net, wanted, xi, step.sign);
        }
        return to;
    }

    // At the end of the free phase: a layer's state becomes the deviation from it. shift: k of its last step.
    void deviate(int n, int shift) {
        Population &layer = layers[n];
        const Rule rule(net, {}, n, 0), plain(net, {}, 0, 0);
        for (int i = 0; i < maps[n].size() / NEURONS; i++) {
            Short &d = shorts(layer.now.d)[i], &u = shorts(layer.now.u)[i];
            const Short bias = reinterpret_cast<const Short *>(weights.biases[n].data())[i];
            const Int v[2] = {low(d) + low(bias), high(d) + high(bias)};
            for (int half = 0; half < 2; half++) {
                Int &free = ints(layer.free)[2 * i + half] = rule.shifted(v[half]);
                ints(layer.still)[2 * i + half] = rule.rounded(free);
            }
            const Short xi = packed(plain.rounded(plain.shifted(v[0])), plain.rounded(plain.shifted(v[1])));
            u = clip(u + (xi << shift) - xi, -rule.threshold, rule.threshold);
            d = Short{};
            if (n == net.bundles) shorts(layer.free_xi)[i] = xi, shorts(layer.now.xi)[i] = Short{};
        }
        layer.now.spikes.clear();
    }
};

} // namespace
