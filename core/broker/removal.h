/*
 * removal: directories of deleted partitions, which have another name already and whose files go after file.delete.delay.ms, as in
 * Kafka. Those still there at a stop are removed by the next start (recovery.c).
 */
#ifndef LEAT_BROKER_REMOVAL_H
#define LEAT_BROKER_REMOVAL_H

#include <pthread.h>
#include <stdint.h>

struct broker;
struct err;
struct partition;
struct removal;

struct removals {
    pthread_mutex_t lock; /* leaf */
    struct removal *list;
};

void removals_init(struct removals *r);
void removals_free(struct removals *r);

/*
 * Takes over a list that the caller made of removal_push: each is removed at `due` (clock_mono_ms). The new names are durable.
 * Any thread.
 */
void removals_add(struct broker *b, struct removal *list, int64_t due);
/* Puts `path` (mem_free), which is taken over, at the head of a list; without memory the next start removes it. */
void removal_push(struct removal **list, char *path);
/* Frees a list without removing anything: the next start does. */
void removal_forget(struct removal *list);
/* Removes them now, in the caller's thread. What fails is said. */
void removal_run(struct removal *list);

/*
 * Before partitions list[from..to-1] are made where they were placed: what the deletion of a topic of that name could not rename
 * gets another name now, durably. Else, if a loss of power took its partition.metadata, a start would take it for the new
 * topic's. Admin lock held. An error: it is still there.
 */
int removal_make_way(struct broker *b, struct partition **list, int32_t from, int32_t to, struct err *e);

/* Removes what is due at `now`, not too much at once; answers when the next is, INT64_MAX: never. Upkeep's. */
int64_t removals_round(struct broker *b, int64_t now);

#endif
