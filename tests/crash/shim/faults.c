/* A disk that fails when it is told to: preloaded into a victim, in front of the C library's calls.
 *
 * ALDIS_FAULT names a file whose first letter says what is wrong now, with the files of a store (messages.db and what lies beside it):
 *   f  every write fails: no space is left on the device
 *   s  every sync fails, what was written before is there or not
 *   r  opening for writing and every write fail: the file system is read only
 *   t  the write of the number that follows, counted from when that is first read, is torn: half of it is done, and the power fails
 * Anything else, or no file: nothing is wrong. ALDIS_SYNCS names a file that gets a letter for each sync that succeeded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* Past our own wrappers. */
static long raw_open(const char *path, int flags, int mode) { return syscall(SYS_openat, AT_FDCWD, path, flags, mode); }

static int is_store_path(const char *path) {
    const char *name = strrchr(path, '/');
    return strncmp(name ? name + 1 : path, "messages.db", 11) == 0;
}

static int is_store(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_store_path(path);
}

static char fault(long *number) {
    const char *path = getenv("ALDIS_FAULT");
    char text[32] = "";
    if (!path) return 0;
    long file = raw_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) return 0;
    syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    if (number) *number = atol(text + 1);
    return text[0];
}

static long torn;

/* What becomes of a write: 0 goes on, else the error; or half of it is done and nothing ever more. */
static int write_fails(int file, const void *data, size_t length, off64_t at) {
    int before = errno;
    long number = 0;
    if (!is_store(file)) return errno = before, 0;
    char wrong = fault(&number);
    errno = before;
    if (wrong == 'f') return ENOSPC;
    if (wrong == 'r') return EROFS;
    if (wrong == 't' && __sync_add_and_fetch(&torn, 1) == number) {
        if (at < 0) syscall(SYS_write, file, data, length / 2);
        else syscall(SYS_pwrite64, file, data, length / 2, at);
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    return 0;
}

ssize_t write(int file, const void *data, size_t length) {
    int error = write_fails(file, data, length, -1);
    if (error) return errno = error, -1;
    return syscall(SYS_write, file, data, length);
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t at) {
    int error = write_fails(file, data, length, at);
    if (error) return errno = error, -1;
    return syscall(SYS_pwrite64, file, data, length, at);
}

ssize_t pwrite(int file, const void *data, size_t length, off_t at) { return pwrite64(file, data, length, at); }

static int synced(int file, long number) {
    if (!is_store(file)) return syscall(number, file);
    if (fault(0) == 's') return errno = EIO, -1;
    int result = syscall(number, file);
    const char *path = getenv("ALDIS_SYNCS");
    if (result == 0 && path) {
        long log = raw_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (log >= 0) syscall(SYS_write, log, "s", 1), syscall(SYS_close, log);
    }
    return result;
}

int fsync(int file) { return synced(file, SYS_fsync); }
int fdatasync(int file) { return synced(file, SYS_fdatasync); }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = (flags & O_CREAT) ? va_arg(rest, int) : 0;
    va_end(rest);
    if ((flags & O_ACCMODE) != O_RDONLY && is_store_path(path) && fault(0) == 'r') return errno = EROFS, -1;
    return raw_open(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = (flags & O_CREAT) ? va_arg(rest, int) : 0;
    va_end(rest);
    return open64(path, flags, mode);
}
