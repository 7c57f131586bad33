/*
 * fault: deliberate failures for tests. Armed from the environment (LEAT_FAULT=alloc:7,write:3:EIO,sync:1:@/disk2/)
 * or by fault_arm(). When nothing is armed a check costs one relaxed load. Any thread.
 */
#ifndef LEAT_BASE_FAULT_H
#define LEAT_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

enum fault_point {
    FAULT_ALLOC, /* mem_* returns NULL */
    FAULT_WRITE, /* io_write*, io_pwrite*, io_allocate, io_truncate (but not with ENOSPC) fail */
    FAULT_SYNC,  /* io_sync*, io_sync_dir fail */
    FAULT_READ, /* io_pread* fails; with EAGAIN: for a thread that is not patient the bytes are not in memory */
    FAULT_META, /* io_open (creating), io_rename, io_unlink, io_mkdir fail */
    FAULT_POINTS
};

/* From now on let the n-th (1-based) pass through the point fail with `errnum`; `sticky`: all later ones too.
 */
void fault_arm(enum fault_point point, uint64_t nth, int errnum, bool sticky);
/* The same for files whose path contains `part` only (not FAULT_ALLOC); `part` stays the caller's until disarmed. */
void fault_arm_at(enum fault_point point, const char *part, uint64_t nth, int errnum, bool sticky);
void fault_disarm(void);

/* How many passes the point has seen since it was armed (arm with nth = UINT64_MAX to count only). */
uint64_t fault_passes(enum fault_point point);

/* Reads LEAT_FAULT; false and a message on stderr if it is malformed. */
bool fault_from_env(void);

/* For the implementation of mem and io: 0 or the errno to fail with. `path` NULL: no file. */
int fault_check(enum fault_point point, const char *path);

#endif
