// The virtual board: the top level as fast as it will run, its serial pins bridged to a TCP port or a pseudo-terminal.
//
//   top DIVISOR IDLE_CYCLES PARENT (--port N | --pty)
//
// DIVISOR: clock cycles per bit. IDLE_CYCLES: cycles without any activity after which nothing can be going on in the design
// any more, so that the clock may stand still until a byte comes. PARENT: process to die with, 0 for none. Port 0: any.
// Writes "listening on ADDRESS" to standard output, and "CYCLES SECONDS" (while not asleep) to standard error at the end.
//
// Standard input takes faults, a line each, which standard output acknowledges with "done" or "no such thing":
//   reset                   the state after power-up; what the host had sent but the line hadn't carried stays on its way
//   flip MEMORY WORD BIT    of a memory in memories.inc
//   mutate NUMBER           reset, and be that mutant from now on; only in a build with mutants (sim/harness/mutants.py)
//
// A board keeps its state when a client goes away. One client at a time; a second one is turned away.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "verilated.h"

namespace {

[[noreturn]] void fail(const std::string& what) {
    fprintf(stderr, "%s: %s\n", what.c_str(), strerror(errno));
    exit(1);
}

// Bytes that wait, oldest first.
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

// Both directions of the line, 8N1, one call a clock cycle.
class Line {
public:
    explicit Line(unsigned divisor) : divisor_(divisor) {}

    Queue to_board, from_board;

    // A byte is on its way, in either direction.
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

    // The board was reset: no byte is on its way.
    void cut() { sending_ = receiving_ = 0; }

    // Takes the level of the board's tx pin in this cycle; samples each bit at its middle.
    void sample(bool level) {
        if (receiving_ == 0) {
            if (level) return;
            receiving_ = 10;
            in_timer_ = divisor_ / 2 + 1;
        }
        if (--in_timer_ == 0) {
            in_timer_ = divisor_;
            shift_in_ = (shift_in_ >> 1) | (level << 9);
            // a low stop bit is no byte
            if (--receiving_ == 0 && level) from_board.push(uint8_t(shift_in_ >> 1));
        }
    }

private:
    const unsigned divisor_;
    unsigned sending_ = 0, out_timer_ = 0;   // cycles left of the byte, of the bit
    unsigned receiving_ = 0, in_timer_ = 0;  // bits left of the byte, cycles to the next sample
    uint16_t shift_out_ = 0, shift_in_ = 0;
};

// The design, and its clock.
class Design {
public:
    void reset() {
        top_.reset();  // before its context
        context_ = std::make_unique<VerilatedContext>();
        top_ = std::make_unique<Vtop>(context_.get());
#ifdef MUTANTS
        top_->mutant = mutant_;
#endif
        silent_ = 0;
    }
    void mutate(unsigned number) {
        mutant_ = number;
        reset();
    }

    // So many clock cycles with the line at its serial pins.
    void run(Line& line, unsigned cycles) {
        Vtop& top = *top_;
        for (unsigned i = 0; i < cycles; ++i) {
            top.rx = line.drive();
            top.clk = 1;
            top.eval();
            top.clk = 0;
            top.eval();
            line.sample(top.tx);
            // in each cycle: a short request comes and goes within one call
            silent_ = line.moving() || top.busy ? 0 : silent_ + 1;
        }
        cycles_ += cycles;
    }

    // Since power-up of the program, resets notwithstanding.
    uint64_t cycles() const { return cycles_; }

    // Cycles since a byte was on its way, the core was busy, or someone interfered.
    uint64_t silent() const { return silent_; }

    // False if there is no such bit.
    bool flip(const std::string& name, size_t word, size_t bit) {
        const struct {
            const char* name;
            void* data;
            size_t words, bytes, bits;
        } memories[] = {
#define MEMORY(NAME, MEMBER, WORDS, BITS) {NAME, &top_->rootp->MEMBER[0], WORDS, sizeof top_->rootp->MEMBER[0], BITS},
#include "memories.inc"
#undef MEMORY
        };
        for (const auto& memory : memories) {
            if (name != memory.name || word >= memory.words || bit >= memory.bits) continue;
            static_cast<uint8_t*>(memory.data)[word * memory.bytes + bit / 8] ^= uint8_t(1 << bit % 8);
            silent_ = 0;
            return true;
        }
        return false;
    }

private:
    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vtop> top_;
    unsigned mutant_ = 0;
    uint64_t cycles_ = 0, silent_ = 0;
};

int listen_on(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    const int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(uint16_t(port));
    socklen_t size = sizeof address;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) || listen(fd, 8)) fail("port " + std::to_string(port));
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size)) fail("getsockname");
    printf("listening on socket://127.0.0.1:%d\n", ntohs(address.sin_port));
    return fd;
}

int open_terminal() {
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (master < 0 || grantpt(master) || unlockpt(master)) fail("pseudo-terminal");
    // The other end stays open here too, or the line would hang up between two clients.
    const int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    termios mode;
    if (slave < 0 || tcgetattr(slave, &mode)) fail("pseudo-terminal");
    cfmakeraw(&mode);
    if (tcsetattr(slave, TCSANOW, &mode)) fail("pseudo-terminal");
    printf("listening on %s\n", ptsname(master));
    return master;
}

// The host's side of the line.
class Bridge {
public:
    Bridge(Line& line, Design& design, int listener, int client, int signals)
        : line_(line), design_(design), listener_(listener), client_(client), signals_(signals) {}

    // Moves what can be moved, after waiting up to `milliseconds` (-1: for ever) for something to do. False: time to end.
    bool serve(int milliseconds) {
        flush();
        const bool full = line_.to_board.size() >= kBacklog;
        const short in = full ? 0 : POLLIN, out = line_.from_board.empty() ? 0 : POLLOUT;
        pollfd fds[] = {
            {signals_, POLLIN, 0}, {client_, short(in | out | POLLRDHUP), 0}, {listener_, POLLIN, 0}, {faults_, POLLIN, 0}};
        if (poll(fds, 4, milliseconds) < 0 && errno != EINTR) fail("poll");
        if (fds[0].revents) return false;
        const bool leaving = fds[1].revents & (POLLRDHUP | POLLHUP | POLLERR);
        if (fds[1].revents && !full) receive();
        // A client that is leaving, but has bytes unread, still holds the line; the next one waits in the kernel.
        if (fds[2].revents && (client_ < 0 || !leaving)) welcome();
        if (fds[3].revents) take_faults();
        return true;
    }

private:
    // What a real adapter would buffer is less; beyond it the kernel holds the sender back.
    static constexpr size_t kBacklog = 1 << 16, kChunk = 1 << 14;

    void receive() {
        uint8_t chunk[kChunk];
        const ssize_t count = read(client_, chunk, sizeof chunk);
        if (count > 0)
            line_.to_board.push(chunk, size_t(count));
        else if (count == 0 || (errno != EAGAIN && errno != EINTR))
            hang_up();
    }

    void take_faults() {
        char chunk[256];
        const ssize_t count = read(faults_, chunk, sizeof chunk);
        if (count <= 0) faults_ = -1;
        for (ssize_t i = 0; i < count; ++i) {
            if (chunk[i] != '\n') {
                order_ += chunk[i];
                continue;
            }
            std::istringstream words(order_);
            std::string verb, memory;
            size_t word = 0, bit = 0;
            unsigned number = 0;
            words >> verb;
            bool good = true;
            if (verb == "reset") {
                design_.reset();
                line_.cut();
            } else if (verb == "mutate" && words >> number) {
                design_.mutate(number);
                line_.cut();
            } else {
                good = verb == "flip" && words >> memory >> word >> bit && design_.flip(memory, word, bit);
            }
            puts(good ? "done" : "no such thing");
            fflush(stdout);
            order_.clear();
        }
    }

    void flush() {
        Queue& queue = line_.from_board;
        if (queue.empty()) return;
        if (client_ >= 0) {
            const ssize_t count =
                listener_ < 0 ? write(client_, queue.data(), queue.size()) : send(client_, queue.data(), queue.size(), MSG_NOSIGNAL);
            if (count > 0) queue.pop(size_t(count));
            if (count < 0 && errno != EAGAIN && errno != EINTR) hang_up();
        }
        // A serial line doesn't wait for its listener.
        if (client_ < 0 || queue.size() > kBacklog) queue.clear();
    }

    void welcome() {
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (client_ >= 0) {
            close(fd);
            return;
        }
        const int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        client_ = fd;
    }

    void hang_up() {
        if (listener_ < 0) return;
        close(client_);
        client_ = -1;
    }

    Line& line_;
    Design& design_;
    int faults_ = STDIN_FILENO;  // -1: closed
    std::string order_;          // that has begun to come in
    const int listener_;  // -1: pseudo-terminal
    int client_;          // -1: none
    const int signals_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: %s DIVISOR IDLE_CYCLES PARENT (--port N | --pty)\n", argv[0]);
        return 2;
    }
    const unsigned divisor = unsigned(strtoul(argv[1], nullptr, 10));
    const uint64_t idle_cycles = strtoull(argv[2], nullptr, 10);
    const pid_t parent = atoi(argv[3]);
    if (parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) return 0;
    }
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, nullptr);
    const int signals = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals < 0) fail("signalfd");

    const bool tcp = strcmp(argv[4], "--port") == 0 && argc > 5;
    const int listener = tcp ? listen_on(atoi(argv[5])) : -1;
    const int terminal = tcp ? -1 : open_terminal();
    fflush(stdout);

    Line line(divisor);
    Design design;
    design.reset();
    Bridge bridge(line, design, listener, terminal, signals);

    // Between two looks at the host. A look costs about a microsecond, a cycle about as much.
    constexpr unsigned kBatch = 256;

    using Clock = std::chrono::steady_clock;
    std::chrono::duration<double> awake{0};
    auto woke = Clock::now();
    for (;;) {
        design.run(line, kBatch);
        if (design.silent() < idle_cycles) {
            if (!bridge.serve(0)) break;
        } else {
            awake += Clock::now() - woke;
            const bool go_on = bridge.serve(-1);
            woke = Clock::now();
            if (!go_on) break;
        }
    }
    awake += Clock::now() - woke;
    fprintf(stderr, "%llu %.6f\n", static_cast<unsigned long long>(design.cycles()), awake.count());
    return 0;
}
