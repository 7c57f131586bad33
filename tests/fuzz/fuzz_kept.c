/*
 * Fuzzes the files of last known values. The input is two bytes with the length of `marks`, that file, and a segment. Checksums that
 * the input cannot guess are put right first, so that what is behind them is reached. Whatever the files say: opening ends, what is
 * found is within the segment, and what is put then is found again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "kit/kept/kept_impl.h"

#define LOG_MAX ((size_t)64 << 10)

static char dir[64];

static void must(int rc)
{
    if (rc != ERR_OK)
        abort();
}

static void write_file(const char *name, const uint8_t *data, size_t n)
{
    char path[128];
    struct err e;
    int fd;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    must(io_open(&fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &e));
    if (n)
        must(io_pwrite(fd, data, n, 0, path, &e));
    io_close(fd);
}

static void mend_marks(uint8_t *b, size_t n)
{
    if (n >= KEPT_MARKS_HEAD)
        put_be32(b + 60, crc32c(0, b, 60));
    for (size_t at = KEPT_MARKS_HEAD; at + KEPT_MARK_BYTES <= n; at += KEPT_MARK_BYTES)
        put_be32(b + at + 76, crc32c(be32(b + 16), b + at, 76));
}

static void mend_log(uint8_t *b, size_t n, const uint8_t *id)
{
    if (n < KEPT_SEGMENT_HEAD)
        return;
    memcpy(b + 16, id, KEPT_ID_BYTES);
    put_be32(b + 40, crc32c(0, b, 40));
    for (size_t at = KEPT_SEGMENT_HEAD; at + KEPT_RECORD_HEAD <= n;) {
        size_t key = be32(b + at + 12), value = be32(b + at + 16);
        if (key > n - at - KEPT_RECORD_HEAD || value > n - at - KEPT_RECORD_HEAD - key)
            return;
        uint32_t seed = kept_seed(id, 1, (uint32_t)at);
        put_be32(b + at + 20, crc32c(0, b + at + KEPT_RECORD_HEAD + key, value));
        put_be32(b + at, crc32c(seed, b + at + 4, KEPT_RECORD_HEAD - 4 + key));
        at += KEPT_RECORD_HEAD + key + value;
    }
}

static void find(struct kept *k, const struct kept_key *key)
{
    struct kept_value v;
    struct err e;
    struct buf b;
    buf_init(&b, LOG_MAX);
    if (kept_find(k, key, &v, &e) == ERR_OK && kept_read(k, key, &v, &b, &e) == ERR_OK && b.len != v.n)
        abort();
    buf_free(&b);
}

static void use(struct kept *k)
{
    struct kept_key key = {.table = 7, .column = 2, .data = "a", .n = 1}, other = key;
    struct kept_value v;
    struct kept_place place = {{2, 0, 0, 0}};
    struct err e;
    size_t n;
    other.data = "b";
    find(k, &key);
    find(k, &other);
    kept_noted(k, 7, &n);
    must(kept_put(k, &key, 9, "value", 5, &e));
    must(kept_remove(k, &other, &e));
    must(kept_note(k, 7, "note", 4, &e));
    must(kept_find(k, &key, &v, &e));
    must(kept_mark(k, &place, 1, &e));
    must(kept_durable(k, 1, &e));
    if (v.n != 5 || v.lsn != 9 || kept_find(k, &other, &v, &e) != ERR_NOT_FOUND)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t bytes[LOG_MAX];
    struct kept_options o = {.dir = dir, .disk_bytes = KEPT_DISK_MIN, .memory_bytes = KEPT_MEMORY_MIN};
    struct kept_place place = {{1, 0, 0, 0}};
    struct kept *k;
    struct err e;
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "/dev/shm/leat-fuzz-kept-%d", (int)getpid());
        must(io_mkdirs(dir, 0700, &e));
    }
    if (n < 2 || n > LOG_MAX)
        return 0;
    memcpy(bytes, data, n);
    size_t marks = be16(bytes) < n - 2 ? be16(bytes) : n - 2;
    uint8_t none[KEPT_ID_BYTES] = {0};
    mend_marks(bytes + 2, marks);
    mend_log(bytes + 2 + marks, n - 2 - marks, marks >= KEPT_MARKS_HEAD ? bytes + 2 + 16 : none);
    write_file("marks", bytes + 2, marks);
    write_file("log-0000000001", bytes + 2 + marks, n - 2 - marks);
    for (int i = 0; i < 2; i++) {
        if (kept_open(&o, &place, &k, &e) != ERR_OK)
            abort();
        use(k);
        kept_close(k);
        place.words[0] = 2;
    }
    must(kept_open(&o, &place, &k, &e));
    if (kept_why(k))
        abort();
    must(kept_abandon(k, &e));
    return 0;
}
