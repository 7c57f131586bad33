/*
 * kit/rotation: when the open files of a topic-partition are complete (object-layout contract, "Rotation").
 * All open files of a topic-partition are completed together. One struct a topic-partition, kept by value;
 * task thread only.
 *
 * Deterministic triggers (same records, same files): flush.size, size, rotate.interval.ms.
 * rotate.schedule.interval.ms goes by the wall clock.
 */
#ifndef LEAT_KIT_ROTATION_H
#define LEAT_KIT_ROTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "kit/zone.h"

struct rotation_config {
    int64_t records;          /* flush.size; <= 0: no limit */
    int64_t bytes;            /* rotate.size: of any one open file before compression; <= 0: no limit */
    int64_t interval_ms;      /* rotate.interval.ms by record time; <= 0: off */
    int64_t schedule_ms;      /* rotate.schedule.interval.ms by wall clock; <= 0: off */
    bool on_partition_change; /* rotate.file.on.partition.change; only with interval_ms */
    const struct zone *zone;  /* for the schedule; must outlive */
};

struct rotation {
    const struct rotation_config *config;
    int64_t records;        /* in the open files */
    int64_t largest;        /* bytes of the largest open file */
    int64_t first_time;     /* of the first record; INT64_MIN: no record */
    int64_t next_scheduled; /* wall ms; INT64_MAX: off or no record */
};

void rotation_init(struct rotation *r, const struct rotation_config *c);

/*
 * Before a record is added: must what is open be completed first? `time_ms` the record's extracted time;
 * `changed`: its encoded partition differs from the one of the record before it.
 */
bool rotation_before(const struct rotation *r, int64_t time_ms, bool changed, int64_t now_ms);
/* A record was added to a file that now has `file_bytes`. True: the open files are complete now. */
bool rotation_add(struct rotation *r, int64_t time_ms, int64_t file_bytes, int64_t now_ms);
/* Wall clock only; called when nothing comes. */
bool rotation_due(const struct rotation *r, int64_t now_ms);
/* The open files were completed or dropped. */
void rotation_reset(struct rotation *r);

/* In how many ms rotation_due wants to be asked at the latest; -1: not at all. */
int64_t rotation_wait_ms(const struct rotation *r, int64_t now_ms);

/* First boundary after `now_ms` of slots of `interval_ms` counted from local midnight; the last slot ends at
 * midnight. */
int64_t rotation_next_boundary(int64_t now_ms, int64_t interval_ms, const struct zone *zone);

#endif
