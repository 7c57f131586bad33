/*
 * sink_rig: a file sink's task of two partitions of topic "t" in a private directory, called as the worker calls it. One thread.
 */
#ifndef LEAT_TESTS_SINK_RIG_H
#define LEAT_TESTS_SINK_RIG_H

#include "connectors/file/file.h"

#include "tests/unit/file/fake_sink_host.h"
#include "tests/unit/file/sink_util.h"

struct rig {
    char *dir;
    struct leat_task task;
    struct leat_config config;
    void *self;
};

static inline int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    r->dir = testkit_dir();
    r->task.value = LEAT_CONVERTER_JSON;
    *state = r;
    return 0;
}

static inline int tear_down(void **state)
{
    struct rig *r = *state;
    testkit_remove_dir(r->dir);
    free(r);
    return 0;
}

/* Option values; `directory` is the rig's unless `file` is given. */
static inline void configure(struct rig *r, const struct fake_pair *pairs)
{
    fake_config_init(&r->config, &file_sink_connector);
    size_t n = 0;
    bool has_file = false;
    for (; pairs && pairs[n].name; n++) {
        r->config.pairs[n] = pairs[n];
        has_file = has_file || strcmp(pairs[n].name, "file") == 0;
    }
    if (!has_file)
        r->config.pairs[n] = (struct fake_pair){"directory", r->dir};
}

static inline int open_at(struct rig *r, int64_t offset)
{
    struct leat_offset assigned[] = {{"t", 0, offset}, {"t", 1, -1}};
    return file_sink_connector.sink->open(&r->task, &fake_host, &r->config, assigned, 2, &r->self);
}

static inline void put(struct rig *r, int32_t partition, int64_t offset, const char *value)
{
    struct leat_record record = fake_record(partition, offset, value);
    if (file_sink_connector.sink->put(r->self, &record, 1) != LEAT_OK)
        fail_msg("put: %s", r->task.failure);
}

/* What is stored of partition 0. */
static inline int64_t flush(struct rig *r, bool final)
{
    struct leat_offset assigned[] = {{"t", 0, -1}, {"t", 1, -1}};
    int64_t next_ms;
    if (file_sink_connector.sink->flush(r->self, final, assigned, 2, &next_ms) != LEAT_OK)
        fail_msg("flush: %s", r->task.failure);
    return assigned[0].offset;
}

static inline void close_sink(struct rig *r)
{
    file_sink_connector.sink->close(r->self);
    r->self = NULL;
}

#endif
