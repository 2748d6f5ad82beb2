// Working weights as the loops of the drives read them.
#pragma once

#include <algorithm>
#include <cstdint>
#include "kept.h"
#include "lanes.h"
#include "network.h"

namespace {

constexpr int BLOCK = 8; // outputs that share one load of an input: they stay in registers

// Positions of a convolution that share one load of a weight.
#if defined(__AVX512VNNI__)
constexpr int PLACES = 2; // 16 sums and what meets in them take 19 of 32 registers
#else
constexpr int PLACES = 1;
#endif

inline int blocks(int n, int of) { return (n + of - 1) / of; }

// Working weights in the order in which a loop reads them: for each BLOCK of outputs, for each input word, BLOCK words.
struct Kernel {
    int words;
    Vector<int32_t> block;

    // The weight of output o from channel c at inner position x: w[o * per_output + c * per_channel + x].
    Kernel(const int32_t *w, int outputs, size_t per_output, int channels, size_t per_channel, int inner) {
        words = blocks(channels, 4) * inner;
        block.assign(static_cast<size_t>(blocks(outputs, BLOCK)) * words * BLOCK, 0);
        for (int o = 0; o < outputs; o++) {
            int32_t *to = block.data() + static_cast<size_t>(o / BLOCK) * words * BLOCK + o % BLOCK;
            for (int q = 0; q < channels; q += 4) {
                const int32_t *from = w + o * per_output + q * per_channel;
                for (int x = 0; x < inner; x++, from++, to += BLOCK) {
                    uint32_t word = 0;
                    for (int j = 0; j < std::min(4, channels - q); j++) word |= (from[j * per_channel] & 255u) << 8 * j;
                    *to = static_cast<int32_t>(word);
                }
            }
        }
    }

    // output(place, j, drive of output first + j), absent outputs too, for COUNT places; input(place, n) is the word of four
    // neurons. `first` is a multiple of BLOCK.
    template <int COUNT, typename Input, typename Output> void drive(int first, Input input, Output output) const {
        Int a[COUNT * BLOCK] = {};
        const int32_t *w = block.data() + static_cast<size_t>(first) * words;
        for (int n = 0; n < words; n++, w += BLOCK) {
            Int in[COUNT];
            for (int place = 0; place < COUNT; place++) in[place] = input(place, n);
            for (int i = 0; i < COUNT * BLOCK; i++) a[i] = dot(a[i], in[i % COUNT], w[i / COUNT]);
        }
        for (int i = 0; i < COUNT * BLOCK; i++) output(i % COUNT, i / COUNT, a[i]);
    }
};

// Both directions of a bundle. Bundle 1 reads pixels, which are no bytes once they are box-summed: it has no kernels.
struct Kernels {
    Kernel forward, backward;

    // Positions of a pre channel that a weight tells apart.
    static int inner(const Bundle &b, const Layer &pre) { return b.kind == DENSE ? pre.positions() : b.kernel * b.kernel; }

    Kernels(const Bundle &b, const Layer &pre, const Layer &post, const int32_t *w) : Kernels(b, pre, post, w, inner(b, pre)) {}

  private:
    Kernels(const Bundle &b, const Layer &pre, const Layer &post, const int32_t *w, int inner)
        : forward(w, b.kind == IMAGE ? 0 : post.channels, pre.channels * inner, pre.channels, inner, inner),
          backward(w, b.kind == IMAGE ? 0 : pre.channels * inner, 1, post.channels, pre.channels * inner, 1) {}
};

} // namespace
