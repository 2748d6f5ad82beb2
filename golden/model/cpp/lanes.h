// LANES samples as one vector, which GCC and Clang split into what the processor has.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;

using Int = int32_t __attribute__((vector_size(4 * LANES)));
using Long = int64_t __attribute__((vector_size(8 * LANES)));

inline Int clip(Int x, int32_t low, int32_t high) {
    x = x < low ? Int{} + low : x;
    return x > high ? Int{} + high : x;
}

// Sum over the lanes, by halves: compilers make scalars of a loop.
inline int32_t lane_sum(Int x) {
    static_assert(LANES == 16);
    x += __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    x += __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    return x[0] + x[1] + x[2] + x[3];
}

// acc + sum over the four bytes of a lane of s (0..4) times those of w (-128..127). All three forms are exact.
inline Int dot(Int acc, Int s, int32_t w) {
#if defined(__AVX512VNNI__)
    return (Int)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)s, _mm512_set1_epi32(w));
#elif defined(__AVX2__)
    __m256i in[2], out[2]; // two products are at most 2 * 4 * 128 and don't saturate the 16 bits of the first instruction
    std::memcpy(in, &s, sizeof s);
    for (int h = 0; h < 2; h++)
        out[h] = _mm256_madd_epi16(_mm256_maddubs_epi16(in[h], _mm256_set1_epi32(w)), _mm256_set1_epi16(1));
    Int sums;
    std::memcpy(&sums, out, sizeof sums);
    return acc + sums;
#else
    for (int j = 0; j < 4; j++) acc += (s >> 8 * j & 255) * static_cast<int8_t>(w >> 8 * j);
    return acc;
#endif
}

} // namespace
