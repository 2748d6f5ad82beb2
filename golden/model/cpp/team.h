// Threads that process the same samples: each has a share of every layer's channels, and they meet at
// barriers.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include "lanes.h"
#include "network.h"

namespace {

// Channels, or outputs of a kernel: first .. end - 1.
struct Share {
    int first, end;
    Share times(int each) const { return {first * each, end * each}; }
};

struct Team {
    static constexpr int UNIT = 16;    // channels of a share's unit: splits no block or word
    static constexpr int SPINS = 4000; // some 50 us: longer than the others' delay if all of them run
    const int size;

    explicit Team(int size) : size(size) {}

    // Largest number of threads that all have work in each hidden layer.
    static int most(const Network &net) {
        int units = net.bundles > 1 ? (1 << 30) : 1;
        for (int n = 1; n < net.bundles; n++) units = std::min(units, (net.layers[n].channels + UNIT - 1) / UNIT);
        return units;
    }

    Share share(int channels, int member) const {
        const int units = (channels + UNIT - 1) / UNIT;
        return {std::min(channels, units * member / size * UNIT), std::min(channels, units * (member + 1) / size * UNIT)};
    }

    // Barrier: returns when all members have called it; their earlier writes are visible to all.
    void wait() {
        if (size == 1) return;
        const int mine = round.load(std::memory_order_acquire);
        if (here.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
            here.store(0, std::memory_order_relaxed);
            {
                std::lock_guard guard(mutex);
                round.store(mine + 1, std::memory_order_release);
            }
            return changed.notify_all();
        }
        for (int n = 0; n < SPINS; n++) {
            if (round.load(std::memory_order_acquire) != mine) return;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        std::unique_lock guard(mutex); // leave the processor to other programs
        changed.wait(guard, [&] { return round.load(std::memory_order_acquire) != mine; });
    }

  private:
    std::atomic<int> here{0}, round{0};
    std::mutex mutex;
    std::condition_variable changed;
};

} // namespace
