// Updates of weights and biases from the window sums of the two nudged phases.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>
#include "kept.h"
#include "lanes.h"
#include "network.h"
#include "sample.h"
#include "synapses.h"

namespace {

// Sums of a thread's samples. A convolution's weights are (tap, pre channel, post channel), a dense layer's
// (post channel, position, pre channel); the last dimension is padded to whole vectors.
struct Updates {
    const Network &net;
    std::vector<Vector<int32_t>> weights;
    std::vector<Vector<int64_t>> biases;
    Vector<int32_t> pre, boxes, post; // pairs, position after position
    bool wide_g = false; // whether g, or its update before the clip, exceeds 32 bits
    bool narrow = false; // whether g times its rate fits 32 bits
    int span = 0;        // positions over which g fits 32 bits

    explicit Updates(const Network &net) : net(net), weights(net.bundles), biases(net.bundles) {
        size_t inputs = 0, outputs = 0;
        for (int n = 0; n < net.bundles; n++) {
            const Bundle &b = net.bundle[n];
            const Layer &below = net.layers[n], &above = net.layers[n + 1];
            inputs = std::max<size_t>(inputs,
                                      padded(framed(n, below.height) * framed(n, below.width) * below.channels, LANES));
            outputs = std::max<size_t>(outputs, above.positions() * wide(n + 1));
            weights[n].assign(b.full() ? static_cast<size_t>(above.channels) * row(n)
                                       : static_cast<size_t>(b.taps()) * below.channels * wide(n + 1),
                              0);
            biases[n].assign(above.channels, 0);
        }
        for (auto *x : {&pre, &boxes}) x->resize(inputs);
        post.resize(outputs);
    }

    // Add those of a sample.
    void add(const Sample &sample) {
        for (int n = 0; n < net.bundles; n++) {
            const Bundle &b = net.bundle[n];
            add_biases(n, sample);
            pack(n, sample);
            bound(n);
            if (b.full()) dense(n);
            else wide_g ? conv<true>(n) : conv<false>(n);
        }
    }

    // Add the sums of a bundle to arrays in torch's order. NEURONS post channels at a time share each word
    // that is read.
    void add_to(int n, int64_t *weight_updates, int64_t *bias_updates) const {
        const Bundle &b = net.bundle[n];
        const int channels = net.layers[n].channels, outputs = net.layers[n + 1].channels;
        const int taps = b.full() ? net.layers[n].positions() : b.taps(), inputs = channels * taps;
        for (int first = 0; first < outputs; first += NEURONS)
            for (int c = 0; c < channels; c++)
                for (int tap = 0; tap < taps; tap++)
                    for (int o = first; o < std::min(first + NEURONS, outputs); o++) {
                        const size_t input = static_cast<size_t>(tap) * channels + c;
                        weight_updates[static_cast<size_t>(o) * inputs + c * taps + tap] +=
                            weights[n][b.full() ? o * row(n) + input : input * wide(n + 1) + o];
                    }
        for (int o = 0; o < outputs; o++) bias_updates[o] += biases[n][o];
    }

  private:
    size_t row(int n) const { return padded(net.layers[n].neurons(), LANES); }     // inputs of a dense layer
    int framed(int n, int side) const { return side + 2 * net.bundle[n].padding; } // of layer n, below a convolution
    int wide(int n) const { return padded(net.layers[n].channels, LANES); }        // channels of a position in `post`

    void add_biases(int n, const Sample &sample) {
        const Map &map = sample.maps[n + 1];
        const auto &sums = sample.layers[n + 1].sums;
        const int64_t rate = net.bundle[n].bias_rate, half = int64_t{1} << (net.bias_shift - 1),
                      bound = net.update_bound;
        std::fill_n(post.begin(), map.channels, 0); // g
        for (int p = 0; p < map.positions(); p++)   // those outside of an odd layer have sums of 0
            for (int c = 0, i = map.neuron(p); c < map.channels; c++, i++) post[c] += sums[1][i] - sums[2][i];
        for (int c = 0; c < net.layers[n + 1].channels; c++)
            biases[n][c] += std::clamp((post[c] * rate + half) >> net.bias_shift, -bound, bound);
    }

    // g = sum of pre+ post+ - pre- post- is a sum of dot products of pairs: (pre+, pre-) and (post+, -post-).
    // With fine spikes, above the first bundle: golden.model.ops.deviation_sums.
    void pack(int n, const Sample &sample) {
        const bool deviations = n && net.fine;
        const int lost = deviations ? net.point[n] - net.point[n + 1] : 0, half = lost ? 1 << (lost - 1) : 0;
        const int top = net.averaging_window << net.one_bits;
        const auto each = [&](int n, int wide, int frame, Vector<int32_t> &pairs, auto pair_of) {
            const Map &map = sample.maps[n];
            const int point = net.point[n] + 1;
            const auto &sums = sample.layers[n].sums;
            int32_t *to = pairs.data() + frame * (map.width + 2 * frame + 1) * wide;
            for (int y = 0; y < map.height; y++, to += 2 * frame * wide)
                for (int x = 0; x < map.width; x++, to += wide) {
                    const int i = map.neuron(y, x);
                    const int16_t *const free = sums[0].data() + i, *const plus = sums[1].data() + i,
                                         *const minus = sums[2].data() + i;
                    for (int c = 0; c < map.channels; c++)
                        to[c] =
                            pair_of(plus[c], minus[c], std::clamp(free[c] + ((plus[c] + minus[c]) >> point), 0, top));
                }
        };
        const int inputs = net.layers[n].channels, outputs = wide(n + 1), frame = net.bundle[n].padding;
        std::fill(pre.begin(), pre.end(), 0);
        std::fill(post.begin(), post.end(), 0);
        if (!n) std::transform(sample.image.begin(), sample.image.end(), pre.begin(), [](int x) { return pair(x, x); });
        else if (deviations)
            each(n, inputs, frame, pre, [=, this](int plus, int minus, int mean) {
                return pair(mean, net.vector_field ? 0 : (plus - minus + half) >> lost);
            });
        else each(n, inputs, frame, pre, [](int plus, int minus, int) { return pair(plus, minus); });
        if (deviations)
            each(n + 1, outputs, 0, post, [](int plus, int minus, int mean) { return pair(plus - minus, mean); });
        else each(n + 1, outputs, 0, post, [](int plus, int minus, int) { return pair(plus, -minus); });
        // the low half of a sum is never negative: no carry reaches the high half
        const Layer &below = net.layers[n];
        if (!net.bundle[n].full())
            box_sums(framed(n, below.height), framed(n, below.width), below.channels, pre.data(), boxes.data());
    }

    // Bound g by this sample's operands.
    void bound(int n) {
        const Bundle &b = net.bundle[n];
        const auto largest = [](const Vector<int32_t> &pairs) {
            int low = 0, high = 0;
            for (const int32_t x : pairs)
                low = std::max(low, std::abs(int{static_cast<int16_t>(x)})), high = std::max(high, std::abs(x >> 16));
            return std::pair<int64_t, int64_t>(low, high);
        };
        const auto in = largest(b.full() ? pre : boxes), out = largest(post);
        const int64_t each = std::max<int64_t>(1, in.first * out.first + in.second * out.second);
        const int64_t most = each * net.layers[n + 1].positions(),
                      scaled = most * b.weight_rate + (int64_t{1} << (b.weight_shift - 1));
        span = static_cast<int>(std::min<int64_t>(INT32_MAX / each, INT32_MAX));
        wide_g = most > INT32_MAX || scaled >> b.weight_shift > INT32_MAX;
        narrow = scaled <= INT32_MAX;
    }

    void dense(int n) {
        const Bundle &b = net.bundle[n];
        const int width = static_cast<int>(row(n)) / LANES;
        const Int *in = reinterpret_cast<const Int *>(pre.data());
        for (int o = 0; o < net.layers[n + 1].channels; o++) {
            if (!post[o]) continue;
            Int *to = reinterpret_cast<Int *>(weights[n].data() + o * row(n));
            for (int i = 0; i < width; i++) to[i] += update(b, pair_dot(in[i], Int{} + post[o]));
        }
    }

    static constexpr int BLOCK = 8; // vectors of post channels whose sums stay in registers

    template <bool WIDE> void conv(int n) {
        const int width = wide(n + 1) / LANES;
        int first = 0;
        for (; first + BLOCK <= width; first += BLOCK) block<WIDE, BLOCK>(n, first);
        if (first + 4 <= width) block<WIDE, 4>(n, first), first += 4;
        if (first + 2 <= width) block<WIDE, 2>(n, first), first += 2;
        if (first < width) block<WIDE, 1>(n, first);
    }

    template <bool WIDE, int VECTORS> void block(int n, int first) {
        const Bundle &b = net.bundle[n];
        const Layer &below = net.layers[n], &above = net.layers[n + 1];
        const int channels = below.channels, row = (framed(n, below.width) - 1) * channels, width = wide(n + 1) / LANES;
        for (int tap = 0; tap < b.taps(); tap++)
            for (int c = 0; c < below.channels; c++) {
                const int32_t *from = boxes.data() + tap / b.kernel * row + tap % b.kernel * channels + c;
                const Int *out = reinterpret_cast<const Int *>(post.data()) + first;
                Int g[VECTORS] = {};
                [[maybe_unused]] Long total[VECTORS] = {};
                [[maybe_unused]] int room = span;
                for (int y = 0; y < above.height; y++)
                    for (int x = 0; x < above.width; x++, out += width) {
                        const Int in = Int{} + from[2 * y * row + 2 * x * channels];
                        for (int i = 0; i < VECTORS; i++) g[i] += pair_dot(in, out[i]);
                        if constexpr (WIDE)
                            if (!--room) {
                                room = span;
                                for (int i = 0; i < VECTORS; i++)
                                    total[i] += __builtin_convertvector(g[i], Long), g[i] = Int{};
                            }
                    }
                Int *to = reinterpret_cast<Int *>(weights[n].data()) +
                          (static_cast<size_t>(tap) * channels + c) * width + first;
                for (int i = 0; i < VECTORS; i++)
                    if constexpr (WIDE) to[i] += update_wide(b, total[i] + __builtin_convertvector(g[i], Long));
                    else to[i] += update(b, g[i]);
            }
    }

    // golden.model.ops.update: one rounding and one clip.
    Int update(const Bundle &b, Int g) const {
        return clip(narrow ? scaled_narrow(g, b.weight_rate, b.weight_shift) : scaled(g, b.weight_rate, b.weight_shift),
                    -net.update_bound, net.update_bound);
    }
    Int update_wide(const Bundle &b, const Long &g) const {
        Int to;
        const int64_t half = int64_t{1} << (b.weight_shift - 1), bound = net.update_bound;
        for (int l = 0; l < LANES; l++)
            to[l] = static_cast<int32_t>(std::clamp((g[l] * b.weight_rate + half) >> b.weight_shift, -bound, bound));
        return to;
    }
};

} // namespace
