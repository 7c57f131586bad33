/*
 * pg_unchanged_impl: what the files of pg_unchanged share.
 */
#ifndef LEAT_PG_UNCHANGED_IMPL_H
#define LEAT_PG_UNCHANGED_IMPL_H

#include "kit/kept/kept.h"
#include "pg_unchanged.h"

/* A column whose values are kept, and since when the catalog is known to have said the same of it and its table. */
struct unchanged_column {
    uint16_t number; /* pg_attribute.attnum */
    uint64_t digest; /* of what the catalog said; 0: of nothing that could be compared */
    uint64_t since;  /* the log's position when that was seen first */
};

/* A table by its oid; noted in the store. */
struct unchanged_table {
    uint32_t oid;
    struct unchanged_column *columns;
    size_t count;
    uint64_t floor;   /* values put before this number do not count */
    uint64_t segment; /* those put from this number on came under the table's present description */
    bool used;        /* the store has the note, and may have values */
    bool refused;     /* there is no room for the note: nothing is kept */
};

struct unchanged_item {
    uint16_t at, number; /* of the cell; of the column in the store */
    int row;             /* while the view is made: of the catalog's answer */
    uint8_t weight;      /* bytes that the server may need for a character of text */
    /* Of the change at hand: */
    bool filled;
    size_t filled_at, filled_n; /* in u->values */
};

struct pg_unchanged_view {
    struct unchanged_table *table; /* NULL: nothing is kept, and what comes unchanged stays so */
    struct unchanged_item *items;
    size_t item_count;
    uint16_t *key;
    size_t key_count;
    size_t cell_count;
    size_t wide; /* rows smaller than this are not TOASTed */
};

struct pg_unchanged {
    struct pg_task *task;
    struct kept *store; /* NULL: given up until again_ms */
    struct kept_options options;
    char *dir;
    int64_t again_ms, told_ms;
    struct map *tables; /* struct unchanged_table by oid */
    struct buf key, old_key, values;
    struct {
        uint64_t filled, left, too_large;
    } counts, told;
};

/* pg_unchanged_table.c */
struct unchanged_table *unchanged_table_get(struct pg_unchanged *u, uint32_t oid, struct err *e);
void unchanged_table_free(void *table);
/* NULL: nothing is known of it. */
const struct unchanged_column *unchanged_column_find(const struct unchanged_table *t, uint16_t number);
/* What was put so far does not count any more. */
void unchanged_table_forget(struct pg_unchanged *u, struct unchanged_table *t);
/* The table's note is in the store: values may be put. False: they may not. */
bool unchanged_table_use(struct pg_unchanged *u, struct unchanged_table *t);

/* pg_unchanged_open.c: the store failed. */
void unchanged_give_up(struct pg_unchanged *u, const struct err *e);

#endif
