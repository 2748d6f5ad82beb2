// Updates of weights and biases from the window sums of the two nudged phases.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>
#include "drives.h"
#include "kernel.h"
#include "kept.h"
#include "lanes.h"
#include "network.h"
#include "team.h"

namespace {

constexpr int BLOCK = 8;   // outputs that share each load of an input: their sums stay in registers
constexpr int AHEAD = 512; // sums of updates prefetched ahead

struct Updates {
    const Network &net;
    Ints pre, boxes, post, by_sample, first, second;

    // Allocates all memory now: in a team, no member may stop for lack of it.
    explicit Updates(const Network &net) : net(net) {
        for (int n = 0; n < net.bundles; n++) {
            const Layer &below = net.layers[n], &above = net.layers[n + 1];
            const size_t inputs = below.neurons(), outputs = above.neurons();
            pre.reserve(inputs);
            if (net.bundle[n].full()) by_sample.reserve(static_cast<size_t>(blocks(below.neurons(), LANES)) * LANES);
            else boxes.reserve(static_cast<size_t>(below.channels) * box_positions(below));
            post.reserve(static_cast<size_t>(blocks(above.channels, BLOCK)) * BLOCK * above.positions());
            for (Ints *x : {&first, &second}) x->reserve(std::max(inputs, outputs));
        }
    }

    // Prepare a bundle's inputs of `add`. plus, minus, free: window sums of each layer; layer 0's are unused,
    // because the images are the same in all phases. present: all ones in lanes with a sample.
    void prepare(int n, const std::vector<Ints> &plus, const std::vector<Ints> &minus, const std::vector<Ints> &free,
                 const Ints &images, Int present) {
        const Bundle &b = net.bundle[n];
        const Layer &below = net.layers[n], &above = net.layers[n + 1];
        if (n && net.fine) pack_deviations(n, above, plus, minus, free, present);
        else {
            pack_post(above, plus[n + 1], minus[n + 1], present);
            pack_pre(n ? plus[n] : images, n ? minus[n] : images);
        }
        if (b.full()) lay_by_sample(below);
        else box_planes(below, below.channels, pre, boxes);
    }

    // Add the updates of LANES samples to a bundle's `weights` and `biases`, for a share of its outputs.
    void add(int n, const std::vector<Ints> &plus, const std::vector<Ints> &minus, Int present, Share share, int64_t *weights,
             int64_t *biases) const {
        const Bundle &b = net.bundle[n];
        const Layer &below = net.layers[n], &above = net.layers[n + 1];
        add_biases(b, above, plus[n + 1], minus[n + 1], present, share, biases);
        if (b.full()) b.narrow ? dense<true>(b, below, share, weights) : dense<false>(b, below, share, weights);
        else conv(b, below, above, share, weights);
    }

  private:
    // g = sum of pre+ post+ - pre- post- is a sum of dot products of pairs: (pre+, pre-) and (post+, -post-).
    void pack_pre(const Ints &plus, const Ints &minus) {
        pre.resize(plus.size());
        for (size_t i = 0; i < plus.size(); i++) pre[i] = plus[i] | minus[i] << 16;
    }

    // golden.model.ops.deviation_sums.
    void pack_deviations(int n, const Layer &layer, const std::vector<Ints> &plus, const std::vector<Ints> &minus,
                         const std::vector<Ints> &free, Int present) {
        const int lost = net.point[n] - net.point[n + 1], half = lost ? 1 << (lost - 1) : 0, top = net.averaging_window << net.one_bits;
        const auto mean = [&](int n, size_t i) {
            return clip(free[n][i] + ((plus[n][i] + minus[n][i]) >> (net.point[n] + 1)), 0, top);
        };
        const auto moved = [&](int n, size_t i) { return plus[n][i] - minus[n][i]; };
        first.resize(plus[n].size());
        second.resize(plus[n].size());
        for (size_t i = 0; i < first.size(); i++) {
            first[i] = mean(n, i);
            second[i] = (moved(n, i) + half) >> lost;
        }
        pack_pre(first, second);
        first.resize(plus[n + 1].size());
        second.resize(first.size());
        for (size_t i = 0; i < first.size(); i++) {
            first[i] = moved(n + 1, i);
            second[i] = -mean(n + 1, i);
        }
        pack_post(layer, first, second, present);
    }

    // Pack in processing order of BLOCK outputs: (block, position, output); absent outputs and samples are 0.
    void pack_post(const Layer &above, const Ints &plus, const Ints &minus, Int present) {
        const int positions = above.positions();
        post.assign(static_cast<size_t>(blocks(above.channels, BLOCK)) * positions * BLOCK, Int{});
        for (int o = 0; o < above.channels; o++)
            for (int p = 0; p < positions; p++) {
                const int i = o * positions + p;
                post[(o / BLOCK * positions + p) * BLOCK + o % BLOCK] = ((plus[i] & 0xffff) | -minus[i] << 16) & present;
            }
    }

    void add_biases(const Bundle &b, const Layer &above, const Ints &plus, const Ints &minus, Int present, Share share,
                    int64_t *to) const {
        const int positions = above.positions();
        for (int first = share.first; first < share.end; first += BLOCK) {
            const int count = std::min(BLOCK, share.end - first);
            Int g[BLOCK] = {};
            for (int j = 0; j < count; j++)
                for (int i = (first + j) * positions; i < (first + j + 1) * positions; i++) g[j] += (plus[i] - minus[i]) & present;
            add_block(g, count, b.bias_rate, net.bias_shift, to + first, 1);
        }
    }

    void lay_by_sample(const Layer &below) {
        const int inputs = below.neurons();
        by_sample.assign(static_cast<size_t>(blocks(inputs, LANES)) * LANES, Int{});
        for (int i = 0; i < inputs; i++)
            for (int l = 0; l < LANES; l++) by_sample[i / LANES * LANES + l][i % LANES] = pre[i][l];
    }

    // Dense weights (output, input): LANES inputs of an output at a time, sample after sample. Samples with
    // both of an output's sums 0 are skipped; there are many.
    template <bool NARROW> void dense(const Bundle &b, const Layer &below, Share share, int64_t *weights) const {
        const int inputs = below.neurons();
        weights += static_cast<size_t>(share.first) * inputs;
        for (int o = share.first; o < share.end; o++, weights += inputs) {
            const Int sums = post[o]; // one position: blocks of outputs are contiguous
            int lane[LANES], active = 0;
            Int to[LANES];
            for (int l = 0; l < LANES; l++)
                if (sums[l]) lane[active] = l, to[active++] = Int{} + sums[l];
            if (!active) continue;
            for (int i = 0; i < inputs; i += LANES) {
                const Int *in = by_sample.data() + i;
                int64_t *at = weights + i;
                __builtin_prefetch(at + AHEAD, 1); // it is in no near cache, and is written
                __builtin_prefetch(at + AHEAD + 8, 1);
                Int total = {};
                for (int n = 0; n < active; n++)
                    total += update<NARROW>(pair_dot(Int{}, in[lane[n]], to[n]), b.weight_rate, b.weight_shift);
                if (i + LANES > inputs)
                    for (int j = 0; i + j < inputs; j++) at[j] += total[j];
                else
                    for (int j = 0; j < LANES; j++) at[j] += total[j];
            }
        }
    }

    // Convolution weights (output, channel, tap), from box sums below and window sums above.
    void conv(const Bundle &b, const Layer &below, const Layer &above, Share share, int64_t *weights) const {
        const int row = below.width - 1, plane = (below.height - 1) * row, k = b.kernel, inputs = below.channels * k * k;
        for (int first = share.first; first < share.end; first += BLOCK)
            for (int i = 0; i < inputs; i++) {
                const int tap = i % (k * k);
                const Int *from = boxes.data() + i / (k * k) * plane + tap / k * row + tap % k;
                const Int *to = post.data() + static_cast<size_t>(first) * above.positions();
                Int g[BLOCK] = {};
                for (int py = 0; py < above.height; py++)
                    for (int px = 0; px < above.width; px++, to += BLOCK) {
                        const Int in = from[2 * py * row + 2 * px];
                        for (int j = 0; j < BLOCK; j++) g[j] = pair_dot(g[j], in, to[j]);
                    }
                add_block(g, std::min(BLOCK, share.end - first), b.weight_rate, b.weight_shift, weights + first * inputs + i, inputs);
            }
    }

    // golden.model.ops.update of each sample: one rounding and one clip.
    template <bool NARROW = false> Int update(Int g, int rate, int shift) const {
        return clip(NARROW ? scaled_narrow(g, rate, shift) : scaled(g, rate, shift), -net.update_bound, net.update_bound);
    }

    // Add `count` updates, summed over samples, to `to`, at distances of `stride`.
    void add_block(Int (&g)[BLOCK], int count, int rate, int shift, int64_t *to, int64_t stride) const {
        for (Int &each : g) each = update(each, rate, shift);
        int32_t sums[BLOCK];
        lane_sums(g, sums);
        for (int j = 0; j < count; j++) to[j * stride] += sums[j];
    }
};

} // namespace
