/*
 * kit/partitioner: directories of records. Time-based texts are kept until the rounded time changes. Task
 * thread only.
 */
#include "kit/partitioner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define PATH_MAX_BYTES (64u << 10)

struct partitioner {
    enum partitioner_kind kind;
    enum partitioner_clock clock;
    const struct record_view *view;
    char **fields;
    size_t field_count;
    char *pattern;
    int64_t duration_ms;
    struct zone *zone;
    char *timestamp_field;
    struct buf text;
    struct buf scratch;
    int64_t last_time;
    int64_t cached; /* what `text` is for: the rounded local time, or the topic partition's number */
    bool is_cached;
};

struct name {
    const char *name;
    int value;
};

/* The last part of a class name, without the $-part's parent, is enough to tell. */
static bool name_parse(const char *text, const struct name *names, size_t n, int *value)
{
    const char *dot = strrchr(text, '.'), *dollar = strrchr(text, '$');
    const char *tail = dollar ? dollar + 1 : dot ? dot + 1 : text;
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(tail, names[i].name) == 0) {
            *value = names[i].value;
            return true;
        }
    }
    return false;
}

bool partitioner_kind_parse(const char *text, enum partitioner_kind *kind)
{
    static const struct name names[] = {
        {"default", PARTITION_DEFAULT},
        {"DefaultPartitioner", PARTITION_DEFAULT},
        {"field", PARTITION_FIELD},
        {"FieldPartitioner", PARTITION_FIELD},
        {"time", PARTITION_TIME},
        {"timebased", PARTITION_TIME},
        {"TimeBasedPartitioner", PARTITION_TIME},
        {"daily", PARTITION_DAILY},
        {"DailyPartitioner", PARTITION_DAILY},
        {"hourly", PARTITION_HOURLY},
        {"HourlyPartitioner", PARTITION_HOURLY},
    };
    int value = 0;
    bool known = name_parse(text, names, sizeof(names) / sizeof(names[0]), &value);
    *kind = (enum partitioner_kind)value;
    return known;
}

bool partitioner_clock_parse(const char *text, enum partitioner_clock *clock)
{
    static const struct name names[] = {
        {"Wallclock", CLOCK_WALL},    {"WallclockTimestampExtractor", CLOCK_WALL},
        {"Record", CLOCK_RECORD},     {"RecordTimestampExtractor", CLOCK_RECORD},
        {"RecordField", CLOCK_FIELD}, {"RecordFieldTimestampExtractor", CLOCK_FIELD},
    };
    int value = 0;
    bool known = name_parse(text, names, sizeof(names) / sizeof(names[0]), &value);
    *clock = (enum partitioner_clock)value;
    return known;
}

static int set_time(struct partitioner *p, const struct partitioner_config *c, struct err *e)
{
    const char *pattern = c->path_format;
    p->duration_ms = c->duration_ms;
    if (p->kind == PARTITION_DAILY) {
        pattern = "'year'=YYYY/'month'=MM/'day'=dd";
        p->duration_ms = 86400000;
    } else if (p->kind == PARTITION_HOURLY) {
        pattern = "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH";
        p->duration_ms = 3600000;
    }
    if (!pattern || !*pattern)
        return err_set(e, ERR_INVALID_CONFIG, "path.format: the time partitioner needs it");
    if (p->duration_ms <= 0)
        return err_set(e, ERR_INVALID_CONFIG,
                       "partition.duration.ms: the time partitioner needs it, above 0");
    int rc = joda_check(pattern, e);
    if (rc != ERR_OK)
        return err_wrap(e, "path.format");
    p->pattern = mem_strdup(pattern);
    return p->pattern ? ERR_OK : err_nomem(e);
}

static int set_fields(struct partitioner *p, const struct partitioner_config *c, struct err *e)
{
    if (c->field_count == 0)
        return err_set(e, ERR_INVALID_CONFIG, "partition.field.name: the field partitioner needs it");
    p->fields = mem_calloc(c->field_count, sizeof(*p->fields));
    if (!p->fields)
        return err_nomem(e);
    for (; p->field_count < c->field_count; p->field_count++) {
        const char *name = c->fields[p->field_count];
        if (*name == '\0' || strchr(name, '/'))
            return err_set(e, ERR_INVALID_CONFIG, "partition.field.name: '%s' cannot name a directory", name);
        p->fields[p->field_count] = mem_strdup(name);
        if (!p->fields[p->field_count])
            return err_nomem(e);
    }
    return ERR_OK;
}

static int set_all(struct partitioner *p, const struct partitioner_config *c, struct err *e)
{
    int rc = zone_load(c->timezone && *c->timezone ? c->timezone : "UTC", &p->zone, e);
    if (rc != ERR_OK)
        return err_wrap(e, "timezone");
    const char *field = c->timestamp_field && *c->timestamp_field ? c->timestamp_field : "timestamp";
    p->timestamp_field = mem_strdup(field);
    if (!p->timestamp_field)
        return err_nomem(e);
    if (partitioner_is_time_based(p))
        return set_time(p, c, e);
    return p->kind == PARTITION_FIELD ? set_fields(p, c, e) : ERR_OK;
}

int partitioner_new(const struct partitioner_config *c, const struct record_view *view,
                    struct partitioner **out, struct err *e)
{
    *out = NULL;
    struct partitioner *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return err_nomem(e);
    p->kind = c->kind;
    p->clock = c->clock;
    p->view = view;
    buf_init(&p->text, PATH_MAX_BYTES);
    buf_init(&p->scratch, 256u << 20);
    int rc = set_all(p, c, e);
    if (rc != ERR_OK) {
        partitioner_free(p);
        return rc;
    }
    *out = p;
    return ERR_OK;
}

void partitioner_free(struct partitioner *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->field_count; i++)
        mem_free(p->fields[i]);
    mem_free(p->fields);
    mem_free(p->pattern);
    mem_free(p->timestamp_field);
    zone_free(p->zone);
    buf_free(&p->text);
    buf_free(&p->scratch);
    mem_free(p);
}

static int field_time(struct partitioner *p, const struct leat_record *r, int64_t *ms, struct err *e)
{
    struct field f;
    char name[300];
    int rc = record_field(p->view, r, p->timestamp_field, &p->scratch, &f, e);
    if (rc != ERR_OK)
        return err_wrap(e, "%s", record_name(r, name, sizeof(name)));
    if (f.kind == FIELD_INT || f.kind == FIELD_TIMESTAMP) {
        *ms = f.i;
        return ERR_OK;
    }
    if (f.kind == FIELD_STRING && time_parse(f.text, f.n, ms))
        return ERR_OK;
    record_name(r, name, sizeof(name));
    if (f.kind == FIELD_ABSENT || f.kind == FIELD_NULL)
        return err_set(e, ERR_INVALID_RECORD, "%s: the value has no field '%s' with a time", name,
                       p->timestamp_field);
    return err_set(e, ERR_INVALID_RECORD, "%s: field '%s' is no time: %.*s", name, p->timestamp_field,
                   (int)(f.n < 60 ? f.n : 60), f.text);
}

int partitioner_time(struct partitioner *p, const struct leat_record *r, int64_t now_ms, int64_t *ms,
                     struct err *e)
{
    char name[300];
    int64_t unused;
    int rc = ERR_OK;
    if (p->clock == CLOCK_WALL) {
        *ms = now_ms;
    } else if (p->clock == CLOCK_FIELD) {
        rc = field_time(p, r, ms, e);
    } else if (r->timestamp < 0) {
        return err_set(e, ERR_INVALID_RECORD, "%s: the record has no timestamp",
                       record_name(r, name, sizeof(name)));
    } else {
        *ms = r->timestamp;
    }
    /* Keeps the calendar's arithmetic far from overflow: years up to 285,616 on both sides. */
    if (rc == ERR_OK && (__builtin_mul_overflow(*ms, INT64_C(1024), &unused)))
        return err_set(e, ERR_INVALID_RECORD, "%s: time %" PRId64 " is out of range",
                       record_name(r, name, sizeof(name)), *ms);
    return rc;
}

static int append_escaped(struct buf *out, const char *text, size_t n, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c < 0x20 || c == 0x7f || c == '/')
            rc = buf_printf(out, e, "%%%02X", c);
        else
            rc = buf_u8(out, c, e);
    }
    return rc;
}

static int append_field(struct partitioner *p, const struct leat_record *r, const char *name, struct err *e)
{
    struct field f;
    char where[300];
    int rc = record_field(p->view, r, name, &p->scratch, &f, e);
    if (rc == ERR_OK && (f.kind == FIELD_OTHER || f.kind == FIELD_FLOAT || f.kind == FIELD_TIMESTAMP))
        return err_set(e, ERR_INVALID_RECORD,
                       "%s: field '%s' is no integer, string or boolean, so it names no directory",
                       record_name(r, where, sizeof(where)), name);
    if (rc == ERR_OK)
        rc = buf_printf(&p->text, e, "%s%s=", p->text.len ? "/" : "", name);
    if (rc == ERR_OK) {
        bool none = f.kind == FIELD_ABSENT || f.kind == FIELD_NULL;
        rc = none ? buf_str(&p->text, "null", e) : append_escaped(&p->text, f.text, f.n, e);
    }
    return rc == ERR_OK ? rc : err_wrap(e, "%s", record_name(r, where, sizeof(where)));
}

static int encode_fields(struct partitioner *p, const struct leat_record *r, struct err *e)
{
    buf_reset(&p->text);
    int rc = ERR_OK;
    for (size_t i = 0; i < p->field_count && rc == ERR_OK; i++)
        rc = append_field(p, r, p->fields[i], e);
    return rc;
}

static int encode_time(struct partitioner *p, int64_t utc_ms, struct err *e)
{
    int64_t seconds = utc_ms / 1000 - (utc_ms % 1000 < 0);
    int64_t local = utc_ms + zone_offset(p->zone, seconds) * INT64_C(1000);
    int64_t rest = local % p->duration_ms;
    int64_t rounded = local - (rest < 0 ? rest + p->duration_ms : rest);
    if (p->is_cached && rounded == p->cached)
        return ERR_OK;
    p->is_cached = false;
    buf_reset(&p->text);
    int rc = joda_format(&p->text, p->pattern, zone_to_utc_ms(p->zone, rounded), p->zone, e);
    if (rc == ERR_OK)
        rc = buf_u8(&p->text, 0, e);
    if (rc != ERR_OK)
        return rc;
    p->text.len--;
    p->cached = rounded;
    p->is_cached = true;
    return ERR_OK;
}

static int encode_default(struct partitioner *p, const struct leat_record *r, struct err *e)
{
    if (p->is_cached && p->cached == r->partition)
        return ERR_OK;
    p->is_cached = false;
    buf_reset(&p->text);
    int rc = buf_printf(&p->text, e, "partition=%" PRId32, r->partition);
    p->cached = r->partition;
    p->is_cached = rc == ERR_OK;
    return rc;
}

int partitioner_encode(struct partitioner *p, const struct leat_record *r, int64_t now_ms, const char **text,
                       size_t *n, struct err *e)
{
    int rc;
    switch (p->kind) {
    case PARTITION_DEFAULT:
        rc = encode_default(p, r, e);
        break;
    case PARTITION_FIELD:
        rc = encode_fields(p, r, e);
        break;
    default:
        rc = partitioner_time(p, r, now_ms, &p->last_time, e);
        if (rc == ERR_OK)
            rc = encode_time(p, p->last_time, e);
        break;
    }
    *text = (const char *)p->text.data;
    *n = p->text.len;
    return rc;
}

int64_t partitioner_last_time(const struct partitioner *p)
{
    return p->last_time;
}

bool partitioner_is_time_based(const struct partitioner *p)
{
    return p->kind == PARTITION_TIME || p->kind == PARTITION_DAILY || p->kind == PARTITION_HOURLY;
}

bool partitioner_goes_by_clock(const struct partitioner_config *c)
{
    return c->kind != PARTITION_DEFAULT && c->kind != PARTITION_FIELD && c->clock == CLOCK_WALL;
}

bool partitioner_is_deterministic(const struct partitioner *p)
{
    return !partitioner_is_time_based(p) || p->clock != CLOCK_WALL;
}

const struct zone *partitioner_zone(const struct partitioner *p)
{
    return p->zone;
}
