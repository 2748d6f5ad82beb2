// Spikes of a layer as lists, and sums of the weight rows that they select.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>
#include "kept.h"
#include "lanes.h"
#include "network.h"

namespace {

constexpr int SLACK = 2 * LANES; // words behind the end of a list that may be read or written

// Spikes of one sign, position after position: indices of neurons in a `Map`.
struct Events {
    Vector<int32_t> spikes; // of which first[positions] are valid
    Vector<int32_t> first;  // per position, and the end of the last one

    Events() = default;
    explicit Events(const Map &map) : spikes(map.size() + SLACK), first(map.positions() + 1) { clear(); }

    void clear() { std::fill(first.begin(), first.end(), 0); }
    int count() const { return first.back(); }

    // Append the spikes of a block: bit l of fired[i] is neuron NEURONS * i + l. block: its number.
    void append(const Map &map, int block, const uint16_t *fired) {
        int32_t *const to = spikes.data();
        int end = first[block * map.inside], position = 0;
        for (int i = 0; i < map.block; i += NEURONS, fired++) {
            for (; position < map.inside && position * map.channels < i + NEURONS; position++)
                first[block * map.inside + position] =
                    end + __builtin_popcount(*fired & ((1u << (position * map.channels - i)) - 1));
            end = append(to, end, *fired, block * map.block + i);
        }
        first[(block + 1) * map.inside] = end;
    }

  private:
    // Append the spikes of NEURONS neurons: bit l of `fired` is neuron `from` + l. Returns the new end.
    static int append(int32_t *spikes, int end, unsigned fired, int32_t from) {
#if defined(__AVX2__)
        for (int half = 0; half < 2; half++, fired >>= LANES, from += LANES) {
            const uint8_t *const lanes = SET_BITS.of[fired & 255u];
            const __m256i all = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(lanes)));
            // those behind the end are overwritten
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(spikes + end),
                                _mm256_add_epi32(all, _mm256_set1_epi32(from)));
            end += __builtin_popcount(fired & 255u);
        }
#else
        for (; fired; fired &= fired - 1) spikes[end++] = from + __builtin_ctz(fired);
#endif
        return end;
    }

    struct SetBits {
        uint8_t of[1 << LANES][LANES] = {}; // the bits that are set in each byte, in rising order
        constexpr SetBits() {
            for (int byte = 0; byte < 1 << LANES; byte++)
                for (int bit = 0, n = 0; bit < LANES; bit++)
                    if (byte >> bit & 1) of[byte][n++] = static_cast<uint8_t>(bit);
        }
    };
    static const SetBits SET_BITS;
};

constexpr Events::SetBits Events::SET_BITS;

// Spikes of both signs; there are negative ones in nudged phases with fine spikes alone.
struct Spikes {
    Events up, down;

    Spikes() = default;
    explicit Spikes(const Map &map) : up(map), down(map) {}
    void clear() { up.clear(), down.clear(); }
    int count() const { return up.count() + down.count(); }
};

// The rows that spikes select.
struct Selected {
    Vector<int32_t> rows;
    int count = 0;

    // Append spikes first .. end - 1, of which each selects row `base` + spike.
    void append(const Vector<int32_t> &spikes, int first, int end, int32_t base) {
        const int32_t *from = spikes.data() + first;
        int32_t *to = rows.data() + count;
        const int size = end - first;
        count += size;
        copy(from, base, to), copy(from + LANES, base, to + LANES); // without a test: a wrong guess takes longer
        for (int i = 2 * LANES; i < size; i += LANES) copy(from + i, base, to + i);
    }

  private:
    static void copy(const int32_t *from, int32_t base, int32_t *to) {
        Int some;
        std::memcpy(&some, from, sizeof some);
        some += base;
        std::memcpy(to, &some, sizeof some);
    }
};

// Weights as rows of driven neurons, padded with zeros; one row for each spike that may be seen, and a last
// one of zeros.
struct Rows {
    int width = 0;     // of a row, in vectors
    int32_t zeros = 0; // the last row
    int most = 0;      // rows whose sum fits 16 bits, whatever their signs
    Vector<int16_t> rows;

    void resize(int count, int driven) {
        width = padded(driven) / NEURONS;
        zeros = count;
        rows.assign(static_cast<size_t>(count + 1) * width * NEURONS, 0);
    }
    int16_t *row(int n) { return rows.data() + static_cast<size_t>(n) * width * NEURONS; }

    // Called when all rows are written.
    void bound() {
        const auto [low, high] = std::minmax_element(rows.begin(), rows.end());
        most = INT16_MAX / std::max({1, -int{*low}, int{*high}}) / UNROLLED * UNROLLED;
    }

    // Add the sum of the rows of `up`, less those of `down`, shifted left, to drives.
    void add(Selected &up, Selected &down, int shift, int32_t *drives) const {
        if (!up.count && !down.count) return;
        for (Selected *each : {&up, &down})
            for (int i = 0; i < UNROLLED - 1; i++) each->rows[each->count + i] = zeros;
        int first = 0;
        for (; first + BLOCK <= width; first += BLOCK) block<BLOCK>(up, down, first, shift, drives);
        rest<BLOCK - 1>(up, down, first, shift, drives);
    }

  private:
    static constexpr int BLOCK = 8;    // vectors whose sums stay in registers
    static constexpr int UNROLLED = 4; // rows for each test of the loop

    template <int WIDE>
    void rest(const Selected &up, const Selected &down, int first, int shift, int32_t *drives) const {
        if constexpr (WIDE > 0) {
            if (width - first == WIDE) block<WIDE>(up, down, first, shift, drives);
            else rest<WIDE - 1>(up, down, first, shift, drives);
        }
    }

    template <int WIDE>
    void block(const Selected &up, const Selected &down, int first, int shift, int32_t *drives) const {
        const Short *const at = reinterpret_cast<const Short *>(rows.data()) + first;
        Short sums[WIDE] = {};
        const auto sum = [&](const Selected &selected, auto add) {
            const int32_t *const from = selected.rows.data();
            for (int n = 0, room = most; n < selected.count; n += UNROLLED) {
                for (int j = 0; j < UNROLLED; j++)
                    for (int i = 0; i < WIDE; i++) add(sums[i], at[int64_t{from[n + j]} * width + i]);
                if (!(room -= UNROLLED)) flush(sums, first, shift, drives), room = most;
            }
        };
        if (up.count) sum(up, [](Short &to, Short row) { to += row; });
        if (up.count && down.count) flush(sums, first, shift, drives);
        if (down.count) sum(down, [](Short &to, Short row) { to -= row; });
        flush(sums, first, shift, drives);
    }

    template <int WIDE> static void flush(Short (&sums)[WIDE], int first, int shift, int32_t *drives) {
        for (int i = 0; i < WIDE; i++) {
            LooseInt *const to = reinterpret_cast<LooseInt *>(drives + NEURONS * (first + i));
            to[0] += low(sums[i]) << shift;
            to[1] += high(sums[i]) << shift;
            sums[i] = Short{};
        }
    }
};

} // namespace
