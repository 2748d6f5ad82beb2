// Vectors of neurons that are adjacent in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr int NEURONS = 16; // of a vector of 16 bits
constexpr int LANES = 8;    // numbers of 32 bits in a vector

using Short = int16_t __attribute__((vector_size(2 * NEURONS), may_alias));
using Int = int32_t __attribute__((vector_size(4 * LANES), may_alias));
using LooseInt = int32_t __attribute__((vector_size(4 * LANES), may_alias, aligned(4)));
using Long = int64_t __attribute__((vector_size(8 * LANES), may_alias));

constexpr int padded(int count, int unit = NEURONS) { return (count + unit - 1) / unit * unit; }

template <typename Vector> inline Vector clip(Vector x, Vector low, Vector high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

inline Int clip(Int x, int low, int high) { return clip(x, Int{} + low, Int{} + high); }

// A number in all lanes.
inline Short shorts(int x) { return Short{} + static_cast<int16_t>(x); }

#if defined(__AVX2__)

inline Int low(Short x) { return (Int)_mm256_cvtepi16_epi32(_mm256_castsi256_si128((__m256i)x)); }
inline Int high(Short x) { return (Int)_mm256_cvtepi16_epi32(_mm256_extracti128_si256((__m256i)x, 1)); }

// Both halves of a vector, saturating.
inline Short packed(Int low, Int high) {
    return (Short)_mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)low, (__m256i)high), 0xd8);
}

// a + b, saturating.
inline Short add(Short a, Short b) { return (Short)_mm256_adds_epi16((__m256i)a, (__m256i)b); }

// Bit l: whether lane l of a comparison's result is true.
inline unsigned bits(Short truth) {
    const __m256i x = (__m256i)truth;
    return _mm_movemask_epi8(_mm_packs_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)));
}

#else

inline Int low(Short x) {
    Int to;
    for (int l = 0; l < LANES; l++) to[l] = x[l];
    return to;
}
inline Int high(Short x) {
    Int to;
    for (int l = 0; l < LANES; l++) to[l] = x[LANES + l];
    return to;
}
inline Short packed(Int low, Int high) {
    Short to;
    for (int l = 0; l < NEURONS; l++)
        to[l] = static_cast<int16_t>(std::clamp(l < LANES ? low[l] : high[l - LANES], INT16_MIN, INT16_MAX));
    return to;
}
inline Short add(Short a, Short b) { return packed(low(a) + low(b), high(a) + high(b)); }
inline unsigned bits(Short truth) {
    unsigned found = 0;
    for (int l = 0; l < NEURONS; l++) found |= (truth[l] & 1u) << l;
    return found;
}

#endif

// (x * factor + 2^(shift-1)) >> shift, exact: 64 bits until the shift; the result fits 32. factor: not
// negative.
inline Int scaled(Int x, int32_t factor, int shift) {
    const int64_t half = int64_t{1} << (shift - 1);
#if defined(__AVX2__)
    if (shift <= 32) { // the low 32 bits of the result are the same after a logical shift
        const auto round = [&](__m256i y) {
            const __m256i exact = _mm256_mul_epi32(y, _mm256_set1_epi64x(factor));
            return _mm256_srl_epi64(_mm256_add_epi64(exact, _mm256_set1_epi64x(half)), _mm_cvtsi32_si128(shift));
        };
        const __m256i even = round((__m256i)x), odd = round(_mm256_srli_epi64((__m256i)x, 32));
        return (Int)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    }
#endif
    return __builtin_convertvector((__builtin_convertvector(x, Long) * factor + half) >> shift, Int);
}

// `scaled`, if x * factor + 2^(shift-1) fits 32 bits.
inline Int scaled_narrow(Int x, int32_t factor, int shift) { return (x * factor + (1 << (shift - 1))) >> shift; }

// Two numbers of 16 bits in a lane, and the sum of both products of such pairs. All are above -2^15.
inline int32_t pair(int32_t low, int32_t high) {
    return static_cast<int32_t>((low & 0xffff) | static_cast<uint32_t>(high) << 16);
}
inline Int pair_dot(Int a, Int b) {
#if defined(__AVX2__)
    return (Int)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

} // namespace
