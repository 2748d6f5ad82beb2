// The virtual board: simulates the top level with its serial pins at a TCP port or a pseudo-terminal.
//
//   top DIVISOR IDLE_CYCLES PARENT (--port N | --pty)
//
// DIVISOR: clock cycles per bit. IDLE_CYCLES: cycles without activity after which the design is certainly
// idle; its clock then stops until a byte or a fault comes. PARENT: process id of the parent, with which this
// process ends; 0 for none. Port 0: any free port. Writes "listening on ADDRESS" to standard output, and at
// the end "CYCLES SECONDS" to standard error; SECONDS exclude the time with a stopped clock. If the logic
// breaks a rule of the SDRAM, the program ends at once with "sdram: RULE CYCLE BANK" on standard error.
//
// Faults are lines on standard input; standard output acknowledges each with "done" or "no such thing":
//   reset                   back to the state after power-up; bytes that wait for the line are kept
//   flip MEMORY WORD BIT N  inverts a bit of a memory in memories.inc or of a register in registers.inc,
//                           after N cycles in which the core is busy; 0: now
//
// The board keeps its state when a client disconnects. While one client is connected, others are refused.

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "bridge.h"
#include "design.h"
#include "line.h"

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

    // Clock cycles between two polls of the host. A poll takes about a microsecond, about as long as a cycle.
    constexpr unsigned kBatch = 256;

    using Clock = std::chrono::steady_clock;
    std::chrono::duration<double> awake{0};
    auto woke = Clock::now();
    for (;;) {
        design.run(line, kBatch);
        if (const auto broken = design.broken(); broken.rule) {
            fprintf(stderr, "sdram: %u %u %u\n", broken.rule, broken.cycle, broken.bank);
            return 3;
        }
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
