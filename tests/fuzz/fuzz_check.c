/*
 * fuzz_check: bytes from outside as every file that fsck and log dump look at: segment, indexes, snapshot, epochs, journal, metadata. The
 * first byte says whether the directory was stopped cleanly (bit 0) and whether the batches' checksums are made right
 * (bit 1); then come the files, each with two bytes of length. Whatever they hold, the check ends, names a known file and
 * changes nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/dump.h"
#include "broker/meta_image.h"
#include "storage/check.h"
#include "tests/fuzz/fuzz.h"

static const char *const names[] = {
    "__consumer_offsets-0/00000000000000000000.log",
    "__consumer_offsets-0/00000000000000000000.index",
    "__consumer_offsets-0/00000000000000000000.timeindex",
    "__consumer_offsets-0/00000000000000000000.txnindex",
    "__consumer_offsets-0/00000000000000000001.snapshot",
    "__consumer_offsets-0/leader-epoch-checkpoint",
    "journal/00000000.journal",
    "__cluster_metadata-0/00000000000000000000.log",
};
#define FILES (sizeof names / sizeof names[0])

static void write_file(const char *name, uint8_t *data, size_t n)
{
    struct err e = {0};
    char path[256];
    int fd;
    snprintf(path, sizeof path, "%s/%s", directory(), name);
    require(io_open(&fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &e) == ERR_OK);
    require(io_pwrite(fd, data, n, 0, path, &e) == ERR_OK);
    io_close(fd);
}

static int see(void *arg, const struct check_finding *f, struct err *e)
{
    (void)arg;
    (void)e;
    require(f->kind < CHECK_KIND_COUNT && f->text && strncmp(f->path, directory(), strlen(directory())) == 0);
    return ERR_OK;
}

static int bad(void *arg, const char *path, int64_t byte, int64_t offset, const struct err *why,
               struct err *e)
{
    (void)arg;
    (void)offset;
    (void)e;
    require(path && byte >= 0 && why->code != ERR_OK);
    return ERR_OK;
}

static int see_line(void *arg, const char *text, size_t n, struct err *e)
{
    (void)arg;
    (void)e;
    require(n > 0 && !memchr(text, '\n', n) && !memchr(text, '\0', n));
    return ERR_OK;
}

static void write_files(const uint8_t *data, size_t n, bool fix)
{
    struct err e = {0};
    static const char *const dirs[] = {"__consumer_offsets-0", "journal", "__cluster_metadata-0"};
    uint8_t *copy = mem_dup(data, n), *p = copy;
    require(copy && io_remove_tree(directory(), &e) == ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", directory(), dirs[i]);
        require(io_mkdirs(path, 0700, &e) == ERR_OK);
    }
    for (size_t i = 0; i < FILES && n >= 2; i++) {
        size_t length = be16(p);
        p += 2;
        n -= 2;
        length = length < n ? length : n;
        if (fix && strstr(names[i], ".log"))
            fix_batch_checksums(p, length);
        write_file(names[i], p, length);
        p += length;
        n -= length;
    }
    mem_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e = {0};
    struct check c = {.found = see};
    struct check_partition_result result;
    struct meta_image image;
    uint64_t live;
    char path[256];
    if (n < 1 || n > 65536)
        return 0;
    write_files(data + 1, n - 1, data[0] & 2);
    snprintf(path, sizeof path, "%s/__consumer_offsets-0", directory());
    struct check_partition_args args = {
        .dir = path, .name = "p-0", .clean = data[0] & 1, .recovery_point = data[0] >> 4, .records = true};
    require(check_partition(&c, &args, &result, &e) == ERR_OK);
    require(result.end >= result.start && result.segments <= 1);
    snprintf(path, sizeof path, "%s/journal", directory());
    require(journal_inspect(path, &c, NULL, &live, &e) == ERR_OK);
    snprintf(path, sizeof path, "%s/__cluster_metadata-0", directory());
    require(meta_image_init(&image, &e) == ERR_OK);
    require(meta_image_dir(&image, path, 0, bad, NULL, &e) == ERR_OK);
    meta_image_free(&image);
    for (int json = 0; json < 2; json++) {
        struct dump_report report = {0};
        struct dump_options o = {.json = json, .records = true, .to = INT64_MAX, .line = see_line};
        require(dump_path(&o, directory(), &report, &e) == ERR_OK);
    }
    require(io_remove_tree(directory(), &e) == ERR_OK);
    return 0;
}
