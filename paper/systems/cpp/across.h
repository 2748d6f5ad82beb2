// Drives of a dense link with outputs along a vector, for batches too small to fill vectors of samples.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>
#include "lanes.h"

namespace {

// With samples along vectors, a batch of 20 takes 32 lanes; here it takes 20 samples. Each sum is added in
// the same order, so it has the same bits.
struct Across {
    static constexpr int SAMPLES = LANES == 16 ? 10 : 5; // samples that share one load of a weight
    static constexpr int VECS = 2;                       // vectors of outputs that share one load of an input;
    static constexpr int OUTPUTS = VECS * LANES;         // the SAMPLES * VECS sums stay in registers

    static constexpr int AHEAD = 16; // inputs whose weights are prefetched, as all exceed the cache

    int inputs = 0, outputs = 0;
    Vecs block; // weights: for each OUTPUTS outputs, for each input, VECS vectors

    static int64_t rounded(int64_t samples, int64_t to) { return (samples + to - 1) / to * to; }

    // Whether this wastes fewer samples than LANES samples along a vector.
    static bool better(int64_t samples) { return rounded(samples, SAMPLES) < rounded(samples, LANES); }

    Across() = default;

    // The weight of output o from input i: scale * w[o * per_output + i * per_input].
    Across(const float *w, int all_outputs, size_t per_output, int count, size_t per_input, float scale)
        : inputs(count), outputs(all_outputs), block(static_cast<size_t>(rounded(all_outputs, OUTPUTS)) / LANES * count) {
        for (int o = 0; o < outputs; o++)
            for (int i = 0; i < inputs; i++)
                block[(static_cast<size_t>(o / OUTPUTS) * inputs + i) * VECS + o % OUTPUTS / LANES][o % LANES] =
                    scale * w[o * per_output + i * per_input];
    }

    // Call put(phi of an output and a sample, its drive) for all outputs and `present` samples. s, phi: TEAM
    // vectors per neuron, samples along them. live: in order, the inputs that aren't 0 in all samples; null
    // for all inputs.
    template <int TEAM, typename Put>
    void drive(const Vecs &s, int present, const std::vector<int> *live, Put put, Vecs &phi) const {
        if (live) sums<TEAM>(s, present, static_cast<int>(live->size()), [live](int i) { return (*live)[i]; }, put, phi);
        else sums<TEAM>(s, present, inputs, [](int i) { return i; }, put, phi);
    }

  private:
    template <int TEAM, typename Input, typename Put>
    void sums(const Vecs &s, int present, int count, Input input, Put put, Vecs &phi) const {
        const float *const in = reinterpret_cast<const float *>(s.data());
        float *const out = reinterpret_cast<float *>(phi.data());
        for (int o = 0; o < outputs; o += OUTPUTS)
            for (int first = 0; first < present; first += SAMPLES) {
                Vec sum[SAMPLES][VECS] = {};
                const Vec *const rows = block.data() + static_cast<size_t>(o) / LANES * inputs;
                for (int i = 0; i < count; i++) {
                    const Vec *const w = rows + input(i) * VECS;
                    for (int v = 0; v < VECS; v++) __builtin_prefetch(w + AHEAD * VECS + v); // harmless past the end
                    const float *const at = in + first + input(i) * TEAM * LANES;
                    for (int k = 0; k < SAMPLES; k++) // GCC unrolls loops of up to 16 iterations only
                        for (int v = 0; v < VECS; v++) sum[k][v] += at[k] * w[v];
                }
                Vec done[SAMPLES][VECS]; // a copy, so that the sums themselves stay in registers
                for (int k = 0; k < SAMPLES; k++)
                    for (int v = 0; v < VECS; v++) done[k][v] = sum[k][v];
                const int here = std::min(OUTPUTS, outputs - o);
                for (int j = 0; j < here; j++)
                    for (int k = 0; k < SAMPLES; k++)
                        put(out[(o + j) * TEAM * LANES + first + k], done[k][j / LANES][j % LANES]);
            }
    }
};

} // namespace
