// The serial line of the virtual board, in cycles of the design's clock.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// A FIFO of bytes.
class Queue {
public:
    bool empty() const { return head_ == bytes_.size(); }
    size_t size() const { return bytes_.size() - head_; }
    const uint8_t* data() const { return bytes_.data() + head_; }
    void push(const uint8_t* data, size_t count) { bytes_.insert(bytes_.end(), data, data + count); }
    void push(uint8_t byte) { bytes_.push_back(byte); }
    void pop(size_t count) {
        head_ += count;
        if (empty()) clear();
    }
    void clear() {
        bytes_.clear();
        head_ = 0;
    }

private:
    std::vector<uint8_t> bytes_;
    size_t head_ = 0;
};

// Both directions of the line, 8N1; `drive` and `sample` are called once in each clock cycle.
class Line {
public:
    explicit Line(unsigned divisor) : divisor_(divisor) {}

    Queue to_board, from_board;

    // True while a byte is on the line, in either direction.
    bool moving() const { return sending_ || receiving_; }

    // Level of the board's rx pin in this cycle.
    bool drive() {
        if (sending_ == 0) {
            if (to_board.empty()) return true;
            shift_out_ = (uint16_t(*to_board.data()) << 1) | 0x200;
            to_board.pop(1);
            sending_ = 10 * divisor_;
            out_timer_ = divisor_;
        }
        const bool level = shift_out_ & 1;
        if (--out_timer_ == 0) {
            shift_out_ >>= 1;
            out_timer_ = divisor_;
        }
        --sending_;
        return level;
    }

    // Drops the bytes on the line, when the board is reset.
    void cut() { sending_ = receiving_ = 0; }

    // Receives the level of the board's tx pin in this cycle; samples each bit at its middle.
    void sample(bool level) {
        if (receiving_ == 0) {
            if (level) return;
            receiving_ = 10;
            in_timer_ = divisor_ / 2 + 1;
        }
        if (--in_timer_ == 0) {
            in_timer_ = divisor_;
            shift_in_ = (shift_in_ >> 1) | (level << 9);
            // a byte with a low stop bit is dropped
            if (--receiving_ == 0 && level) from_board.push(uint8_t(shift_in_ >> 1));
        }
    }

private:
    const unsigned divisor_;
    unsigned sending_ = 0, out_timer_ = 0;   // cycles left of the byte, and of the bit
    unsigned receiving_ = 0, in_timer_ = 0;  // bits left of the byte, cycles to the next sample
    uint16_t shift_out_ = 0, shift_in_ = 0;
};
