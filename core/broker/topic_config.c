/*
 * topic_config: the settings that a topic can have: Kafka's names, types, defaults and limits, plus our `durability`.
 * Only settings that do something are in the table. Pure functions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "broker/topic.h"

/* A batch goes into the journal as part of one record, so this is what the record can take. */
#define MESSAGE_BYTES_MAX (15 << 20)

static const struct topic_config_def defs[] = {
    {"cleanup.policy", TOPIC_CONFIG_CHOICE, "delete", 0, 0, "delete",
     "What happens to old segments: delete them by retention.ms and retention.bytes. (compact is for the "
     "internal "
     "topics only; the log cleaner comes with a later release.)"},
    {"durability", TOPIC_CONFIG_CHOICE, "sync", 0, 0, "sync,page-cache",
     "sync: acknowledged when it is on disk, by group commit. page-cache: acknowledged when the kernel has "
     "it; power "
     "loss may take what flush.ms and flush.messages do not cover, a killed process takes nothing."},
    {"flush.messages", TOPIC_CONFIG_LONG, "9223372036854775807", 1, INT64_MAX, NULL,
     "With durability=page-cache: sync the log after so many records, before they are acknowledged."},
    {"flush.ms", TOPIC_CONFIG_LONG, "9223372036854775807", 0, INT64_MAX, NULL,
     "With durability=page-cache: sync the log at most so long after an append."},
    {"index.interval.bytes", TOPIC_CONFIG_INT, "4096", 0, INT32_MAX, NULL,
     "A batch gets an index entry when so many bytes were appended since the last one."},
    {"max.message.bytes", TOPIC_CONFIG_INT, "1048588", 0, MESSAGE_BYTES_MAX, NULL,
     "Largest batch, compressed, with its header."},
    {"message.timestamp.after.max.ms", TOPIC_CONFIG_LONG, "3600000", 0, INT64_MAX, NULL,
     "How far a record's timestamp may lie after the broker's clock (CreateTime)."},
    {"message.timestamp.before.max.ms", TOPIC_CONFIG_LONG, "9223372036854775807", 0, INT64_MAX, NULL,
     "How far a record's timestamp may lie before the broker's clock (CreateTime)."},
    {"message.timestamp.type", TOPIC_CONFIG_CHOICE, "CreateTime", 0, 0, "CreateTime,LogAppendTime",
     "Whether records keep the producer's timestamp or get the time of the append."},
    {"preallocate", TOPIC_CONFIG_BOOL, "false", 0, 1, NULL,
     "Reserve a segment's whole space with its first append, if there is so much, instead of in growing "
     "pieces."},
    {"retention.bytes", TOPIC_CONFIG_LONG, "-1", -1, INT64_MAX, NULL,
     "Delete the oldest segments of a partition while it is larger than this; -1: no limit."},
    {"retention.ms", TOPIC_CONFIG_LONG, "604800000", -1, INT64_MAX, NULL,
     "Delete segments whose newest record is older than this; -1: keep forever."},
    {"segment.bytes", TOPIC_CONFIG_INT, "1073741824", 1048576, INT32_MAX, NULL,
     "A segment that would grow past this is closed and a new one started."},
    {"segment.index.bytes", TOPIC_CONFIG_INT, "10485760", 4, INT32_MAX, NULL,
     "Largest offset index; a segment whose index is full is closed."},
    {"segment.ms", TOPIC_CONFIG_LONG, "604800000", 1, INT64_MAX, NULL,
     "A new segment is started when a record is so much newer than the segment's first."},
};

enum { DEF_COUNT = sizeof defs / sizeof defs[0] };

/* Where the row of the same name goes. */
enum target { INTO_I64, INTO_I32, INTO_BOOL, INTO_IS_SECOND_CHOICE, INTO_IS_FIRST_CHOICE, INTO_HAS_DELETE };
static const struct row {
    const char *name;
    enum target into;
    size_t offset;
} rows[DEF_COUNT] = {
    {"cleanup.policy", INTO_HAS_DELETE, offsetof(struct topic_settings, log.cleanup_delete)},
    {"durability", INTO_IS_FIRST_CHOICE, offsetof(struct topic_settings, synced)},
    {"flush.messages", INTO_I64, offsetof(struct topic_settings, flush_messages)},
    {"flush.ms", INTO_I64, offsetof(struct topic_settings, flush_ms)},
    {"index.interval.bytes", INTO_I32, offsetof(struct topic_settings, log.index_interval_bytes)},
    {"max.message.bytes", INTO_I64, offsetof(struct topic_settings, max_message_bytes)},
    {"message.timestamp.after.max.ms", INTO_I64, offsetof(struct topic_settings, timestamp_after_max_ms)},
    {"message.timestamp.before.max.ms", INTO_I64, offsetof(struct topic_settings, timestamp_before_max_ms)},
    {"message.timestamp.type", INTO_IS_SECOND_CHOICE, offsetof(struct topic_settings, log_append_time)},
    {"preallocate", INTO_BOOL, offsetof(struct topic_settings, log.preallocate)},
    {"retention.bytes", INTO_I64, offsetof(struct topic_settings, log.retention_bytes)},
    {"retention.ms", INTO_I64, offsetof(struct topic_settings, log.retention_ms)},
    {"segment.bytes", INTO_I64, offsetof(struct topic_settings, log.segment_bytes)},
    {"segment.index.bytes", INTO_I32, offsetof(struct topic_settings, log.segment_index_bytes)},
    {"segment.ms", INTO_I64, offsetof(struct topic_settings, log.segment_ms)},
};

const struct topic_config_def *topic_config_defs(size_t *count)
{
    *count = DEF_COUNT;
    return defs;
}

/* Levenshtein distance, for names of sane length. */
static size_t distance(const char *a, const char *b)
{
    enum { LIMIT = 64 };
    size_t row[LIMIT + 1];
    size_t an = strlen(a), bn = strlen(b);
    if (an > LIMIT || bn > LIMIT)
        return SIZE_MAX;
    for (size_t j = 0; j <= bn; j++)
        row[j] = j;
    for (size_t i = 1; i <= an; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= bn; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[bn];
}

static int unknown_name(const char *name, struct err *e)
{
    const char *nearest = NULL;
    size_t best = 5; /* farther away it is no misspelling */
    for (size_t i = 0; i < DEF_COUNT; i++) {
        size_t d = distance(name, defs[i].name);
        if (d < best) {
            best = d;
            nearest = defs[i].name;
        }
    }
    return nearest ? err_set(e, ERR_INVALID_CONFIG, "unknown topic setting \"%s\"; did you mean \"%s\"?",
                             name, nearest)
                   : err_set(e, ERR_INVALID_CONFIG, "unknown topic setting \"%s\"", name);
}

static int find_def(const char *name, size_t *i, struct err *e)
{
    for (*i = 0; *i < DEF_COUNT; (*i)++)
        if (strcmp(defs[*i].name, name) == 0)
            return ERR_OK;
    return unknown_name(name, e);
}

/* Index of `value` in "a,b"; -1: not one of them. */
static int choice_index(const char *choices, const char *value)
{
    size_t n = strlen(value);
    int i = 0;
    for (const char *c = choices;; i++) {
        size_t len = strcspn(c, ",");
        if (len == n && memcmp(c, value, n) == 0)
            return i;
        if (!c[len])
            return -1;
        c += len + 1;
    }
}

static int parse_number(const struct topic_config_def *d, const char *value, int64_t *out, struct err *e)
{
    char *end;
    errno = 0;
    long long v = strtoll(value, &end, 10);
    if (errno || end == value || *end || (*value != '-' && (*value < '0' || *value > '9')))
        return err_set(e, ERR_INVALID_CONFIG, "%s: \"%s\" is not a number in range", d->name, value);
    if (v < d->min || v > d->max)
        return err_set(e, ERR_INVALID_CONFIG, "%s: %lld is not between %lld and %lld", d->name, v,
                       (long long)d->min, (long long)d->max);
    *out = v;
    return ERR_OK;
}

static int parse_choice(const struct topic_config_def *d, const char *value, bool internal, int64_t *out,
                        struct err *e)
{
    *out = choice_index(d->choices, value);
    if (*out >= 0)
        return ERR_OK;
    if (strcmp(d->name, "cleanup.policy") == 0 && strstr(value, "compact")) {
        if (internal)
            return ERR_OK; /* -1: no delete */
        return err_set(e, ERR_INVALID_CONFIG,
                       "cleanup.policy: \"%s\" needs the log cleaner, which comes with a later release; only "
                       "\"delete\" can be chosen",
                       value);
    }
    return err_set(e, ERR_INVALID_CONFIG, "%s: \"%s\" is not one of %s", d->name, value, d->choices);
}

static int parse_value(const struct topic_config_def *d, const char *value, bool internal, int64_t *out,
                       struct err *e)
{
    switch (d->type) {
    case TOPIC_CONFIG_BOOL:
        *out = strcmp(value, "true") == 0;
        if (!*out && strcmp(value, "false") != 0)
            return err_set(e, ERR_INVALID_CONFIG, "%s: \"%s\" is neither true nor false", d->name, value);
        return ERR_OK;
    case TOPIC_CONFIG_CHOICE:
        return parse_choice(d, value, internal, out, e);
    default:
        return parse_number(d, value, out, e);
    }
}

static void store_value(struct topic_settings *s, const struct row *r, int64_t v)
{
    void *at = (char *)s + r->offset;
    switch (r->into) {
    case INTO_I64:
        *(int64_t *)at = v;
        break;
    case INTO_I32:
        *(int32_t *)at = (int32_t)v;
        break;
    case INTO_BOOL:
        *(bool *)at = v != 0;
        break;
    case INTO_IS_SECOND_CHOICE:
        *(bool *)at = v == 1;
        break;
    case INTO_IS_FIRST_CHOICE:
    case INTO_HAS_DELETE:
        *(bool *)at = v == 0;
        break;
    }
}

static int check(const char *name, const char *value, bool internal, struct err *e)
{
    size_t i;
    int64_t v;
    int rc = find_def(name, &i, e);
    if (rc)
        return rc;
    if (!value)
        return err_set(e, ERR_INVALID_CONFIG, "%s: no value", name);
    return parse_value(&defs[i], value, internal, &v, e);
}

int topic_config_check(const char *name, const char *value, struct err *e)
{
    return check(name, value, false, e);
}

int topic_config_check_internal(const char *name, const char *value, struct err *e)
{
    return check(name, value, true, e);
}

static int apply(struct topic_settings *s, const char *name, const char *value, bool internal, struct err *e)
{
    size_t i;
    int64_t v = 0;
    int rc = find_def(name, &i, e);
    if (!rc)
        rc = parse_value(&defs[i], value, internal, &v, e);
    if (!rc)
        store_value(s, &rows[i], v);
    return rc;
}

int topic_settings_make(const struct topic_config_entry *config, size_t n, bool internal,
                        struct topic_settings **out, struct err *e)
{
    struct topic_settings *s = mem_calloc(1, sizeof *s);
    int rc = ERR_OK;
    if (!s)
        return err_nomem(e);
    s->log = log_config_default();
    for (size_t i = 0; !rc && i < DEF_COUNT; i++)
        rc = apply(s, defs[i].name, defs[i].default_value, internal, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = apply(s, config[i].name, config[i].value, internal, e);
    if (rc)
        mem_free(s);
    else
        *out = s;
    return rc;
}
