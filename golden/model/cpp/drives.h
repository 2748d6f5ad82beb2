// Drives of a layer by its neighbours' spikes, and of layer 1 by the image.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>
#include "kernel.h"
#include "kept.h"
#include "lanes.h"
#include "network.h"

namespace {

// 2x2 sums at stride 1 of planes (h, w): what one pooled position sees through one tap.
inline void box_sums(const Layer &layer, int planes, const Ints &in, Ints &out) {
    const int h = layer.height, w = layer.width;
    out.resize(static_cast<size_t>(planes) * (h - 1) * (w - 1));
    Int *to = out.data();
    for (int c = 0; c < planes; c++)
        for (int y = 0; y + 1 < h; y++)
            for (int x = 0; x + 1 < w; x++) {
                const Int *a = in.data() + (c * h + y) * w + x;
                *to++ = a[0] + a[1] + a[w] + a[w + 1];
            }
}

struct Drives {
    const Network &net;
    const std::vector<Kernels> &kernels; // of each bundle
    Ints boxes, taps;

    // Once for each sample: the first bundle's drive, rounded to phi's LSB. weights: of that bundle.
    void image(const int32_t *weights, const Ints &images, Ints &phi) {
        const Layer &pre = net.layers[0], &post = net.layers[1];
        const int k = net.bundle[0].kernel, row = pre.width - 1;
        box_sums(pre, 1, images, boxes);
        phi.resize(post.neurons());
        Int *to = phi.data();
        for (int o = 0; o < post.channels; o++)
            for (int py = 0; py < post.height; py++)
                for (int px = 0; px < post.width; px++) {
                    Int sum = Int{} + (1 << (net.static_shift - 1));
                    for (int tap = 0; tap < k * k; tap++)
                        sum += weights[o * k * k + tap] * boxes[(2 * py + tap / k) * row + 2 * px + tap % k];
                    *to++ = sum >> net.static_shift;
                }
    }

    // phi[o][p] = sum of w * box sums, one stride-2 window a position.
    void conv_forward(int n, const Ints &s, Ints &phi) {
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int k = net.bundle[n].kernel, row = pre.width - 1, plane = (pre.height - 1) * row, quads = pre.words(1);
        box_sums(pre, quads, s, boxes);
        std::vector<int> offset;
        for (int q = 0; q < quads; q++)
            for (int tap = 0; tap < k * k; tap++) offset.push_back(q * plane + tap / k * row + tap % k);
        by_places(post.positions(), [&](auto count, int first) {
            const Int *at[count()];
            for (int i = 0; i < count(); i++) {
                const int p = first + i;
                at[i] = boxes.data() + 2 * (p / post.width) * row + 2 * (p % post.width);
            }
            for (int o = 0; o < post.channels; o += BLOCK) {
                Int *to = phi.data() + o * post.positions() + first;
                const int present = post.channels - o;
                kernels[n].forward.drive<count()>(
                    o, [&](int place, int i) { return at[place][offset[i]]; },
                    [&](int place, int j, Int drive) {
                        if (j < present) to[j * post.positions() + place] = drive;
                    });
            }
        });
    }

    // work(how many, the first) for all positions, PLACES at a time, the rest one by one; how many is known to the compiler.
    template <typename Work> static void by_places(int positions, Work work) {
        int first = 0;
        for (; first + PLACES <= positions; first += PLACES) work(std::integral_constant<int, PLACES>{}, first);
        for (; first < positions; first++) work(std::integral_constant<int, 1>{}, first);
    }

    // The transpose: k*k tap sums for each pooled position, folded to the (k+1)*(k+1) positions that it sees.
    void conv_backward(int n, const Ints &s, Ints &phi) {
        // the loops of a known size are unrolled: a third of the time
        if (net.bundle[n].kernel == 3) conv_backward_of<3>(n, s, phi);
        else if (net.bundle[n].kernel == 5) conv_backward_of<5>(n, s, phi);
        else conv_backward_of<0>(n, s, phi);
    }

    // KERNEL: the bundle's, or 0 for any.
    template <int KERNEL> void conv_backward_of(int n, const Ints &s, Ints &phi) {
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int k = KERNEL ? KERNEL : net.bundle[n].kernel, count = pre.channels * k * k, plane = post.positions();
        const int size = blocks(count, BLOCK) * BLOCK;
        taps.resize(PLACES * size);
        by_places(plane, [&](auto places, int first) {
            const Int *at = s.data() + first;
            for (int i = 0; i < count; i += BLOCK)
                kernels[n].backward.drive<places()>(
                    i, [&](int place, int q) { return at[q * plane + place]; },
                    [&](int place, int j, Int drive) { taps[place * size + i + j] = drive; });
            for (int place = 0; place < places(); place++)
                for (int c = 0; c < pre.channels; c++) {
                    const Int *tap = taps.data() + place * size + c * k * k;
                    const int p = first + place;
                    fold(tap, k, phi.data() + (c * pre.height + 2 * (p / post.width)) * pre.width + 2 * (p % post.width), pre.width);
                }
        });
    }

    // to[y][x] += sum of the taps at (y, x), (y - 1, x), (y, x - 1), (y - 1, x - 1): columns first, then rows.
    static void fold(const Int *tap, int k, Int *to, int row) {
        for (int x = 0; x <= k; x++) {
            Int above = {};
            for (int y = 0; y <= k; y++) {
                Int here = {};
                if (y < k && x < k) here += tap[y * k + x];
                if (y < k && x > 0) here += tap[y * k + x - 1];
                to[y * row + x] += here + above;
                above = here;
            }
        }
    }

    // The 4 brings dense drives from the weights' LSB to phi's; pooling brings it by itself.
    static void dense_forward(const Kernel &kernel, const Ints &s, Ints &phi) {
        dense(kernel, s, phi, [](Int &to, Int drive) { to = drive; });
    }
    static void dense_backward(const Kernel &kernel, const Ints &s, Ints &phi) {
        dense(kernel, s, phi, [](Int &to, Int drive) { to += drive; });
    }
    template <typename Put> static void dense(const Kernel &kernel, const Ints &s, Ints &phi, Put put) {
        const int outputs = static_cast<int>(phi.size());
        for (int o = 0; o < outputs; o += BLOCK)
            kernel.drive<1>(
                o, [&](int, int i) { return s[i]; },
                [&](int, int j, Int drive) {
                    if (o + j < outputs) put(phi[o + j], drive << 2);
                });
    }
};

} // namespace
