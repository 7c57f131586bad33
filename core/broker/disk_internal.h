/*
 * disk_internal: what disk.c, disk_open.c and disk_list.c share.
 */
#ifndef LEAT_BROKER_DISK_INTERNAL_H
#define LEAT_BROKER_DISK_INTERNAL_H

#include "broker/disk.h"

/* Makes one and puts it at the end of the broker's. NULL: no memory. */
struct disk *disk_new(struct broker *b, const char *dir, struct err *e);
void disk_free(struct disk *d);

/* ---- disk_list.c: the file `directories` in the main one, which names the others by id and path ---- */

struct disk_line {
    struct uuid id;
    char *dir;
};
struct disk_lines {
    struct disk_line *list;
    size_t n;
};
int disk_lines_read(const char *main_dir, struct disk_lines *out, struct err *e); /* no file: none */
void disk_lines_free(struct disk_lines *l);
const struct disk_line *disk_lines_find(const struct disk_lines *l, const char *dir); /* by path */
int disk_lines_write(const struct broker *b, struct err *e); /* if it says something else */

#endif
