/*
 * pg_channels: where signals come from but for the signal table, which the stream brings: the command line and HTTP, a topic,
 * a file. Task's thread.
 */
#ifndef LEAT_PG_CHANNELS_H
#define LEAT_PG_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "pg_task.h"

struct pg_channels;

/* In open. LEAT_OK or what host->fail returned. */
int pg_channels_open(struct pg_task *t, struct pg_channels **out);
void pg_channels_close(struct pg_channels *c); /* NULL is fine */

/* Whether rows of the signal table are signals. */
bool pg_channels_from_table(const struct pg_channels *c);
/* Gives each signal that came to `take`. LEAT_OK, or what take or host->fail returned. */
int pg_channels_poll(struct pg_channels *c,
                     int (*take)(void *arg, const char *id, const char *type, const char *data), void *arg);
/* So many polls are durable: what was taken in them is cut off the file. */
void pg_channels_durable(struct pg_channels *c, uint64_t polls);
/* In how many ms to poll at the latest, though nobody wakes the task; -1: no wish. */
int64_t pg_channels_due_ms(const struct pg_channels *c);

#endif
