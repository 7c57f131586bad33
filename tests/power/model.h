/*
 * model: what must be in the store. Written by what the schedule tries and by what the store answers; knows nothing of
 * how the store works, only what it promises. After a power loss it is compared with what is there (check.c), and then
 * goes on from that: what was found counts as sure, what was not found must never come back.
 */
#ifndef LEAT_TESTS_POWER_MODEL_H
#define LEAT_TESTS_POWER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_TOPICS = 5,
    MODEL_PARTITIONS = 3,
    MODEL_GROUPS = 2,    /* consumer groups */
    MODEL_IDS = 2,       /* transactional ids */
    MODEL_PRODUCERS = 2, /* idempotent ones */
    ENTRY_RECORDS_MAX = 6,
    MODEL_DELETE_RETENTION_MS = 86400000 /* where delete.retention.ms is not set */
};

/* The last is a marker that compaction has emptied: whose it was, not what it said. Found only, never in the model. */
enum entry_kind { ENTRY_DATA, ENTRY_COMMIT, ENTRY_ABORT, ENTRY_EMPTIED };

enum certainty {
    SURE,   /* acknowledged: must be there */
    UNSURE, /* power failed meanwhile: there or not */
    OPTIONAL, /* there or not, and others may follow in any case: a marker for a partition that may not have joined; what
                 could not be taken back */
};

/* One batch of a partition's log. */
struct entry {
    enum entry_kind kind;
    enum certainty sure;
    int64_t base;      /* -1: not known */
    int32_t count;     /* offsets; at most ENTRY_RECORDS_MAX */
    uint64_t first;    /* number of its first record */
    int64_t timestamp; /* of the first record; each further one is 1 ms later */
    int64_t bytes;
    int32_t unit; /* what is there as a whole or not at all; -1: alone */
    int32_t txn;  /* -1: none */
    int64_t producer;
    int32_t sequence;
    int64_t tried_ms; /* not appended before */
    bool found;       /* by the last check */
    /* A bit a record; a marker has one. See compaction.c. */
    uint32_t gone;   /* compaction took it: it must not come back */
    uint32_t may_go; /* compaction may have taken it by the last judgement */
    /* See cleaned.c. */
    uint32_t must_go; /* a pass has ended that must have taken it */
    uint32_t due;     /* the same, before the last reading began */
    int64_t
        horizon_ms; /* a tombstone, or a marker without data, goes in a pass from here on, at the latest */
    bool horizon_known; /* no later pass puts it off */
    bool dataless;      /* a marker that ended nothing that was there when the last pass began */
};

struct model_partition {
    struct entry *list;
    size_t n, cap;
    int64_t start_min, start_max; /* deleted up to here for certain; at most */
    int64_t start_found;          /* by the last reader */
    int64_t synced;               /* a page-cache topic's: durable up to here for certain */
    bool cleaning;                /* a pass is under way */
    int64_t clean_end;            /* up to here one came */
    uint32_t
        hazy; /* a bit a producer: what it wrote is gone by compaction, the store may know its sequence or not */
};

struct model_settings {
    bool page_cache;
    bool append_time;
    int64_t flush_messages;                /* 0: not set */
    int64_t flush_ms;                      /* -1: not set */
    int64_t retention_bytes, retention_ms; /* -1: no limit */
    int32_t segment_entries;               /* a segment takes so many batches; 0: no limit */
    int64_t segment_ms;                    /* 0: not set */
    int64_t delete_delay_ms;               /* of files; -1: not set */
    bool compact, compact_only;            /* cleanup.policy: compact,delete or compact */
    int dirty_ratio;                       /* which of a few; 0: whatever is dirty */
    int64_t delete_retention_ms;           /* with compact, as the next */
    int64_t min_lag_ms;                    /* 0: not set */
    int64_t max_lag_ms;                    /* 0: not set */
};

enum presence { ABSENT, PRESENT, COMING, GOING }; /* the last two: power failed meanwhile */

struct model_topic {
    enum presence presence;
    uint8_t id[16];
    bool id_known;
    int32_t partitions, partitions_max; /* the second: a change that power failed in may have been made */
    struct model_settings settings, next;
    bool changing;
    bool once_page_cache; /* what transactions left in it may be in pieces: the setting's price */
    bool once_compact;
    bool once_append_time; /* with LogAppendTime a record is as old as its append, which is not kept here */
    int64_t delete_retention_min, min_lag_min; /* the least of all settings since it was first compacted */
    int32_t segment_entries_max;               /* the most of all settings; 0: a segment has no limit */
    struct model_partition parts[MODEL_PARTITIONS];
};

enum txn_outcome { TXN_OPEN, TXN_COMMITTED, TXN_ABORTED, TXN_COMMITTING, TXN_ABORTING };

struct model_txn {
    enum txn_outcome outcome;
    int id; /* which transactional id */
    int64_t producer;
    int16_t epoch;
    int64_t begun_ms, timeout_ms; /* not begun before */
    bool floats;                  /* its markers are not foretold, see floats.c */
    int32_t unit;                 /* of its end */
    bool joined[MODEL_TOPICS][MODEL_PARTITIONS];
    bool joined_surely[MODEL_TOPICS][MODEL_PARTITIONS];
    int64_t offsets[MODEL_GROUPS][MODEL_TOPICS]; /* of partition 0; -1: none */
    bool offsets_surely;
};

struct model_offset {
    int64_t sure;  /* -1: none */
    int64_t maybe; /* -2: no change was under way */
    int32_t txn;   /* whose outcome decides on `maybe`; -1: none */
};

struct model_id {
    int64_t producer; /* -1: not initialised since the last start, or fenced */
    int16_t epoch;
    int32_t timeout_ms;
    int32_t txn; /* open; -1: none */
    int32_t sequence[MODEL_TOPICS][MODEL_PARTITIONS];
};

struct model {
    bool two; /* data directories */
    struct model_topic topics[MODEL_TOPICS];
    bool cut_short
        [MODEL_TOPICS]; /* a deletion of one of this name was, or its directory could not be renamed */
    struct model_txn *txns;
    size_t txn_count, txn_cap;
    struct model_offset offsets[MODEL_GROUPS][MODEL_TOPICS];
    struct model_id ids[MODEL_IDS];
    int64_t producers[MODEL_PRODUCERS]; /* -1: none yet */
    int64_t largest_producer;           /* ever given out; -1: none */
    int32_t units;
    uint64_t records;
};

void model_init(struct model *m);
void model_free(struct model *m);

struct entry *model_append(struct model_partition *p, const struct entry *e);
void model_drop_entry(struct model_partition *p, size_t i);
int32_t model_txn_new(struct model *m, int id, int64_t now_ms);
/* Its time may have passed: then it may have been aborted, by anybody, at any moment since. */
bool model_may_have_expired(const struct model_txn *t, int64_t now_ms);

/* End of what is sure. */
int64_t model_end(const struct model_partition *p);

/* A topic came, with nothing in it, or went. */
void model_topic_clear(struct model *m, int topic);

/* May a marker stand there that nobody foretold? See floats.c. */
bool model_may_float(const struct model *m, const struct model_txn *t, int64_t now_ms);
bool model_has_floats(const struct model *m, int topic, int partition, int64_t now_ms);

/* Up to where retention may have deleted by now. */
void model_allow_retention(struct model *m, int topic, int64_t now_ms);
/* The settings are about to be these. */
void model_note_settings(struct model_topic *t, const struct model_settings *s);
/* After an acknowledged append: what flush.messages promises. */
void model_note_flush_messages(const struct model_topic *t, struct model_partition *p);

/* The process was killed, or the power failed. */
void model_lose_process(struct model *m);
/* Then, too, what page-cache topics have not synced is unsure. */
void model_lose_power(struct model *m);

/* Bits of all its records. */
uint32_t model_all_records(const struct entry *e);

/* ---- what a record says, by its number */
#define RECORD_KEYED                                                                                         \
    (UINT64_C(1) << 24) /* in a number: it has a key, and may be a tombstone, which has no value */
#define RECORD_KEYS 12
#define RECORD_KEY_MAX 24
#define RECORD_VALUE_MAX 40000
int record_key_index(uint64_t number);                        /* -1: none */
size_t record_key(uint64_t number, char key[RECORD_KEY_MAX]); /* 0: none */
bool record_is_tombstone(uint64_t number);
size_t record_value(uint64_t number, uint8_t *value); /* RECORD_VALUE_MAX bytes of room */
bool record_number(const uint8_t *value, size_t n, uint64_t *number);

#endif
