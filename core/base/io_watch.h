/*
 * io_watch: lets a test see every change that base/io makes to files and names, to work out what a power loss would
 * leave of them. Nobody watches otherwise; then it costs one relaxed load a call.
 */
#ifndef LEAT_BASE_IO_WATCH_H
#define LEAT_BASE_IO_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum io_op {
    IO_OP_OPEN, /* told when done only */
    IO_OP_WRITE,
    IO_OP_TRUNCATE,
    IO_OP_SYNC,
    IO_OP_RENAME,
    IO_OP_UNLINK,
    IO_OP_MKDIR,
    IO_OP_RMDIR,
};

struct io_event {
    enum io_op op;
    bool done; /* told before (false) and, where it succeeded, after (true) */
    int fd;
    int flags;               /* OPEN */
    const char *path, *to;   /* names; `to` of RENAME */
    const struct iovec *iov; /* WRITE, before */
    int iovcnt;
    int64_t offset; /* WRITE; TRUNCATE: the length */
    void *note;     /* the watcher's, kept from before to after */
};

/* NULL ends it. To be called while no other thread uses base/io; the function is called from any thread. */
void io_watch(void (*fn)(void *arg, struct io_event *ev), void *arg);

#endif
