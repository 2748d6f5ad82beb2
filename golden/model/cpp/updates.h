// Updates of weights and biases from the window sums of the two nudged phases.
#pragma once

#include <cstdint>
#include <vector>
#include "drives.h"
#include "kept.h"
#include "lanes.h"
#include "network.h"

namespace {

struct Updates {
    const Network &net;
    Ints pre_boxes[2];

    // One rounding and one clip for each sample, then the sum over samples. Empty lanes give 0 from g = 0.
    int64_t update(Int g, Int present, int rate, int shift) const {
        const Long exact = (__builtin_convertvector(g & present, Long) * rate + (int64_t{1} << (shift - 1))) >> shift;
        return lane_sum(clip(__builtin_convertvector(exact, Int), -net.update_bound, net.update_bound));
    }

    // Add those of LANES samples to `weights` and `biases`, bundle after bundle. plus, minus: sums of each layer; layer 0's are
    // unused, its images are the same in both phases. present: all ones in the lanes that hold a sample.
    void add(const std::vector<Ints> &plus, const std::vector<Ints> &minus, const Ints &images, Int present, int64_t *weights,
             int64_t *biases) {
        for (int n = 0; n < net.bundles; n++) {
            const Bundle &b = net.bundle[n];
            const Layer &pre = net.layers[n], &post = net.layers[n + 1];
            const Int *post_plus = plus[n + 1].data(), *post_minus = minus[n + 1].data();
            const int positions = post.positions();
            for (int o = 0; o < post.channels; o++) {
                Int g = {};
                for (int i = o * positions; i < (o + 1) * positions; i++) g += post_plus[i] - post_minus[i];
                *biases++ += update(g, present, b.bias_rate, net.bias_shift);
            }
            if (b.kind == DENSE) {
                const Int *pre_plus = plus[n].data(), *pre_minus = minus[n].data();
                for (int o = 0; o < post.channels; o++)
                    for (int i = 0; i < pre.neurons(); i++)
                        *weights++ += update(pre_plus[i] * post_plus[o] - pre_minus[i] * post_minus[o], present, b.weight_rate,
                                             b.weight_shift);
                continue;
            }
            box_sums(pre, pre.channels, n ? plus[n] : images, pre_boxes[0]);
            if (n) box_sums(pre, pre.channels, minus[n], pre_boxes[1]);
            weights = conv(n, pre_boxes[0].data(), pre_boxes[n ? 1 : 0].data(), post_plus, post_minus, present, weights);
        }
    }

    // Of a convolution's weights, from box sums below and window sums above; the end of the weights that were added to.
    int64_t *conv(int n, const Int *pre_plus, const Int *pre_minus, const Int *post_plus, const Int *post_minus, Int present,
                  int64_t *weights) const {
        const Bundle &b = net.bundle[n];
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int row = pre.width - 1, plane = (pre.height - 1) * row, positions = post.positions();
        for (int o = 0; o < post.channels; o++)
            for (int c = 0; c < pre.channels; c++)
                for (int ky = 0; ky < b.kernel; ky++)
                    for (int kx = 0; kx < b.kernel; kx++) {
                        Int g = {};
                        for (int py = 0; py < post.height; py++)
                            for (int px = 0; px < post.width; px++) {
                                const int from = c * plane + (2 * py + ky) * row + 2 * px + kx;
                                const int to = o * positions + py * post.width + px;
                                g += pre_plus[from] * post_plus[to] - pre_minus[from] * post_minus[to];
                            }
                        *weights++ += update(g, present, b.weight_rate, b.weight_shift);
                    }
        return weights;
    }
};

} // namespace
