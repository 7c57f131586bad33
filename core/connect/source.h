/*
 * source: what the host table needs of a running source task. Task's thread.
 */
#ifndef LEAT_CONNECT_SOURCE_H
#define LEAT_CONNECT_SOURCE_H

#include <stdbool.h>

#include "connect/task.h"

int source_emit(struct leat_task *t, const struct leat_record *records, size_t n);
int source_set_position(struct leat_task *t, const char *partition, const char *offset);
const char *source_get_position(struct leat_task *t, const char *partition);
bool source_next_position(struct leat_task *t, size_t *cursor, const char **partition, const char **offset);

#endif
