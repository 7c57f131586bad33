/*
 * fuzz_index: bytes from outside as an offset index (first byte even) or a time index (odd). What index_check keeps must
 * ascend, be found by its own key, and stay within the bounds it was given.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/index.h"
#include "tests/fuzz/fuzz.h"

#define BASE 1000
#define OFFSET_END 100000
#define POSITION_END 5000000

static void check_entries(const struct index *ix, int fd)
{
    struct err e = {0};
    struct index_entry en, before = {-1, -1};
    bool found;
    int64_t key = ix->on_disk ? ix->last.key : -1;
    while (key >= 0) {
        require(index_find_disk(ix->kind, ix->base, ix->on_disk, fd, key, &en, &found, "index", &e) ==
                ERR_OK);
        if (!found)
            break;
        require(en.key <= key && (before.key < 0 || (en.key < before.key && en.value <= before.value)));
        int64_t offset = ix->kind == INDEX_OFFSET ? en.key : en.value;
        require(offset >= BASE && offset < OFFSET_END);
        require(ix->kind == INDEX_TIME || (en.value > 0 && en.value < POSITION_END));
        before = en;
        key = en.key - 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e = {0};
    struct index ix;
    if (n < 1 || n > 65536)
        return 0;
    int fd = memfd_create("index", MFD_CLOEXEC);
    require(fd >= 0 && io_pwrite(fd, data + 1, n - 1, 0, "index", &e) == ERR_OK);
    index_init(&ix, data[0] & 1 ? INDEX_TIME : INDEX_OFFSET, BASE);
    if (index_load(&ix, fd, "index", &e) != ERR_OK)
        require(e.code == ERR_CORRUPT);
    require(index_check(&ix, fd, OFFSET_END, POSITION_END, "index", &e) == ERR_OK);
    check_entries(&ix, fd);
    require(index_truncate(&ix, fd, BASE + (data[0] >> 1) * 16, "index", &e) == ERR_OK);
    check_entries(&ix, fd);
    index_free(&ix);
    close(fd);
    return 0;
}
