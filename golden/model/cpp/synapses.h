// Working weights of a bundle as rows, in both directions, and which rows the spikes select.
#pragma once

#include <algorithm>
#include <cstdint>
#include "events.h"
#include "network.h"

namespace {

// Sums of 2x2 neighbours at stride 1: what one tap reads under a pooled position. (height, width, channels)
// to (height - 1, width - 1, channels).
inline void box_sums(int height, int width, int channels, const int32_t *in, int32_t *out) {
    const int row = width * channels, kept = row - channels;
    for (int y = 0; y + 1 < height; y++, in += row, out += kept)
        for (int i = 0; i < kept; i++) out[i] = in[i] + in[i + channels] + in[i + row] + in[i + row + channels];
}

// A convolution and its average pool are one convolution with stride 2 and kernels of k + 1, the sums of four
// shifted copies. Over blocks of 2x2 positions, that is one with stride 1 and kernels of side x side blocks.
// A dense bundle is a kernel of one block, the whole layer.
struct Synapses {
    const Bundle &bundle;
    const Map pre, post;
    const int side;
    Rows forward;  // (block of the kernel, neuron of the block) to the channels of a post position
    Rows backward; // (block of the kernel, post channel) to the neurons of a pre block

    Synapses(const Network &net, int n)
        : bundle(net.bundle[n]), pre(net, n), post(net, n + 1),
          side(bundle.kind == CONV ? (bundle.kernel + 2) / 2 : 1) {}

    // Fill `forward`. w: working weights (post channel, pre channel, tap), or in dense bundles (post, pre
    // channel, position).
    void fill_forward(const int8_t *w) {
        const int inputs = pre.channels * taps();
        forward.resize(side * side * pre.block, post.channels);
        for (int c = 0; c < pre.channels; c++)
            fold(
                post.channels, [=](int o, int tap) { return w[o * inputs + c * taps() + tap]; },
                [&](int block, int position) { return forward.row(block * pre.block + position * pre.channels + c); });
        forward.bound();
    }

    void fill_backward(const int8_t *w) {
        const int inputs = pre.channels * taps();
        backward.resize(side * side * post.channels, pre.block);
        for (int o = 0; o < post.channels; o++)
            fold(
                pre.channels, [=](int c, int tap) { return w[o * inputs + c * taps() + tap]; },
                [&](int block, int position) {
                    return backward.row(block * post.channels + o) + position * pre.channels;
                });
        backward.bound();
    }

    // Most rows that `from_below` or `from_above` selects.
    int most() const { return side * side * std::max(pre.block, post.channels); }

    // Select the rows of `forward` by the pre layer's spikes, of either sign, that drive position (y, x) of
    // the post layer.
    void from_below(int y, int x, const Spikes &spikes, Selected &up, Selected &down) const {
        up.count = down.count = 0;
        for (int row = 0; row < side; row++) {
            const int block = (y + row) * pre.columns + x;
            select(spikes, block * pre.inside, (block + side) * pre.inside, (row * side - block) * pre.block, up, down);
        }
    }

    // Select the rows of `backward` by the post layer's spikes that drive block (y, x) of the pre layer.
    void from_above(int y, int x, const Spikes &spikes, Selected &up, Selected &down) const {
        up.count = down.count = 0;
        for (int py = std::max(0, y - side + 1); py <= std::min(y, post.height - 1); py++)
            for (int px = std::max(0, x - side + 1); px <= std::min(x, post.width - 1); px++) {
                const int position = post.position(py, px), row = ((y - py) * side + x - px) * post.channels;
                select(spikes, position, position + 1, row - post.neuron(position), up, down);
            }
    }

  private:
    int taps() const { return bundle.kind == CONV ? bundle.taps() : pre.inside; }

    // Add weight(i, tap), for i < count, to the rows to(block of the kernel, position in it), which are 0.
    template <typename Weight, typename To> void fold(int count, Weight weight, To to) const {
        Vector<int16_t> all(static_cast<size_t>(taps()) * count);
        for (int i = 0; i < count; i++)
            for (int tap = 0; tap < taps(); tap++) all[tap * count + i] = weight(i, tap);
        const auto add = [&](int tap, int16_t *row) {
            for (int i = 0; i < count; i++) row[i] += all[tap * count + i];
        };
        for (int tap = 0; tap < taps(); tap++) {
            if (bundle.kind == DENSE) add(tap, to(0, tap));
            else
                for (int y = tap / bundle.kernel, dy = y; dy < y + 2; dy++)
                    for (int x = tap % bundle.kernel, dx = x; dx < x + 2; dx++)
                        add(tap, to(dy / 2 * side + dx / 2, dy % 2 * 2 + dx % 2));
        }
    }

    // Append the rows of the spikes at positions first .. end - 1.
    static void select(const Spikes &spikes, int first, int end, int32_t base, Selected &up, Selected &down) {
        up.append(spikes.up.spikes, spikes.up.first[first], spikes.up.first[end], base);
        if (spikes.down.count())
            down.append(spikes.down.spikes, spikes.down.first[first], spikes.down.first[end], base);
    }
};

} // namespace
