// What a group needs besides its state in nudged phases with fine spikes: golden.model.ops.begin_deviation and deviation.
#pragma once

#include <cstddef>
#include <vector>
#include "kept.h"
#include "lanes.h"
#include "team.h"

namespace {

struct Deviation {
    // Fine spikes are -1, 0 and 1, and what drives reads has no sign: 1 is added to each, and the drive of all ones taken away.
    static constexpr Int SILENT = Int{} + 0x01010101; // a word of four that send nothing

    std::vector<Ints> below, above; // of each layer: its drives if all neurons below, or above, sent a 1
    std::vector<Ints> v, xi;        // where the free phase ended: d + bias, and xi

    // Of the next layer.
    void add(size_t neurons) {
        for (auto *all : {&below, &above, &v, &xi}) all->emplace_back(neurons);
    }

    static void without(Ints &drive, const Ints &ones, int left, Share share) {
        for (int i = share.first; i < share.end; i++) drive[i] = (drive[i] - ones[i]) << left;
    }
};

} // namespace
