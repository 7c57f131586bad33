/*
 * compaction: what compaction may have taken from a partition, by what is promised of it (docs/configuration.md,
 * cleanup.policy): of each key the last record stays, a tombstone stays for delete.retention.ms, nothing that is younger than
 * min.compaction.lag.ms goes, and what a transaction that was not committed wrote supersedes nothing. Knows nothing of
 * segments and passes: that something may go does not mean that it does.
 */
#ifndef LEAT_TESTS_POWER_COMPACTION_H
#define LEAT_TESTS_POWER_COMPACTION_H

#include "tests/power/model.h"

struct found {
    enum entry_kind kind;
    int64_t base, timestamp, bytes,
        producer; /* the timestamp is the first record's, whether that is there or not */
    int32_t count, sequence;
    uint64_t first; /* of data, where any of its records is there */
    uint32_t there; /* a bit a record */
    bool append_time;
};

struct found_list {
    struct found *list;
    size_t n, cap;
    int64_t start, end;
};

/* Is it this one, whole or what compaction left of it? */
bool entry_matches(const struct entry *e, const struct found *f);

/*
 * Sets `may_go` of every entry. `l`: what a reader found; NULL: nobody has looked, everything may be there. Returns the entry
 * of which a record is there though it is older than a tombstone that went; NULL: there is none.
 */
const struct entry *compaction_judge(struct model *m, int topic, int partition, int64_t now_ms,
                                     const struct found_list *l);

#endif
