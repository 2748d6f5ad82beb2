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
#include "team.h"

namespace {

// 2x2 sums at stride 1 of planes (h, w): the inputs of one tap under a pooled position. to(plane, position):
// place of a sum.
template <typename To> inline void box_sums(const Layer &layer, Share planes, const Ints &in, To to) {
    const int h = layer.height, w = layer.width;
    for (int c = planes.first; c < planes.end; c++)
        for (int y = 0, i = 0; y + 1 < h; y++)
            for (int x = 0; x + 1 < w; x++, i++) {
                const Int *a = in.data() + (c * h + y) * w + x;
                to(c, i) = a[0] + a[1] + a[w] + a[w + 1];
            }
}

// Number of positions of a layer's box sums.
inline int box_positions(const Layer &layer) { return (layer.height - 1) * (layer.width - 1); }

// Box sums, plane after plane.
inline void box_planes(const Layer &layer, int planes, const Ints &in, Ints &out) {
    const int size = box_positions(layer);
    out.resize(static_cast<size_t>(planes) * size);
    box_sums(layer, {0, planes}, in, [&](int c, int i) -> Int & { return out[static_cast<size_t>(c) * size + i]; });
}

struct Drives {
    const Network &net;
    const std::vector<Kernels> &kernels; // per bundle
    Ints image_boxes;
    std::vector<Ints> taps; // per member of the team

    Drives(const Network &net, const std::vector<Kernels> &kernels, int members) : net(net), kernels(kernels), taps(members) {
        size_t most = 0;
        for (int n = 1; n < net.bundles; n++) {
            const size_t window = static_cast<size_t>(net.bundle[n].kernel) * net.bundle[n].kernel;
            if (net.bundle[n].kind == CONV) most = std::max(most, net.layers[n].channels * window);
        }
        for (Ints &each : taps) each.resize(Kernel::PLACES * most);
        if (!net.bundle[0].full()) image_boxes.resize(static_cast<size_t>(net.layers[0].channels) * box_positions(net.layers[0]));
    }

    // Called once per sample, before `image`.
    void begin(const Ints &images) {
        if (!net.bundle[0].full()) box_planes(net.layers[0], net.layers[0].channels, images, image_boxes);
    }

    // The first bundle's drive, once per sample, rounded to phi's LSB. weights: of that bundle.
    void image(const int8_t *weights, const Ints &images, Share share, Ints &phi) const {
        const Layer &pre = net.layers[0], &post = net.layers[1];
        const int k = net.bundle[0].kernel, row = pre.width - 1, plane = box_positions(pre);
        if (net.bundle[0].kind == PIXELS) return pixels(weights, images, share, phi);
        Int *to = phi.data() + share.first * post.positions();
        for (int o = share.first; o < share.end; o++)
            for (int py = 0; py < post.height; py++)
                for (int px = 0; px < post.width; px++) {
                    Int sum = Int{} + (1 << (net.static_shift - 1));
                    const int8_t *w = weights + o * pre.channels * k * k;
                    const Int *from = image_boxes.data() + 2 * py * row + 2 * px;
                    for (int c = 0; c < pre.channels; c++, from += plane)
                        for (int tap = 0; tap < k * k; tap++) sum += *w++ * from[tap / k * row + tap % k];
                    *to++ = sum >> net.static_shift;
                }
    }

    // `image` for a fully connected first bundle.
    void pixels(const int8_t *weights, const Ints &images, Share share, Ints &phi) const {
        weights += static_cast<size_t>(share.first) * images.size();
        for (int o = share.first; o < share.end; o++) {
            Int sum = Int{} + (1 << (net.static_shift - 1));
            for (const Int &pixel : images) sum += *weights++ * pixel;
            phi[o] = sum >> net.static_shift;
        }
    }

    // Words of a layer's box sums, including those that the last run may read beyond their end.
    static size_t box_words(const Layer &layer) { return static_cast<size_t>(layer.words(1)) * box_positions(layer) + TILE; }

    // Inputs of the convolution above a layer, for a share of the layer's channels; a position's words are
    // adjacent.
    static void box(const Layer &layer, const Ints &s, Share share, Ints &boxes) {
        const int quads = layer.words(1);
        const Share own{share.first / 4, (share.end + 3) / 4};
        box_sums(layer, own, s, [&](int q, int i) -> Int & { return boxes[static_cast<size_t>(i) * quads + q]; });
    }

    // phi[o][p] = sum of w * box sums, one stride-2 window per position.
    void conv_forward(int n, const Ints &boxes, Share share, Ints &phi) const {
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int row = pre.width - 1, quads = pre.words(1), plane = post.positions();
        by_places(plane, [&](auto count, int first) {
            const Int *at[count()];
            for (int i = 0; i < count(); i++) {
                const int p = first + i;
                at[i] = boxes.data() + (2 * (p / post.width) * row + 2 * (p % post.width)) * quads;
            }
            Int *to = phi.data() + first;
            kernels[n].forward.drive(at, share, [&](int place, int o, Int drive) { to[o * plane + place] = drive; });
        });
    }

    // Call work(count, first) for all positions: Kernel::PLACES at a time, the rest one by one. count is a
    // compile-time constant.
    template <typename Work> static void by_places(int positions, Work work) {
        int first = 0;
        for (; first + Kernel::PLACES <= positions; first += Kernel::PLACES) work(std::integral_constant<int, Kernel::PLACES>{}, first);
        for (; first < positions; first++) work(std::integral_constant<int, 1>{}, first);
    }

    // Transpose of conv_forward: k*k tap sums per pooled position, folded to the (k+1)*(k+1) positions that
    // it sees.
    void conv_backward(int n, const Ints &s, int member, Share share, Ints &phi) {
        // loops of known size are unrolled, which saves a third of the time
        if (net.bundle[n].kernel == 3) conv_backward_of<3>(n, s, taps[member], share, phi);
        else if (net.bundle[n].kernel == 5) conv_backward_of<5>(n, s, taps[member], share, phi);
        else conv_backward_of<0>(n, s, taps[member], share, phi);
    }

    // KERNEL: the bundle's kernel side, or 0 for any.
    template <int KERNEL> void conv_backward_of(int n, const Ints &s, Ints &taps, Share share, Ints &phi) const {
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int k = KERNEL ? KERNEL : net.bundle[n].kernel, size = pre.channels * k * k, plane = post.positions();
        by_places(plane, [&](auto places, int first) {
            const Int *at[places()];
            for (int place = 0; place < places(); place++) at[place] = s.data() + first + place;
            kernels[n].backward.drive(at, share.times(k * k), [&](int place, int i, Int drive) { taps[place * size + i] = drive; });
            for (int place = 0; place < places(); place++)
                for (int c = share.first; c < share.end; c++) {
                    const Int *tap = taps.data() + place * size + c * k * k;
                    const int p = first + place;
                    fold(tap, k, phi.data() + (c * pre.height + 2 * (p / post.width)) * pre.width + 2 * (p % post.width), pre.width);
                }
        });
    }

    // to[y][x] += sum of the taps at (y, x), (y - 1, x), (y, x - 1), (y - 1, x - 1): columns first, then
    // rows.
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

    // The factor 4 converts dense drives from the weights' LSB to phi's; in convolutions, pooling does.
    static void dense_forward(const Kernel &kernel, const Ints &s, Share share, Ints &phi) {
        kernel.drive<1, Kernel::DENSE_BLOCK>({s.data()}, share, [&](int, int o, Int drive) { phi[o] = drive << 2; });
    }
    // share: of neurons, not channels.
    static void dense_backward(const Kernel &kernel, const Ints &s, Share share, Ints &phi) {
        kernel.drive<1, Kernel::DENSE_BLOCK>({s.data()}, share, [&](int, int o, Int drive) { phi[o] += drive << 2; });
    }
};

} // namespace
