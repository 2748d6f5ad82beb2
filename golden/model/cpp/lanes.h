// LANES samples as one vector, which GCC and Clang split into the processor's registers.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__AMX_INT8__)
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;

using Int = int32_t __attribute__((vector_size(4 * LANES)));
using Long = int64_t __attribute__((vector_size(8 * LANES)));

inline Int clip(Int x, Int low, Int high) {
#if defined(__AVX512F__)
    // one instruction each; GCC makes two of a conditional
    return (Int)_mm512_min_epi32(_mm512_max_epi32((__m512i)x, (__m512i)low), (__m512i)high);
#else
    x = x < low ? low : x;
    return x > high ? high : x;
#endif
}

inline Int clip(Int x, int32_t low, int32_t high) { return clip(x, Int{} + low, Int{} + high); }

// sums[j] = sum over the lanes of x[j]. Each round turns two vectors into one, of sums of their halves,
// quarters, eighths.
inline void lane_sums(const Int (&x)[8], int32_t (&sums)[8]) {
    static_assert(LANES == 16);
    Int half[4], quarter[2];
    for (int j = 0; j < 4; j++)
        half[j] = __builtin_shufflevector(x[2 * j], x[2 * j + 1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                  __builtin_shufflevector(x[2 * j], x[2 * j + 1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    for (int j = 0; j < 2; j++)
        quarter[j] = __builtin_shufflevector(half[2 * j], half[2 * j + 1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
                     __builtin_shufflevector(half[2 * j], half[2 * j + 1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    const Int pairs = __builtin_shufflevector(quarter[0], quarter[1], 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29) +
                      __builtin_shufflevector(quarter[0], quarter[1], 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
    const auto all = __builtin_shufflevector(pairs, pairs, 0, 2, 4, 6, 8, 10, 12, 14) +
                     __builtin_shufflevector(pairs, pairs, 1, 3, 5, 7, 9, 11, 13, 15);
    std::memcpy(&sums, &all, sizeof sums);
}

// (x * factor + 2^(shift-1)) >> shift, exact: 64 bits until the shift. factor: not negative.
inline Int scaled(Int x, int32_t factor, int shift) {
    const int64_t half = int64_t{1} << (shift - 1);
#if defined(__AVX512F__)
    // even lanes in the low halves of 64 bits, odd ones in the high halves
    const auto round = [&](__m512i y) {
        const __m512i exact = _mm512_mul_epi32(y, _mm512_set1_epi64(factor));
        return _mm512_srai_epi64(_mm512_add_epi64(exact, _mm512_set1_epi64(half)), shift);
    };
    const __m512i even = round((__m512i)x), odd = round(_mm512_srli_epi64((__m512i)x, 32));
    return (Int)_mm512_mask_mov_epi32(even, 0xaaaa, _mm512_slli_epi64(odd, 32));
#else
    return __builtin_convertvector((__builtin_convertvector(x, Long) * factor + half) >> shift, Int);
#endif
}

// `scaled`, if x * factor + 2^(shift-1) fits 32 bits.
inline Int scaled_narrow(Int x, int32_t factor, int shift) { return (x * factor + (1 << (shift - 1))) >> shift; }

// acc + sum over the two signed 16-bit halves of a lane, of a's times b's. All are above -2^15, so all three
// forms are exact.
inline Int pair_dot(Int acc, Int a, Int b) {
#if defined(__AVX512VNNI__)
    return (Int)_mm512_dpwssd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    __m256i x[2], y[2], out[2];
    std::memcpy(x, &a, sizeof a);
    std::memcpy(y, &b, sizeof b);
    for (int h = 0; h < 2; h++) out[h] = _mm256_madd_epi16(x[h], y[h]);
    Int sums;
    std::memcpy(&sums, out, sizeof sums);
    return acc + sums;
#else
    return acc + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

// acc + sum over the four bytes of a lane, of s's (0..4) times w's (-128..127). All three forms are exact.
inline Int dot(Int acc, Int s, int32_t w) {
#if defined(__AVX512VNNI__)
    return (Int)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)s, _mm512_set1_epi32(w));
#elif defined(__AVX2__)
    __m256i in[2], out[2]; // two products reach 2 * 4 * 128 at most: no saturation at 16 bits
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
