// Connects the serial line with a TCP port or a pseudo-terminal; executes faults from standard input.

#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <string>

#include "design.h"
#include "line.h"

[[noreturn]] inline void fail(const std::string& what) {
    fprintf(stderr, "%s: %s\n", what.c_str(), strerror(errno));
    exit(1);
}

inline int listen_on(int port) {
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

inline int open_terminal() {
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (master < 0 || grantpt(master) || unlockpt(master)) fail("pseudo-terminal");
    // The other end is kept open here too; otherwise the line would hang up between two clients.
    const int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    termios mode;
    if (slave < 0 || tcgetattr(slave, &mode)) fail("pseudo-terminal");
    cfmakeraw(&mode);
    if (tcsetattr(slave, TCSANOW, &mode)) fail("pseudo-terminal");
    printf("listening on %s\n", ptsname(master));
    return master;
}

// The host's end of the serial line.
class Bridge {
public:
    Bridge(Line& line, Design& design, int listener, int client, int signals)
        : line_(line), design_(design), listener_(listener), client_(client), signals_(signals) {}

    // Waits up to `milliseconds` (-1: without limit) for an event, then moves bytes, accepts clients and
    // executes faults. Returns false if the program must end.
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
        // A leaving client with unread bytes still occupies the line; the next one waits in the kernel.
        if (fds[2].revents && (client_ < 0 || !leaving)) welcome();
        if (fds[3].revents) take_faults();
        return true;
    }

private:
    // More than a real adapter buffers. When it is full, the kernel blocks the sender.
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
            size_t word = 0, bit = 0, after = 0;
            words >> verb;
            bool good = true;
            if (verb == "reset") {
                design_.reset();
                line_.cut();
            } else {
                good = verb == "flip" && words >> memory >> word >> bit >> after && design_.flip(memory, word, bit, after);
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
        // A serial line has no backpressure: bytes without a reader are lost.
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
    std::string order_;          // the incomplete line of a fault
    const int listener_;  // -1: pseudo-terminal
    int client_;          // -1: none
    const int signals_;
};
