// The processor's matrix unit (Intel AMX), if it has one: products of 16 outputs x 64 bytes with 64 bytes x
// 16 samples. A process has to ask the kernel for it: golden/model/native.py does, and compiles without it if
// refused.
#pragma once

#include <cstdint>
#include "lanes.h"

namespace {

inline int blocks(int n, int of) { return (n + of - 1) / of; }

constexpr int TILE = 16; // rows per tile, and words per row

// Words per output below which the vector loops are faster: tiles would be mostly padding, and wait for their
// sums.
constexpr int FEWEST_TILED = 24;

#if defined(__AMX_INT8__) && defined(__AMX_TILE__)
#define NUDGE_TILES 1
static_assert(LANES == TILE);

// This thread's eight tiles, all of the largest size, during the lifetime of the object.
struct Tiles {
    Tiles() {
        struct {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t bytes[16] = {};
            uint8_t rows[16] = {};
        } config;
        for (int t = 0; t < 8; t++) config.bytes[t] = 4 * TILE, config.rows[t] = TILE;
        _tile_loadconfig(&config);
    }
    ~Tiles() { _tile_release(); }
    Tiles(const Tiles &) = delete;
};

// rows[block * COUNT + place][o] = sum of w * words, for OUTPUTS blocks of outputs and COUNT places. w: tiles
// of the first block; those of the second one follow at block_stride. at: the first word of each place; words
// are read up to a multiple of TILE.
template <int OUTPUTS, int COUNT, typename Rows>
inline void tile_products(const int32_t *w, size_t block_stride, int runs, int length, int run_stride, int stride,
                          const Int *const (&at)[COUNT], Rows &rows) {
    // tiles 0..3 are sums, 4 and 5 weights, 6 and 7 words: four products per four loads
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const size_t bytes = sizeof(Int) * stride;
    for (int r = 0; r < runs; r++)
        for (int n = 0; n < length; n += TILE, w += TILE * TILE) {
            const int from = r * run_stride + n * stride;
            _tile_loadd(4, w, 4 * TILE);
            _tile_loadd(6, at[0] + from, bytes);
            _tile_dpbsud(0, 4, 6);
            if constexpr (COUNT == 2) {
                _tile_loadd(7, at[COUNT - 1] + from, bytes);
                _tile_dpbsud(1, 4, 7);
            }
            if constexpr (OUTPUTS == 2) {
                _tile_loadd(5, w + block_stride, 4 * TILE);
                _tile_dpbsud(2, 5, 6);
                if constexpr (COUNT == 2) _tile_dpbsud(3, 5, 7);
            }
        }
    static_assert(COUNT <= 2 && OUTPUTS <= 2);
    _tile_stored(0, rows[0], sizeof(Int));
    if constexpr (COUNT == 2) _tile_stored(1, rows[1], sizeof(Int));
    if constexpr (OUTPUTS == 2) {
        _tile_stored(2, rows[COUNT], sizeof(Int));
        if constexpr (COUNT == 2) _tile_stored(3, rows[3], sizeof(Int));
    }
}
#else
#define NUDGE_TILES 0
struct Tiles {}; // no matrix unit
#endif

} // namespace
