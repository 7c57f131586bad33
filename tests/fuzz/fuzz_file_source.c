/*
 * The file source's framing and its JSON check on any bytes. The first bytes choose the way of cutting; then the rest is cut
 * whole and cut bit by bit, and both must agree. Cutting must always get on, within the memory it says it needs.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/file/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

/* Hash and number of the records. */
struct sum {
    uint64_t hash;
    size_t count;
    int rc;
};

static struct sum cut(const struct framing *f, const uint8_t *data, size_t n, size_t step,
                      struct frames *frames)
{
    struct sum sum = {0, 0, ERR_OK};
    struct err e;
    size_t from = 0, upto = step < n ? step : n;
    frames->mid = false;
    for (;;) {
        bool end = upto == n;
        sum.rc = frame_split(f, data + from, upto - from, end ? FRAME_ALL : FRAME_KEEP, frames, &e);
        if (sum.rc != ERR_OK)
            return sum;
        for (size_t i = 0; i < frames->count; i++, sum.count++)
            sum.hash = sum.hash * 31 + hash64(frames->spans[i].data, frames->spans[i].len) + 1;
        CHECK(frames->consumed <= upto - from);
        from += frames->consumed;
        if (frames->consumed > 0)
            continue;
        if (end)
            break;
        CHECK(upto - from < frame_need(f));
        upto = n - upto < step ? n : upto + step;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    struct framing f = {
        .mode = (enum frame_mode)(data[0] % 3),
        .over = (enum frame_over)(data[0] / 3 % 4),
        .bad_json = (enum frame_bad)(data[0] / 12 % 3),
        .line_max = 1 + data[1],
        .chunk_max = 1 + data[1],
        .negate = data[2] & 1,
        .before = data[2] & 2,
        .group_lines = 1 + data[2] / 8,
        .group_bytes = 1 + (size_t)data[3] * 2,
    };
    f.multiline = f.mode == FRAME_LINE && data[2] & 4;
    if (f.multiline && regcomp(&f.pattern, "^[[:space:]]|x$", REG_EXTENDED) != 0)
        return 0;
    struct frames *frames = calloc(1, sizeof(*frames));
    if (frames) {
        buf_init(&frames->scratch, 1 << 20);
        struct sum whole = cut(&f, data + 4, size - 4, size, frames);
        struct sum parts = cut(&f, data + 4, size - 4, 1 + data[3] % 7, frames);
        CHECK(f.mode == FRAME_RAW ||
              (whole.hash == parts.hash && whole.count == parts.count && whole.rc == parts.rc));
        buf_free(&frames->scratch);
    }
    free(frames);
    if (f.multiline)
        regfree(&f.pattern);
    char name[256], live[256];
    size_t n = size < sizeof(name) ? size : sizeof(name) - 1;
    memcpy(name, data, n);
    name[n] = '\0';
    name_live(name, live);
    CHECK(strlen(live) <= strlen(name));
    return 0;
}
