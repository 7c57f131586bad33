/*
 * aside: what the journal has of logs that cannot be flushed is set aside, so that the journal can be released all the same
 * (journal_set_aside); and goes when nothing of it is needed any more. Of each file is known which partitions it has entries of.
 *
 * By whoever starts and stops the broker, and in between by whoever releases the disk's journal.
 */
#ifndef LEAT_BROKER_ASIDE_H
#define LEAT_BROKER_ASIDE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct disk;
struct journal_entry;
struct partition;

/* A start reads this entry in the file of this number. */
int asides_note(struct disk *d, uint64_t number, const struct journal_entry *en, struct err *e);
/*
 * Of those partitions in the list (held) that are `unflushable`, sets aside what the journal's files up to `seal` have beyond
 * their recovery points. When it returns OK that is durable.
 */
int asides_add(struct disk *d, struct partition **list, size_t n, uint64_t seal, struct err *e);
/*
 * Looks which files no partition of the list, all there are, needs any more: what they have of it is synced, or its topic
 * was deleted. Once the recovery points were written asides_drop removes those.
 */
void asides_judge(struct disk *d, struct partition **list, size_t n);
int asides_drop(struct disk *d, struct err *e);
int asides_drop_all(struct disk *d, struct err *e); /* of a clean stop, when everything is flushed */
void asides_free(struct disk *d);                   /* the memory */

#endif
