// The verilated top level, its clock, and faults in its memories.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "line.h"
#include "verilated.h"

// The design with its clock.
class Design {
public:
    void reset() {
        top_.reset();  // before its context
        context_ = std::make_unique<VerilatedContext>();
        top_ = std::make_unique<Vtop>(context_.get());
        silent_ = due_ = 0;
    }

    // Runs the design, with the line at its serial pins, for `cycles` or until a rule of the SDRAM is broken.
    void run(Line& line, unsigned cycles) {
        Vtop& top = *top_;
        for (unsigned i = 0; i < cycles; ++i) {
            top.rx = line.drive();
            top.clk = 1;
            top.eval();
            top.clk = 0;
            top.eval();
            line.sample(top.tx);
            // checked in each cycle, because a short request may begin and end within one call
            silent_ = line.moving() || top.busy ? 0 : silent_ + 1;
            ++cycles_;
            if (due_ && top.busy && --due_ == 0) *byte_ ^= mask_;
#ifdef SDRAM
            if (top.broken) break;
#endif
        }
    }

    // The broken rule of the SDRAM, or 0; cycle since power-up, and bank.
    struct Broken {
        unsigned rule, cycle, bank;
    };
    Broken broken() const {
#ifdef SDRAM
        return {top_->broken, top_->cycle, top_->bank};
#else
        return {};
#endif
    }

    // Clock cycles since the program began, resets included.
    uint64_t cycles() const { return cycles_; }

    // Cycles since a byte was last on the line, the core was last busy, or a fault last changed the state.
    uint64_t silent() const { return silent_; }

    // Inverts a bit after so many cycles in which the core is busy; 0: now. False if the bit doesn't exist.
    bool flip(const std::string& name, size_t word, size_t bit, uint64_t after) {
        const struct {
            const char* name;
            void* data;
            size_t words, bytes, bits;
        } memories[] = {
#define MEMORY(NAME, MEMBER, WORDS, BITS) {NAME, &top_->rootp->MEMBER[0], WORDS, sizeof top_->rootp->MEMBER[0], BITS},
#include "memories.inc"
#undef MEMORY
#if __has_include("registers.inc")
#define REGISTER(NAME, MEMBER, BITS) {NAME, &top_->rootp->MEMBER, 1, sizeof top_->rootp->MEMBER, BITS},
#include "registers.inc"
#undef REGISTER
#endif
        };
        for (const auto& memory : memories) {
            if (name != memory.name || word >= memory.words || bit >= memory.bits) continue;
            byte_ = static_cast<uint8_t*>(memory.data) + word * memory.bytes + bit / 8;
            mask_ = uint8_t(1 << bit % 8);
            due_ = after;
            if (!after) *byte_ ^= mask_;
            silent_ = 0;
            return true;
        }
        return false;
    }

private:
    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vtop> top_;
    uint64_t cycles_ = 0, silent_ = 0;
    // The byte and mask of the bit to be inverted, and the busy cycles until then; 0: none.
    uint8_t* byte_ = nullptr;
    uint8_t mask_ = 0;
    uint64_t due_ = 0;
};
