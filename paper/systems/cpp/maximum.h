// Links of networks with maximum pooling, without spikes: one sample at a time, channels along vectors.
// Samples can't be along vectors here, since the index of a pool's maximum differs between samples, and each
// sample stops when it has settled.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lanes.h"
#include "network.h"

namespace {

inline int vectors(int channels) { return (channels + LANES - 1) / LANES; }

// In each lane, the index 0..3 of a pool's maximum, row by row.
using Places = int32_t __attribute__((vector_size(4 * LANES)));

// The weights of a link, and its drives in both directions. Maps have vectors(channels) vectors per position,
// row by row; a dense layer is one position. Lanes above `channels` in the last vector stay 0.
struct MaximumLink {
    const Link link;
    const Layer pre, post;
    const int pre_vectors, post_vectors;
    Vecs up;   // convolution: for each row, column and channel of the kernel, the outputs. Dense: empty
    Vecs down; // for each output (and row and column of the kernel), the inputs

    MaximumLink(const Link &l, const Layer &below, const Layer &above, const float *w)
        : link(l), pre(below), post(above), pre_vectors(vectors(below.channels)), post_vectors(vectors(above.channels)) {
        const int taps = link.kind == DENSE ? pre.positions() : link.kernel * link.kernel;
        down.resize(static_cast<size_t>(post.channels) * taps * pre_vectors);
        if (link.kind != DENSE) up.resize(static_cast<size_t>(taps) * pre.channels * post_vectors);
        for (int o = 0; o < post.channels; o++)
            for (int c = 0; c < pre.channels; c++)
                for (int tap = 0; tap < taps; tap++, w++) {
                    down[(static_cast<size_t>(o) * taps + tap) * pre_vectors + c / LANES][c % LANES] = *w;
                    if (link.kind != DENSE) up[(tap * pre.channels + c) * post_vectors + o / LANES][o % LANES] = *w;
                }
    }

    // Write phi of the post layer, and the maxima's indices to `where`. rows: buffer for two unpooled rows.
    void forward(const Vecs &s, Vecs &phi, std::vector<Places> &where, Vecs &rows) const {
        if (link.kind == DENSE) return dense(s, phi);
        const int width = 2 * post.width;
        rows.resize(static_cast<size_t>(2 * width) * post_vectors);
        for (int y = 0; y < post.height; y++) {
            for (int half = 0; half < 2; half++) convolve(s, 2 * y + half, width, rows.data() + half * width * post_vectors);
            for (int x = 0; x < post.width; x++)
                for (int v = 0; v < post_vectors; v++) {
                    const Vec *const four = rows.data() + 2 * x * post_vectors + v;
                    Vec largest = four[0];
                    Places place = {};
                    for (int q = 1; q < 4; q++) {
                        const Vec next = four[(q / 2 * width + q % 2) * post_vectors];
                        place = next > largest ? Places{} + q : place;
                        largest = next > largest ? next : largest;
                    }
                    phi[(y * post.width + x) * post_vectors + v] = largest;
                    where[(y * post.width + x) * post_vectors + v] = place;
                }
        }
    }

    // Add to phi of the pre layer. s: of the post layer. where: from `forward`.
    void backward(const Vecs &s, const std::vector<Places> &where, Vecs &phi) const {
        const bool dense = link.kind == DENSE;
        const int k = link.kernel, rows = dense ? 1 : k, row = dense ? pre.positions() * pre_vectors : k * pre_vectors;
        for (int o = 0; o < post.channels; o++) // its weights and the map stay in the L1 cache
            for (int p = 0; p < post.positions(); p++) {
                const size_t at = static_cast<size_t>(p) * post_vectors + o / LANES;
                const float sent = link.backward_scale * s[at][o % LANES];
                if (sent == 0.0f) continue;
                const int q = dense ? 0 : where[at][o % LANES];
                const int y = 2 * (p / post.width) + q / 2, x = 2 * (p % post.width) + q % 2;
                const Vec *w = down.data() + static_cast<size_t>(o) * rows * row;
                for (int i = 0; i < rows; i++, w += row) {
                    Vec *const to = phi.data() + static_cast<size_t>((y + i) * pre.width + x) * pre_vectors;
                    for (int j = 0; j < row; j++) to[j] += sent * w[j];
                }
            }
    }

  private:
    void dense(const Vecs &s, Vecs &phi) const {
        const Vec *w = down.data();
        for (int o = 0; o < post.channels; o++) {
            Vec sums[4] = {};
            for (size_t j = 0; j < s.size(); j++) sums[j % 4] += s[j] * w[j];
            w += s.size();
            const Vec four = (sums[0] + sums[1]) + (sums[2] + sums[3]);
            float sum = 0;
            for (int lane = 0; lane < LANES; lane++) sum += four[lane];
            phi[o / LANES][o % LANES] = sum;
        }
    }

    static constexpr int POSITIONS = 8; // that share a load of a weight; two vectors of outputs share an input's

    // Compute `width` positions of row y of the convolution. The blocks don't change the order of a sum.
    void convolve(const Vecs &s, int y, int width, Vec *to) const {
        for (int v = 0; v < post_vectors;) {
            const int step = std::min(2, post_vectors - v);
            for (int x = 0; x < width;) {
                const bool many = width - x >= POSITIONS;
                if (step == 2) many ? block<2, POSITIONS>(s, y, x, v, to) : block<2, 1>(s, y, x, v, to);
                else many ? block<1, POSITIONS>(s, y, x, v, to) : block<1, 1>(s, y, x, v, to);
                x += many ? POSITIONS : 1;
            }
            v += step;
        }
    }

    template <int VECS, int COUNT> void block(const Vecs &s, int y, int x, int v, Vec *to) const {
        const int apart = pre_vectors * LANES, k = link.kernel;
        const float *const in = reinterpret_cast<const float *>(s.data());
        const Vec *w = up.data() + v;
        Vec sums[COUNT][VECS] = {};
        for (int tap = 0; tap < k * k; tap++) {
            const float *at = in + static_cast<size_t>((y + tap / k) * pre.width + x + tap % k) * apart;
            for (int c = 0; c < pre.channels; c++, at++, w += post_vectors)
                for (int p = 0; p < COUNT; p++)
                    for (int n = 0; n < VECS; n++) sums[p][n] += at[p * apart] * w[n];
        }
        for (int p = 0; p < COUNT; p++)
            for (int n = 0; n < VECS; n++) to[(x + p) * post_vectors + v + n] = sums[p][n];
    }
};

} // namespace
