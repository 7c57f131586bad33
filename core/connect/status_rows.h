/*
 * status_rows: what a task says of things by their names (leat_host.status), sorted by key. Under the task's lock.
 */
#ifndef LEAT_CONNECT_STATUS_ROWS_H
#define LEAT_CONNECT_STATUS_ROWS_H

#include "base/err.h"
#include "connect/connect.h"

#define STATUS_ROWS_MAX 4096
#define STATUS_KEY_MAX 512   /* bytes */
#define STATUS_JSON_MAX 4096 /* bytes */

struct status_rows {
    struct status_row *items;
    size_t count, room;
};

/* What is wrong with a key or an object, or NULL. Any thread. */
const char *status_row_problem(const char *key, const char *json);
/* Sets a row, or removes it (`json` NULL). ERR_TOO_LARGE: there are too many. */
int status_rows_set(struct status_rows *r, const char *key, const char *json, struct err *e);
void status_rows_free(struct status_rows *r); /* and leaves none */
int status_rows_copy(const struct status_rows *r, struct status_row **out, size_t *n, struct err *e);
void status_copies_free(struct status_row *rows, size_t n);

#endif
