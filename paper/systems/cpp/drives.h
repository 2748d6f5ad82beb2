// Both terms of eq. 9 for one link, for TEAM times LANES samples.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>
#include "across.h"
#include "lanes.h"
#include "network.h"

namespace {

// Outputs that share one load of an input; the BLOCK * TEAM sums stay in registers, of which AVX-512 has 32, others 16.
constexpr int BLOCK = LANES == 16 ? 8 : 6;

inline int blocks(int n) { return (n + BLOCK - 1) / BLOCK; }

// Weights in the order of the loop: for each BLOCK of outputs, for each input, BLOCK weights.
struct Kernel {
    int inputs = 0;
    std::vector<float> block;

    Kernel() = default;

    // The weight of output o from input i: scale * w[o * per_output + i * per_input].
    Kernel(const float *w, int outputs, size_t per_output, int count, size_t per_input, float scale) : inputs(count) {
        block.assign(static_cast<size_t>(blocks(outputs)) * inputs * BLOCK, 0.0f);
        for (int o = 0; o < outputs; o++)
            for (int i = 0; i < inputs; i++)
                block[(static_cast<size_t>(o / BLOCK) * inputs + i) * BLOCK + o % BLOCK] = scale * w[o * per_output + i * per_input];
    }

    // Call put(g, j, drive of output first + j) for g < TEAM, j < BLOCK, also past the last output. input(i)
    // points to TEAM vectors. `first` is a multiple of BLOCK.
    template <int TEAM, typename Input, typename Put> void drive(int first, Input input, Put put) const {
        Vec sums[TEAM * BLOCK] = {};
        const float *w = block.data() + static_cast<size_t>(first) * inputs;
        for (int i = 0; i < inputs; i++, w += BLOCK) {
            const Vec *const in = input(i);
            Vec here[TEAM];
            for (int g = 0; g < TEAM; g++) here[g] = in[g];
            for (int n = 0; n < TEAM * BLOCK; n++) sums[n] += here[n % TEAM] * w[n / TEAM];
        }
        for (int n = 0; n < TEAM * BLOCK; n++) put(n % TEAM, n / TEAM, sums[n]);
    }
};

// The weights of a link, and its drives in both directions.
struct Joint {
    const Link link;
    const Layer pre, post;
    Kernel forward_kernel, backward_kernel;
    Across forward_across, backward_across; // of a dense link, instead of the kernels, if `across`
    const bool across;

    // Number of weights per output, which is the number of inputs of one position.
    static int inner(const Link &l, const Layer &pre) { return l.kind == DENSE ? pre.neurons() : pre.channels * l.kernel * l.kernel; }

    // outputs_across: use Across; requires a dense link.
    Joint(const Link &l, const Layer &below, const Layer &above, const float *w, bool outputs_across)
        : link(l), pre(below), post(above), across(outputs_across) {
        const int in = inner(l, below);
        if (across) {
            forward_across = Across(w, above.channels, in, in, 1, l.forward_scale);
            backward_across = Across(w, in, 1, above.channels, in, l.backward_scale);
        } else {
            forward_kernel = Kernel(w, above.channels, in, in, 1, l.forward_scale);
            backward_kernel = Kernel(w, in, 1, above.channels, in, l.backward_scale);
        }
    }

    // Write phi of the post layer, for at least `present` samples. s: of the pre layer, TEAM vectors per
    // neuron. live: its neurons that aren't 0 in all samples; others may be skipped. null: all are read.
    template <int TEAM> void forward(const Vecs &s, Vecs &phi, Vecs &boxes, int present, const std::vector<int> *live) const {
        if (across) return forward_across.drive<TEAM>(s, present, live, [](float &to, float sum) { to = sum; }, phi);
        if (link.kind == DENSE) {
            for (int o = 0; o < post.channels; o += BLOCK)
                forward_kernel.drive<TEAM>(
                    o, [&](int i) { return s.data() + i * TEAM; },
                    [&](int g, int j, Vec sum) {
                        if (o + j < post.channels) phi[(o + j) * TEAM + g] = sum;
                    });
            return;
        }
        const int row = pre.width - 1, plane = (pre.height - 1) * row, k = link.kernel;
        box_sums<TEAM>(s, boxes);
        std::vector<int> offset;
        for (int i = 0; i < forward_kernel.inputs; i++)
            offset.push_back((i / (k * k) * plane + i % (k * k) / k * row + i % k) * TEAM);
        for (int p = 0; p < post.positions(); p++) {
            const Vec *const at = boxes.data() + (2 * (p / post.width) * row + 2 * (p % post.width)) * TEAM;
            for (int o = 0; o < post.channels; o += BLOCK)
                forward_kernel.drive<TEAM>(
                    o, [&](int i) { return at + offset[i]; },
                    [&](int g, int j, Vec sum) {
                        if (o + j < post.channels) phi[((o + j) * post.positions() + p) * TEAM + g] = sum;
                    });
        }
    }

    // Add to phi of the pre layer. s: of the post layer. taps: buffer for the taps of one position.
    template <int TEAM> void backward(const Vecs &s, Vecs &phi, Vecs &taps, int present) const {
        if (across) return backward_across.drive<TEAM>(s, present, nullptr, [](float &to, float sum) { to += sum; }, phi);
        const int outputs = inner(link, pre), positions = post.positions(), k = link.kernel;
        if (link.kind == DENSE) {
            for (int o = 0; o < outputs; o += BLOCK)
                backward_kernel.drive<TEAM>(
                    o, [&](int i) { return s.data() + i * TEAM; },
                    [&](int g, int j, Vec sum) {
                        if (o + j < outputs) phi[(o + j) * TEAM + g] += sum;
                    });
            return;
        }
        taps.resize(static_cast<size_t>(blocks(outputs)) * BLOCK * TEAM);
        for (int p = 0; p < positions; p++) {
            for (int o = 0; o < outputs; o += BLOCK)
                backward_kernel.drive<TEAM>(
                    o, [&](int i) { return s.data() + (i * positions + p) * TEAM; },
                    [&](int g, int j, Vec sum) { taps[(o + j) * TEAM + g] = sum; });
            for (int c = 0; c < pre.channels; c++) {
                Vec *const to = phi.data() + ((c * pre.height + 2 * (p / post.width)) * pre.width + 2 * (p % post.width)) * TEAM;
                if (k == 3) fold<TEAM, 3>(taps.data() + c * k * k * TEAM, k, to);
                else fold<TEAM, 0>(taps.data() + c * k * k * TEAM, k, to);
            }
        }
    }

  private:
    // 2x2 sums at stride 1: the input of one pooled position through one tap of the kernel.
    template <int TEAM> void box_sums(const Vecs &s, Vecs &boxes) const {
        const int h = pre.height, w = pre.width;
        boxes.resize(static_cast<size_t>(pre.channels) * (h - 1) * (w - 1) * TEAM);
        Vec *to = boxes.data();
        for (int c = 0; c < pre.channels; c++)
            for (int y = 0; y + 1 < h; y++)
                for (int x = 0; x + 1 < w; x++)
                    for (int g = 0; g < TEAM; g++) {
                        const Vec *a = s.data() + ((c * h + y) * w + x) * TEAM + g;
                        *to++ = (a[0] + a[TEAM]) + (a[w * TEAM] + a[(w + 1) * TEAM]);
                    }
    }

    // to[y][x] += tap[y][x] + tap[y - 1][x] + tap[y][x - 1] + tap[y - 1][x - 1]. KNOWN: kernel size if
    // constant, else 0.
    template <int TEAM, int KNOWN> void fold(const Vec *tap, int kernel, Vec *to) const {
        const int k = KNOWN ? KNOWN : kernel;
        for (int g = 0; g < TEAM; g++)
            for (int x = 0; x <= k; x++) {
                Vec above = {};
                for (int y = 0; y <= k; y++) {
                    Vec here = {};
                    if (y < k && x < k) here += tap[(y * k + x) * TEAM + g];
                    if (y < k && x > 0) here += tap[(y * k + x - 1) * TEAM + g];
                    to[(y * pre.width + x) * TEAM + g] += here + above;
                    above = here;
                }
            }
    }
};

} // namespace
