/*
 * kafka_export: see kafka_dir.h. Kafka's storage tool has written a bootstrap.checkpoint, the records with which a new
 * controller begins its metadata log; our topics are added to it. So the versions and features are those of the Kafka that
 * will run, and that Kafka itself writes its metadata log.
 */
#include "broker/kafka_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/data_dir.h"
#include "broker/disk_internal.h"
#include "broker/group_config.h"
#include "broker/meta_image.h"
#include "broker/store.h"

#define BOOTSTRAP "bootstrap.checkpoint"
#define BOOTSTRAP_MAX (64u << 20)

struct export
{
    const struct kafka_export_options *o;
    struct kafka_copy_report *r;
    struct topic_info *topics; /* with their partitions */
    size_t count;
    struct meta_group *groups; /* with settings */
    size_t group_count;
    int64_t next_producer_id;
    struct uuid directory; /* of Kafka's directory */
    int32_t node;
    const char **logs; /* our log directories */
    size_t logs_count;
};

/* ---- our side ---- */

static int read_groups(struct export *x, struct broker *b, struct err *e)
{
    struct arena a;
    const char *const *names;
    size_t n = 0;
    arena_init(&a, ARENA_MAX_BYTES, NULL);
    int rc = broker_groups_set(b, &a, &names, &n, e);
    x->groups = rc ? NULL : mem_calloc(n + 1, sizeof *x->groups);
    if (!rc && !x->groups)
        rc = err_nomem(e);
    for (size_t i = 0; i < n && !rc; i++) {
        struct meta_group *g = &x->groups[x->group_count];
        rc = broker_group_settings(b, names[i], &g->config, &g->config_count, e);
        if (rc)
            break;
        x->group_count++;
        if (!(g->name = mem_strdup(names[i])))
            rc = err_nomem(e);
    }
    arena_free(&a);
    return rc;
}

/* Opening recovers what a killed hub left; closing puts everything into files. */
static int read_topics(struct export *x, struct err *e)
{
    struct broker_options bo = {.data_dir = x->o->data_dir};
    struct broker *b;
    struct topic_info *list = NULL;
    size_t n = 0;
    int64_t id = 0;
    int16_t epoch;
    int rc = broker_open(&b, &bo, e);
    if (rc)
        return rc;
    rc = broker_topics(b, &list, &n, e);
    x->topics = rc ? NULL : mem_calloc(n + 1, sizeof *x->topics);
    if (!rc && !x->topics)
        rc = err_nomem(e);
    for (size_t i = 0; i < n && !rc; i++)
        if (!(rc = broker_topic(b, list[i].name, &x->topics[x->count], e)))
            x->count++;
    rc = rc ? rc : read_groups(x, b, e);
    if (!rc) /* the next id is above all that were ever given */
        rc = broker_init_producer(b, NULL, 60000, &id, &epoch, e);
    x->next_producer_id = id + 1;
    topic_infos_free(list, n);
    struct err why;
    int closed = broker_close(b, rc ? &why : e);
    return rc ? rc : closed;
}

/* ---- Kafka's side ---- */

static int only_formatted(void *arg, const char *name, struct err *e)
{
    const struct export *x = arg;
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    if (!partition_dir_parse(name, topic, &partition))
        return ERR_OK;
    return err_set(e, ERR_EXISTS,
                   "%s has been used: %.300s is in it; export to a directory that is only formatted",
                   x->o->to, name);
}

static int parse_node(const char *text, const char *path, int32_t *node, struct err *e)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (end == text || *end || errno != 0 || v < 0 || v > INT32_MAX)
        return err_set(e, ERR_INVALID, "%s: node.id=%.100s is no number of a node", path, text);
    *node = (int32_t)v;
    return ERR_OK;
}

static int read_formatted(struct export *x, struct err *e)
{
    size_t n;
    struct uuid cluster;
    char *path = mem_printf("%s/meta.properties", x->o->to), *text = NULL, *node = NULL;
    int rc = path ? io_read_file(path, 64 << 10, &text, &n, e) : err_nomem(e);
    if (rc == ERR_NOT_FOUND)
        rc = err_set(e, ERR_INVALID, "%s is not formatted; run kafka-storage.sh format first (docs/kafka.md)",
                     x->o->to);
    if (!rc && !identity_parse(text, &cluster, &x->directory))
        rc = err_set(e, ERR_INVALID, "%s names no cluster.id and directory.id", path);
    if (!rc)
        rc = kafka_property(text, "node.id", &node, e);
    if (!rc && !node)
        rc = err_set(e, ERR_INVALID, "%s names no node.id", path);
    if (!rc)
        rc = parse_node(node, path, &x->node, e);
    mem_free(node);
    mem_free(text);
    mem_free(path);
    if (!rc)
        rc = kafka_check_unlocked(x->o->to, e);
    return rc ? rc : io_list(x->o->to, only_formatted, x, e);
}

/* ---- the records ---- */

/* Leat's own settings mean nothing to Kafka, which would keep them for ever. */
static bool is_kafkas(const char *name)
{
    static const char own[] = "Leat's own.";
    size_t n;
    const struct topic_config_def *defs = topic_config_defs(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(defs[i].name, name) == 0)
            return strncmp(defs[i].doc, own, sizeof own - 1) != 0;
    return false;
}

static int put_topic(struct export *x, struct kafka_records *a, const struct topic_info *t, struct err *e)
{
    struct meta_record r = {.kind = META_TOPIC, .topic_id = t->id, .name = text_of(t->name)};
    int rc = kafka_records_put(a, &r, e);
    for (int32_t i = 0; i < t->partition_count && !rc; i++) {
        struct meta_record p = {.kind = META_PARTITION,
                                .topic_id = t->id,
                                .partition = i,
                                .node = x->node,
                                .leader_epoch = t->partitions[i].leader_epoch,
                                .directory = x->directory};
        rc = kafka_records_put(a, &p, e);
    }
    for (size_t i = 0; i < t->config_count && !rc; i++) {
        struct meta_record c = {.kind = META_CONFIG,
                                .resource = META_RESOURCE_TOPIC,
                                .name = text_of(t->name),
                                .key = text_of(t->config[i].name),
                                .value = text_of(t->config[i].value)};
        if (is_kafkas(t->config[i].name))
            rc = kafka_records_put(a, &c, e);
        else
            rc = kafka_tell(x->o->note, x->o->arg, e, "topic %s: %s=%s is left out: Kafka does not have it",
                            t->name, t->config[i].name, t->config[i].value);
    }
    x->r->topics++;
    return rc;
}

static int put_group(struct kafka_records *a, const struct meta_group *g, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < g->config_count && !rc; i++) {
        struct meta_record r = meta_config_record(META_RESOURCE_GROUP, g->name, &g->config[i]);
        rc = kafka_records_put(a, &r, e);
    }
    return rc;
}

static int put_topics(struct export *x, struct kafka_records *a, struct err *e)
{
    int rc = kafka_records_begin(a, e);
    for (size_t i = 0; i < x->count && !rc; i++)
        rc = put_topic(x, a, &x->topics[i], e);
    for (size_t i = 0; i < x->group_count && !rc; i++)
        rc = put_group(a, &x->groups[i], e);
    struct meta_record ids = {
        .kind = META_PRODUCER_IDS, .node = x->node, .next_producer_id = x->next_producer_id};
    if (!rc)
        rc = kafka_records_put(a, &ids, e);
    return kafka_records_end(a, rc, e);
}

/* Header, records, our records, footer: the last batch is the footer. */
static int extend(struct export *x, const char *data, size_t n, const char *path, struct buf *out,
                  struct err *e)
{
    struct kafka_records a = {.out = out};
    struct batch_header h = {.batch_length = 0};
    size_t at = 0, last = 0;
    for (; at < n; at += batch_size(&h)) {
        int rc = batch_check(data + at, n - at, &h, e);
        if (rc)
            return err_wrap(e, "%s: byte %zu", path, at);
        last = at;
    }
    if (n == 0 || !(h.attributes & BATCH_CONTROL))
        return err_set(e, ERR_INVALID, "%s does not end as a snapshot of KRaft does", path);
    a.offset = h.base_offset;
    a.epoch = h.leader_epoch;
    int rc = buf_append(out, data, last, e);
    if (!rc)
        rc = put_topics(x, &a, e);
    size_t footer = out->len;
    if (!rc)
        rc = buf_append(out, data + last, n - last, e);
    if (!rc)
        batch_assign(out->data + footer, a.offset, h.leader_epoch);
    return rc;
}

static int write_bootstrap(struct export *x, struct err *e)
{
    struct buf out;
    size_t n;
    char *path = mem_printf("%s/" BOOTSTRAP, x->o->to), *data = NULL;
    buf_init(&out, BOOTSTRAP_MAX);
    int rc = path ? io_read_file(path, BOOTSTRAP_MAX, &data, &n, e) : err_nomem(e);
    if (rc == ERR_NOT_FOUND)
        rc = err_set(e, ERR_INVALID, "%s is not there: format the directory with Kafka 3.3 or later", path);
    if (!rc)
        rc = extend(x, data, n, path, &out, e);
    if (!rc)
        rc = io_replace_file(path, out.data, out.len, 0644, e);
    buf_free(&out);
    mem_free(data);
    mem_free(path);
    return rc;
}

/* ---- files ---- */

static int copy_topic(struct export *x, const struct topic_info *t, struct err *e)
{
    int rc = ERR_OK;
    for (int32_t i = 0; i < t->partition_count && !rc; i++) {
        char *name = mem_printf("%s-%d", t->name, i), *to = mem_printf("%s/%s-%d", x->o->to, t->name, i),
             *from = NULL;
        rc = name && to ? kafka_find_partition(x->logs, x->logs_count, name, &from, e) : err_nomem(e);
        if (!rc && from) /* else never written to: Kafka makes it */
            rc = kafka_copy_partition(from, to, NULL, &x->r->bytes, e);
        mem_free(from);
        mem_free(to);
        mem_free(name);
        x->r->partitions++;
        x->r->records += (uint64_t)(t->partitions[i].end_offset - t->partitions[i].log_start_offset);
    }
    return rc;
}

static int check_clean(const struct export *x, struct err *e)
{
    for (size_t i = 0; i < x->logs_count; i++) {
        char *mark = mem_printf("%s/" CLEAN_STOP_NAME, x->logs[i]);
        if (!mark)
            return err_nomem(e);
        bool clean = io_exists(mark);
        mem_free(mark);
        if (!clean)
            return err_set(e, ERR_BUSY, "%s is open again, or could not be closed cleanly; try again",
                           x->logs[i]);
    }
    return ERR_OK;
}

static int write_mark(const struct export *x, struct err *e)
{
    static const char text[] = "{\"version\":0,\"brokerEpoch\":0}";
    char *path = mem_printf("%s/" CLEAN_STOP_NAME, x->o->to);
    int rc = path ? io_replace_file(path, text, sizeof text - 1, 0644, e) : err_nomem(e);
    mem_free(path);
    return rc;
}

static int copy_all(struct export *x, struct err *e)
{
    static const char *const checkpoints[] = {CHECKPOINT_RECOVERY, CHECKPOINT_START, CHECKPOINT_WATERMARK};
    int rc = check_clean(x, e);
    for (size_t i = 0; i < x->count && !rc; i++)
        rc = copy_topic(x, &x->topics[i], e);
    for (size_t i = 0; i < 3 && !rc; i++)
        rc = kafka_merge_checkpoint(x->logs, x->logs_count, checkpoints[i], x->o->to, e);
    if (!rc)
        rc = write_mark(x, e);
    return rc ? rc : io_sync_dir(x->o->to, e);
}

/* The bootstrap records last: without them no topic is known there. */
static int write_all(struct export *x, struct err *e)
{
    int fd;
    int rc = data_dir_lock(x->o->data_dir, false, &fd, e);
    if (rc)
        return rc;
    rc = copy_all(x, e);
    if (!rc)
        rc = write_bootstrap(x, e);
    io_close(fd);
    return rc;
}

/* The log directories of the main data directory and of those that it lists. */
static int list_logs(struct export *x, struct err *e)
{
    struct disk_lines lines;
    int rc = disk_lines_read(x->o->data_dir, &lines, e);
    if (rc)
        return rc;
    x->logs = mem_calloc(lines.n + 1, sizeof *x->logs);
    for (size_t i = 0; i <= lines.n && x->logs && !rc; i++) {
        const char *dir = mem_printf("%s/logs", i ? lines.list[i - 1].dir : x->o->data_dir);
        if (dir)
            x->logs[x->logs_count++] = dir;
        else
            rc = err_nomem(e);
    }
    disk_lines_free(&lines);
    return x->logs ? rc : err_nomem(e);
}

int kafka_export(const struct kafka_export_options *o, struct kafka_copy_report *r, struct err *e)
{
    struct export x = {.o = o, .r = r};
    *r = (struct kafka_copy_report){.clean = true};
    int rc = read_formatted(&x, e);
    if (!rc)
        rc = read_topics(&x, e);
    if (!rc)
        rc = list_logs(&x, e);
    if (!rc)
        rc = write_all(&x, e);
    if (x.topics)
        topic_infos_free(x.topics, x.count);
    for (size_t i = 0; i < x.group_count; i++) {
        topic_config_free(x.groups[i].config, x.groups[i].config_count);
        mem_free(x.groups[i].name);
    }
    mem_free(x.groups);
    for (size_t i = 0; i < x.logs_count; i++)
        mem_free((char *)(uintptr_t)x.logs[i]);
    mem_free(x.logs);
    return rc;
}
