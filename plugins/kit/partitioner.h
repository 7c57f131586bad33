/*
 * kit/partitioner: which directory ("encoded partition") a record goes to, as Confluent's storage
 * partitioners do (object-layout contract): default, field, time, daily, hourly. Task thread only.
 */
#ifndef LEAT_KIT_PARTITIONER_H
#define LEAT_KIT_PARTITIONER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "kit/field.h"
#include "kit/zone.h"
#include "leat/plugin.h"

/* In the order of the choices of option `timestamp.extractor` (short names, then Confluent's class names). */
enum partitioner_clock { CLOCK_WALL, CLOCK_RECORD, CLOCK_FIELD };
enum partitioner_kind {
    PARTITION_DEFAULT,
    PARTITION_FIELD,
    PARTITION_TIME,
    PARTITION_DAILY,
    PARTITION_HOURLY
};

struct partitioner_config {
    enum partitioner_kind kind;
    const char *const *fields; /* partition.field.name */
    size_t field_count;
    const char *path_format; /* time: Joda pattern; daily and hourly have their own */
    int64_t duration_ms;     /* time: partition.duration.ms, > 0; daily and hourly have their own */
    const char *timezone;    /* daily, hourly, time; NULL: UTC */
    enum partitioner_clock clock;
    const char *timestamp_field;
};

struct partitioner;
/* Copies the strings; `view` must outlive it. ERR_INVALID_CONFIG names the option that is wrong. */
int partitioner_new(const struct partitioner_config *c, const struct record_view *view,
                    struct partitioner **out, struct err *e);
void partitioner_free(struct partitioner *p);

/* Names accepted for partitioner.class and timestamp.extractor: short (default, Record) and Confluent's and
 * Aiven's. */
bool partitioner_kind_parse(const char *name, enum partitioner_kind *kind);
bool partitioner_clock_parse(const char *name, enum partitioner_clock *clock);

/* The record's time by the extractor, ms since 1970; `now_ms` serves CLOCK_WALL. */
int partitioner_time(struct partitioner *p, const struct leat_record *r, int64_t now_ms, int64_t *ms,
                     struct err *e);

/*
 * Encoded partition of the record, e.g. "partition=0" or "year=2026/month=11/day=20". The text is the
 * partitioner's, valid until the next call; equal texts of following calls mostly are the same pointer. Field
 * values are escaped so that a value cannot leave its directory: '/', control characters and names . and ..
 * become %XX.
 */
int partitioner_encode(struct partitioner *p, const struct leat_record *r, int64_t now_ms, const char **text,
                       size_t *n, struct err *e);

/* The time that the last partitioner_encode of a time-based kind went by. */
int64_t partitioner_last_time(const struct partitioner *p);

/* Time, daily and hourly: rotate.interval.ms needs one of these. */
bool partitioner_is_time_based(const struct partitioner *p);
/* As !partitioner_is_deterministic, before there is one. */
bool partitioner_goes_by_clock(const struct partitioner_config *c);
/* True if the same records always give the same directories: not with CLOCK_WALL under a time-based kind. */
bool partitioner_is_deterministic(const struct partitioner *p);
const struct zone *partitioner_zone(const struct partitioner *p);

/*
 * A Joda pattern: y/Y year, M month, d day, D day of year, H hour, m minute, s second, S fraction, e weekday
 * (1 Monday); text in single quotes ('' is a quote, inside too); other punctuation stands for itself. Appends the time,
 * local to `zone`.
 */
int joda_check(const char *pattern, struct err *e);
int joda_format(struct buf *out, const char *pattern, int64_t utc_ms, const struct zone *zone, struct err *e);

/* ISO 8601 date or time (zone of the text, else UTC), or decimal ms, to ms since 1970. */
bool time_parse(const char *text, size_t n, int64_t *ms);

#endif
