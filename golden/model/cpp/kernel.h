// Working weights in the order in which the loops of the drives read them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>
#include "kept.h"
#include "lanes.h"
#include "network.h"
#include "team.h"
#include "tiles.h"

namespace {

// Position of an output's input words, in Ints from its position's first: `runs` runs of `length` words.
struct Words {
    int runs, length, run_stride, stride;
};

// The neurons in word (run, i) of a bundle's driving side: channels 4 quad .. 4 quad + 3 at an inner
// position.
struct Quad {
    int quad, inner;
};

// Working weights in reading order: for each block of outputs, for each word, the four bytes of each output.
struct Kernel {
    // Sums that stay in registers. Convolution: BLOCK outputs at each of PLACES positions, which share each
    // load of a weight. Dense layer (one position, with words that exceed the nearest cache): DENSE_BLOCK
    // outputs, which share each load of a word.
#if defined(__AVX512VNNI__)
    static constexpr int BLOCK = 8, PLACES = 2, DENSE_BLOCK = 16; // with operands: 19 of 32 registers
#else
    static constexpr int BLOCK = 8, PLACES = 1, DENSE_BLOCK = 8;
#endif
    static constexpr int AHEAD = 64; // words prefetched ahead: 32 and 128 are slower by a hundredth

    Words words{};
    int outputs = 0;
    bool tiled = false;       // whether `drive` uses the matrix unit
    int wide = 0, padded = 0; // outputs per block; words per run with padding
    int count = 0;            // words per output
    Vector<int32_t> block;

    Kernel() = default;

    // The weight of output o from channel c at inner position x is w[o * per_output + c * per_channel + x].
    // behind(run, i): the Quad of a word.
    template <typename Behind>
    Kernel(const int8_t *w, int outputs, size_t per_output, int channels, size_t per_channel, Words words, int block_outputs,
           Behind behind)
        : words(words), outputs(outputs), tiled(NUDGE_TILES && words.runs * words.length >= FEWEST_TILED),
          wide(tiled ? TILE : block_outputs), padded(tiled ? blocks(words.length, TILE) * TILE : words.length),
          count(words.runs * padded) {
        block.assign(static_cast<size_t>(blocks(outputs, wide)) * count * wide, 0);
        for (int r = 0; r < words.runs; r++)
            for (int i = 0; i < words.length; i++) {
                const Quad at = behind(r, i);
                const int8_t *from = w + 4 * at.quad * per_channel + at.inner;
                const int present = std::min(4, channels - 4 * at.quad);
                for (int o = 0; o < outputs; o++, from += per_output) {
                    uint32_t word = 0;
                    for (int j = 0; j < present; j++) word |= (from[j * per_channel] & 255u) << 8 * j;
                    block[place(o, r * padded + i)] = static_cast<int32_t>(word);
                }
            }
    }

    // Index of word n of output o. With tiles, 16 words of an output are adjacent; otherwise a block's
    // outputs are, for each word.
    size_t place(int o, int n) const {
        if (tiled) return static_cast<size_t>(o / TILE) * count * TILE + (n / TILE * TILE + o % TILE) * TILE + n % TILE;
        return static_cast<size_t>(o / wide) * count * wide + n * wide + o % wide;
    }

    // Words that `drive` reads from the first word of the first place on, over all places.
    size_t reach() const { return tiled ? static_cast<size_t>(padded) * words.stride : 0; }

    // Call output(place, o, drive of output o) for a share's outputs at COUNT places. at: the first word of
    // each place.
    template <int COUNT, int WIDE = BLOCK, typename Output> void drive(const Int *const (&at)[COUNT], Share share, Output output) const {
#if NUDGE_TILES
        if (tiled) return drive_by_tiles(at, share, output);
#endif
        for (int first = share.first; first < share.end; first += WIDE) {
            Int a[COUNT * WIDE] = {};
            const int32_t *w = block.data() + static_cast<size_t>(first) * count;
            for (int r = 0; r < words.runs; r++)
                for (int n = 0; n < words.length; n++, w += WIDE) {
                    if constexpr (COUNT == 1) __builtin_prefetch(w + AHEAD * WIDE); // a dense layer's weights are in no near cache
                    Int in[COUNT];
                    for (int p = 0; p < COUNT; p++) in[p] = at[p][r * words.run_stride + n * words.stride];
                    for (int i = 0; i < COUNT * WIDE; i++) a[i] = dot(a[i], in[i % COUNT], w[i / COUNT]);
                }
            const int present = std::min(share.end - first, WIDE);
            for (int i = 0; i < COUNT * WIDE; i++)
                if (i / COUNT < present) output(i % COUNT, first + i / COUNT, a[i]);
        }
    }

#if NUDGE_TILES
  private:
    template <int COUNT, typename Output> void drive_by_tiles(const Int *const (&at)[COUNT], Share share, Output output) const {
        const int all = blocks(share.end, TILE);
        const size_t stride = static_cast<size_t>(count) * TILE;
        for (int b = share.first / TILE; b < all; b += 2) {
            Int rows[2 * COUNT][TILE];
            const int32_t *w = block.data() + b * stride;
            if (b + 1 < all) tile_products<2>(w, stride, words.runs, padded, words.run_stride, words.stride, at, rows);
            else tile_products<1>(w, 0, words.runs, padded, words.run_stride, words.stride, at, rows);
            const int present = std::min(share.end - b * TILE, 2 * TILE);
            for (int o = 0; o < present; o++)
                for (int p = 0; p < COUNT; p++) output(p, b * TILE + o, rows[o / TILE * COUNT + p][o % TILE]);
        }
    }
#endif
};

// Kernels of both directions of a bundle. Bundle 1 has none: box-summed pixels exceed a byte.
struct Kernels {
    Kernel forward, backward;

    Kernels(const Bundle &b, const Layer &pre, const Layer &post, const int8_t *w) {
        const int quads = pre.words(1), k = b.kernel;
        if (b.kind == CONV) {
            // a row of the window is one run: box sums have a position's channels next to each other
            const Words rows{k, k * quads, (pre.width - 1) * quads, 1}, above{1, post.words(1), 0, post.positions()};
            const int inner = pre.channels * k * k;
            forward = Kernel(w, post.channels, inner, pre.channels, k * k, rows, Kernel::BLOCK,
                             [&](int run, int i) { return Quad{i % quads, run * k + i / quads}; });
            backward = Kernel(w, inner, 1, post.channels, inner, above, Kernel::BLOCK, [](int, int i) { return Quad{i, 0}; });
        } else if (b.kind == DENSE) {
            const int positions = pre.positions(), inner = pre.neurons();
            const Words below{1, quads * positions, 0, 1}, above{1, post.words(1), 0, 1};
            forward = Kernel(w, post.channels, inner, pre.channels, positions, below, Kernel::DENSE_BLOCK,
                             [&](int, int i) { return Quad{i / positions, i % positions}; });
            backward = Kernel(w, inner, 1, post.channels, inner, above, Kernel::DENSE_BLOCK, [](int, int i) { return Quad{i, 0}; });
        }
    }
};

} // namespace
