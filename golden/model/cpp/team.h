// Threads that work on the same samples, each on its share of every layer's channels, and wait for each other in between.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include "lanes.h"
#include "network.h"

namespace {

// Channels, or outputs of a kernel: from `first` on, below `end`.
struct Share {
    int first, end;
    Share times(int each) const { return {first * each, end * each}; }
};

struct Team {
    static constexpr int UNIT = 16; // channels that are never shared: no block of outputs or word of neurons is then
    static constexpr int SPINS = 4000; // some 50 us: more than the others are late if all of them run
    const int size;

    explicit Team(int size) : size(size) {}

    // How many threads all find work in each hidden layer.
    static int most(const Network &net) {
        int units = net.bundles > 1 ? (1 << 30) : 1;
        for (int n = 1; n < net.bundles; n++) units = std::min(units, (net.layers[n].channels + UNIT - 1) / UNIT);
        return units;
    }

    Share share(int channels, int member) const {
        const int units = (channels + UNIT - 1) / UNIT;
        return {std::min(channels, units * member / size * UNIT), std::min(channels, units * (member + 1) / size * UNIT)};
    }

    // Until all have come here; what they wrote before is seen by all.
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
        std::unique_lock guard(mutex); // a processor that another program needs is left to it
        changed.wait(guard, [&] { return round.load(std::memory_order_acquire) != mine; });
    }

  private:
    std::atomic<int> here{0}, round{0};
    std::mutex mutex;
    std::condition_variable changed;
};

} // namespace
