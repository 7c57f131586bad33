/*
 * fuzz_journal: bytes from outside as one journal file, or as a file of what was set aside, by bit 1 of the first byte. With
 * that byte odd, checksums and the latter's length are made right, so that the fuzzer gets to the entries. Replay must
 * answer ERR_OK or ERR_CORRUPT (ERR_UNSUPPORTED for a later version), give only entries that lie within the file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/journal_internal.h"
#include "base/buf.h"
#include "tests/fuzz/fuzz.h"

static void fix_checksums(uint8_t *p, size_t n)
{
    if (n >= JOURNAL_BLOCK) {
        put_be64(p + 40, n);
        put_be32(p + 48, crc32c(0, p, 48));
    }
    for (size_t at = JOURNAL_BLOCK; at + JOURNAL_RECORD_HEADER <= n; at += JOURNAL_BLOCK) {
        uint32_t payload = be32(p + at + 32);
        if (be32(p + at) == JOURNAL_RECORD_MAGIC && payload <= n - at - JOURNAL_RECORD_HEADER)
            put_be32(p + at + 36, crc32c(crc32c(0, p + at + JOURNAL_RECORD_HEADER, payload), p + at, 36));
    }
}

static int touch(void *arg, const struct journal_entry *en, struct err *e)
{
    uint32_t *sum = arg;
    (void)e;
    *sum = crc32c(*sum, en->data, en->bytes);
    return ERR_OK;
}

static int touch_aside(void *arg, uint64_t number, const struct journal_entry *en, struct err *e)
{
    (void)number;
    return touch(arg, en, e);
}

static int open_and_replay(struct journal **j, uint32_t *sum, struct err *e)
{
    struct journal_options o = {.dir = directory(), .file_bytes = 1 << 16, .record_bytes = 1 << 16};
    int rc = journal_open(j, &o, e);
    if (rc == ERR_OK)
        rc = journal_replay_asides(*j, touch_aside, sum, e);
    if (rc == ERR_OK)
        rc = journal_replay(*j, touch, sum, e);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e = {0};
    struct journal *j = NULL;
    uint32_t sum = 0;
    char path[128];
    int fd;
    if (n < 1 || n > 262144)
        return 0;
    /* Short inputs reach further when they are spread: the rest of the last block is zeros. */
    size_t padded = journal_padded(n - 1);
    uint8_t *copy = mem_calloc(1, padded + 1);
    require(copy && io_remove_tree(directory(), &e) == ERR_OK && io_mkdirs(directory(), 0700, &e) == ERR_OK);
    memcpy(copy, data + 1, n - 1);
    if (data[0] & 1)
        fix_checksums(copy, padded);
    if (data[0] & 2)
        snprintf(path, sizeof path, "%s/%020llu.aside", directory(),
                 padded >= JOURNAL_BLOCK ? (unsigned long long)be64(copy + 16) : 1);
    else
        snprintf(path, sizeof path, "%s/00000000.journal", directory());
    require(io_open(&fd, path, O_WRONLY | O_CREAT, 0600, &e) == ERR_OK);
    require(io_pwrite(fd, copy, padded, 0, path, &e) == ERR_OK);
    io_close(fd);
    mem_free(copy);
    int rc = open_and_replay(&j, &sum, &e);
    require(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED);
    journal_close(j);
    require(io_remove_tree(directory(), &e) == ERR_OK);
    return 0;
}
