/*
 * fuzz: what the fuzz targets share. See tests/fuzz/run.
 */
#ifndef LEAT_TESTS_FUZZ_FUZZ_H
#define LEAT_TESTS_FUZZ_FUZZ_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static inline void require(bool condition)
{
    if (!condition)
        abort();
}

/* The process's own, in memory where there is such a place; the target makes and removes it. Diagnostics are off from the first call on. */
static inline const char *directory(void)
{
    static char dir[64];
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "%s/leat-%.20s-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
                 program_invocation_short_name, (int)getpid());
        diag_setup(DIAG_OFF, DIAG_TEXT);
    }
    return dir;
}

/* Makes the checksums of record batches right, as far as their lengths lead. */
static inline void fix_batch_checksums(uint8_t *p, size_t n)
{
    while (n > 61) {
        uint32_t length = be32(p + 8);
        if (length < 49 || length > n - 12)
            return;
        put_be32(p + 17, crc32c(0, p + 21, length + 12 - 21));
        p += length + 12;
        n -= length + 12;
    }
}

#endif
