/* Loaded before libc: makes operations below one folder fail while the fault file exists. The file
 * holds "ENOSPC" (writes and new files fail, as on a full disk), "EIO" (writes and syncs fail, as on
 * a broken disk), "write N" or "sync N". With "write N" or "sync N" the process is killed at the Nth
 * such call on the database file. In WAL mode only a checkpoint makes such calls. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define DATABASE "/waviro.db"

enum fault { WELL, FULL, BROKEN, WRITE, SYNC };

/* The number of the call at which the process ends, for WRITE and SYNC. */
static int nth;

static enum fault fault(void) {
    const char *file = getenv("DISK_FAULT_FILE");
    static int (*real_open)(const char *, int, ...);
    static ssize_t (*real_read)(int, void *, size_t);
    if (!file || access(file, F_OK) != 0) return WELL;
    if (!real_open) real_open = dlsym(RTLD_NEXT, "open");
    if (!real_read) real_read = dlsym(RTLD_NEXT, "read");
    char word[16] = {0};
    int fd = real_open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return WELL;
    ssize_t got = real_read(fd, word, sizeof word - 1);
    close(fd);
    if (got < 3) return WELL;
    if (sscanf(word, "write %d", &nth) == 1) return WRITE;
    if (sscanf(word, "sync %d", &nth) == 1) return SYNC;
    return strncmp(word, "EIO", 3) == 0 ? BROKEN : FULL;
}

static int inside_path(const char *path) {
    const char *folder = getenv("DISK_FAULT_DIR");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

/* Returns whether fd is a file below the folder, and ends with the name if a name is given. */
static int inside(int fd, const char *name) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!inside_path(path)) return 0;
    size_t tail = name ? strlen(name) : 0;
    return tail <= (size_t)length && strcmp(path + length - tail, name ? name : "") == 0;
}

static void end_at(int fd) {
    static int seen;
    if (inside(fd, DATABASE) && __sync_add_and_fetch(&seen, 1) == nth) kill(getpid(), SIGKILL);
}

/* Returns the error of a write to fd; 0 if the write succeeds. */
static int refused(int fd) {
    enum fault now = fault();
    if (now == WRITE) end_at(fd);
    if ((now != FULL && now != BROKEN) || !inside(fd, 0)) return 0;
    return now == FULL ? ENOSPC : EIO;
}

#define WRITES(name, result, parameters, arguments)                 \
    result name parameters {                                        \
        static result(*real) parameters;                            \
        if (!real) real = dlsym(RTLD_NEXT, #name);                  \
        int why = refused(fd);                                      \
        if (why) { errno = why; return -1; }                        \
        return real arguments;                                      \
    }

WRITES(write, ssize_t, (int fd, const void *from, size_t count), (fd, from, count))
WRITES(writev, ssize_t, (int fd, const struct iovec *from, int count), (fd, from, count))
WRITES(pwrite, ssize_t, (int fd, const void *from, size_t count, off_t at), (fd, from, count, at))
WRITES(pwrite64, ssize_t, (int fd, const void *from, size_t count, off64_t at), (fd, from, count, at))

#define SYNCS(name)                                                 \
    int name(int fd) {                                              \
        static int (*real)(int);                                    \
        if (!real) real = dlsym(RTLD_NEXT, #name);                  \
        enum fault now = fault();                                   \
        if (now == SYNC) end_at(fd);                                \
        if (now == BROKEN && inside(fd, 0)) { errno = EIO; return -1; } \
        return real(fd);                                            \
    }

SYNCS(fsync)
SYNCS(fdatasync)

#define OPENS(name)                                                 \
    int name(const char *path, int flags, ...) {                    \
        static int (*real)(const char *, int, ...);                 \
        if (!real) real = dlsym(RTLD_NEXT, #name);                  \
        mode_t mode = 0;                                            \
        if (flags & (O_CREAT | O_TMPFILE)) {                        \
            va_list more;                                           \
            va_start(more, flags);                                  \
            mode = va_arg(more, mode_t);                            \
            va_end(more);                                           \
        }                                                           \
        if ((flags & O_CREAT) && inside_path(path) && access(path, F_OK) != 0 && (fault() == FULL || fault() == BROKEN)) { \
            errno = ENOSPC;                                         \
            return -1;                                              \
        }                                                           \
        return real(path, flags, mode);                             \
    }

OPENS(open)
OPENS(open64)
