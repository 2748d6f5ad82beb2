// Between a process and its system: counts calls, fails one of them, and records what happens to the files of a folder.
//
// Loaded with LD_PRELOAD. `attack_arm` says which call fails; before it, and in processes that are started, nothing does.

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

// Kinds of calls, as bits; the harness has the same table.
enum Kind { OPEN = 1, READ = 2, WRITE = 4, SYNC = 8, RENAME = 16, NAMES = 32, START = 64, MEMORY = 128, LOCK = 256 };

// Smaller pieces come from what a process already has.
constexpr size_t LARGE = 16384;

pid_t owner;      // the process that is armed
long count;       // calls so far
long failing;     // number of the call that fails, from 1; 0: none
int kinds;        // those that count
int half;         // whether a write that fails writes half before
int failed_kind;  // of the call that failed
bool broken;      // the disk stays full after it
int trace = -1;   // where the record goes
const char* root; // the folder that is recorded

template <typename F> F next(const char* name) { return reinterpret_cast<F>(dlsym(RTLD_NEXT, name)); }
#define NEXT(name) \
    static auto real = next<decltype(&name)>(#name)

bool armed() { return owner && owner == getpid(); }

bool fails(Kind kind, int error) {
    if (!owner || !(kinds & kind) || !armed()) return false;
    ++count;
    if (count != failing && !(broken && failed_kind && kind == WRITE)) return false;
    if (count == failing) failed_kind = kind;
    errno = error;
    return true;
}

bool standard(int descriptor) { return descriptor <= 2 || descriptor == trace; }

bool recorded(const char* path) { return trace >= 0 && armed() && path && !strncmp(path, root, strlen(root)); }

void put(const void* data, size_t size) {
    static auto real = next<decltype(&write)>("write");
    if (real(trace, data, size) != static_cast<ssize_t>(size)) abort();
}

void record(char operation, int64_t a, int64_t b, const void* text, uint64_t size) {
    put(&operation, 1), put(&a, 8), put(&b, 8), put(&size, 8), put(text, size);
}

void record_names(char operation, const char* path, const char* to = "") {
    char text[8192];
    const int size = snprintf(text, sizeof text, "%s%c%s", path, 0, to);
    record(operation, 0, 0, text, size);
}

int opened(int descriptor, const char* path, int flags) {
    if (descriptor >= 0 && recorded(path)) record('O', descriptor, flags, path, strlen(path));
    return descriptor;
}

} // namespace

extern "C" {

void attack_arm(long number, int which, int halves, int stays, const char* folder, int descriptor) {
    failing = number, kinds = which, half = halves, broken = stays, root = strdup(folder), trace = descriptor;
    count = failed_kind = 0;
    owner = getpid();
}

void attack_disarm() { owner = 0; }

long attack_count() { return count; }
int attack_failed() { return failed_kind; }

#define OPENING(name, first_parameter, first, path)                                   \
    int name(first_parameter const char* path, int flags, ...) {                      \
        NEXT(name);                                                                   \
        mode_t mode = 0;                                                              \
        if (flags & (O_CREAT | O_TMPFILE)) {                                          \
            va_list rest;                                                             \
            va_start(rest, flags);                                                    \
            mode = va_arg(rest, mode_t);                                              \
            va_end(rest);                                                             \
        }                                                                             \
        if (fails(OPEN, flags & O_CREAT ? ENOSPC : EMFILE)) return -1;                \
        return opened(real(first path, flags, mode), path, flags);                    \
    }

#define COMMA ,
OPENING(open, , , path)
OPENING(open64, , , path)
OPENING(openat, int folder COMMA, folder COMMA, path)
OPENING(openat64, int folder COMMA, folder COMMA, path)

FILE* fopen(const char* path, const char* mode) {
    NEXT(fopen);
    return fails(OPEN, EMFILE) ? nullptr : real(path, mode);
}

FILE* fopen64(const char* path, const char* mode) {
    NEXT(fopen64);
    return fails(OPEN, EMFILE) ? nullptr : real(path, mode);
}

ssize_t read(int descriptor, void* data, size_t size) {
    NEXT(read);
    return !standard(descriptor) && fails(READ, EIO) ? -1 : real(descriptor, data, size);
}

ssize_t write(int descriptor, const void* data, size_t size) {
    NEXT(write);
    if (!standard(descriptor) && fails(WRITE, ENOSPC)) {
        if (half && size > 1 && count == failing) {
            const ssize_t done = real(descriptor, data, size / 2);
            errno = ENOSPC;
            return done; // short: the next one fails, as the disk is full
        }
        return -1;
    }
    if (trace >= 0 && !standard(descriptor) && armed()) record('W', descriptor, lseek(descriptor, 0, SEEK_CUR), data, size);
    return real(descriptor, data, size);
}

ssize_t pwrite(int descriptor, const void* data, size_t size, off_t at) {
    NEXT(pwrite);
    if (fails(WRITE, ENOSPC)) return -1;
    if (trace >= 0 && armed()) record('W', descriptor, at, data, size);
    return real(descriptor, data, size, at);
}

int fsync(int descriptor) {
    NEXT(fsync);
    if (fails(SYNC, EIO)) return -1;
    if (trace >= 0 && armed()) record('S', descriptor, 0, "", 0);
    return real(descriptor);
}

int fdatasync(int descriptor) {
    NEXT(fdatasync);
    if (fails(SYNC, EIO)) return -1;
    if (trace >= 0 && armed()) record('S', descriptor, 0, "", 0);
    return real(descriptor);
}

int rename(const char* from, const char* to) {
    NEXT(rename);
    if (fails(RENAME, EIO)) return -1;
    if (recorded(to)) record_names('R', from, to);
    return real(from, to);
}

int unlink(const char* path) {
    NEXT(unlink);
    if (fails(NAMES, EIO)) return -1;
    const int done = real(path);
    if (!done && recorded(path)) record_names('U', path);
    return done;
}

int mkdir(const char* path, mode_t mode) {
    NEXT(mkdir);
    if (fails(NAMES, ENOSPC)) return -1;
    const int done = real(path, mode);
    if (!done && recorded(path)) record_names('M', path);
    return done;
}

int ftruncate(int descriptor, off_t size) {
    NEXT(ftruncate);
    if (fails(WRITE, ENOSPC)) return -1;
    if (trace >= 0 && armed()) record('T', descriptor, size, "", 0);
    return real(descriptor, size);
}

int flock(int descriptor, int operation) {
    NEXT(flock);
    return fails(LOCK, ENOLCK) ? -1 : real(descriptor, operation);
}

pid_t fork() {
    NEXT(fork);
    return fails(START, EAGAIN) ? -1 : real();
}

void* malloc(size_t size) { return size >= LARGE && fails(MEMORY, ENOMEM) ? nullptr : __libc_malloc(size); }

void* calloc(size_t number, size_t size) {
    return number * size >= LARGE && fails(MEMORY, ENOMEM) ? nullptr : __libc_calloc(number, size);
}

void* realloc(void* memory, size_t size) {
    return size >= LARGE && fails(MEMORY, ENOMEM) ? nullptr : __libc_realloc(memory, size);
}

int posix_memalign(void** memory, size_t alignment, size_t size) {
    if (size >= LARGE && fails(MEMORY, ENOMEM)) return ENOMEM;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

void* aligned_alloc(size_t alignment, size_t size) {
    return size >= LARGE && fails(MEMORY, ENOMEM) ? nullptr : __libc_memalign(alignment, size);
}

} // extern "C"
