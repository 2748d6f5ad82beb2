// Memory that is kept for the next batch.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace {

// Allocator that returns nothing to the system: fresh memory costs a page fault per page, a third of a small
// batch's time.
template <typename T> struct Kept {
    using value_type = T;
    static constexpr size_t ALIGN = 64;
    Kept() = default;
    template <typename U> Kept(const Kept<U> &) {}

    static std::mutex &lock() {
        static std::mutex mutex;
        return mutex;
    }
    static std::multimap<size_t, void *> &free_blocks() { // never destroyed: threads may outlive static objects
        static auto *blocks = new std::multimap<size_t, void *>;
        return *blocks;
    }
    static size_t bytes(size_t n) { return (n * sizeof(T) + ALIGN - 1) / ALIGN * ALIGN; }

    T *allocate(size_t n) {
        std::lock_guard guard(lock());
        const auto found = free_blocks().find(bytes(n));
        if (found == free_blocks().end()) {
            void *made = std::aligned_alloc(ALIGN, bytes(n));
            if (!made) throw std::bad_alloc();
            return static_cast<T *>(made);
        }
        void *block = found->second;
        free_blocks().erase(found);
        return static_cast<T *>(block);
    }
    void deallocate(T *block, size_t n) noexcept {
        std::lock_guard guard(lock());
        try {
            free_blocks().emplace(bytes(n), block);
        } catch (const std::bad_alloc &) {
            std::free(block);
        }
    }
    // Elements without an initial value stay uninitialised: the code that resizes a vector writes them before
    // reading.
    template <typename U> void construct(U *at) noexcept { ::new (static_cast<void *>(at)) U; }
    template <typename U, typename... Values> void construct(U *at, Values &&...values) {
        ::new (static_cast<void *>(at)) U(std::forward<Values>(values)...);
    }
    friend bool operator==(const Kept &, const Kept &) { return true; }
    friend bool operator!=(const Kept &, const Kept &) { return false; }
};
template <typename T> using Vector = std::vector<T, Kept<T>>;

} // namespace
