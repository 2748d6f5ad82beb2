// LANES samples as one vector, which GCC and Clang split into the processor's registers.
#pragma once

#include <vector>

namespace {

// One register: GCC computes comparisons of longer vectors element by element.
#if defined(__AVX512F__)
constexpr int LANES = 16;
#else
constexpr int LANES = 8;
#endif

using Vec = float __attribute__((vector_size(4 * LANES)));
using Vecs = std::vector<Vec>; // C++17's allocator respects the alignment

inline Vec all(float x) { return Vec{} + x; }

inline Vec clipped(Vec x) {
    x = x < 0.0f ? Vec{} : x;
    return x > 1.0f ? all(1.0f) : x;
}

// a + w (b - a), computed from the nearer end, as in torch.lerp.
inline Vec lerp(Vec a, Vec b, float w) { return w < 0.5f ? a + w * (b - a) : b - (1 - w) * (b - a); }

} // namespace
