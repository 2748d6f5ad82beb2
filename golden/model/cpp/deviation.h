// Additional state of a group in nudged phases with fine spikes: golden.model.ops.begin_deviation and
// deviation.
#pragma once

#include <cstddef>
#include <vector>
#include "kept.h"
#include "lanes.h"
#include "team.h"

namespace {

struct Deviation {
    // Fine spikes are -1, 0 and 1, but the drive loops read unsigned bytes: 1 is added to each spike, and the
    // drive of all-ones is subtracted.
    static constexpr Int SILENT = Int{} + 0x01010101; // a word of four silent neurons

    std::vector<Ints> below, above; // drives of each layer if all neurons below, or above, sent a 1
    std::vector<Ints> v, xi;        // state at the end of the free phase: d + bias, and xi

    // Add the next layer.
    void add(size_t neurons) {
        for (auto *all : {&below, &above, &v, &xi}) all->emplace_back(neurons);
    }

    static void without(Ints &drive, const Ints &ones, int left, Share share) {
        for (int i = share.first; i < share.end; i++) drive[i] = (drive[i] - ones[i]) << left;
    }
};

} // namespace
