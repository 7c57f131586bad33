/*
 * dump_internal: what the files of core/broker/dump* share: one line in the making, and the files' parts.
 */
#ifndef LEAT_BROKER_DUMP_INTERNAL_H
#define LEAT_BROKER_DUMP_INTERNAL_H

#include "base/buf.h"
#include "broker/dump.h"
#include "record/record.h"

#define DUMP_LINE_MAX (512u << 20) /* a line holds a record's value, which may double as text */

struct dump {
    const struct dump_options *o;
    struct dump_report *r;
    struct buf line;
    bool first; /* no field is in the line yet */
    int failed; /* code of the first error while the line was made; `why` tells */
    struct err why;
};

/* ---- dump_line.c: `{"type":"<type>",...}`, or "<lead><name>: <value> <name>: <value>". Errors wait for dump_end. ---- */

void dump_begin(struct dump *d, const char *type, const char *lead);
void dump_int(struct dump *d, const char *name, int64_t v);
void dump_optional(struct dump *d, const char *name,
                   int64_t v); /* none if below 0; as text as Java prints it */
void dump_bool(struct dump *d, const char *name, bool v);
void dump_text(struct dump *d, const char *name, const char *s);
/* Bytes that may be NULL: null. JSON: text, or {"base64":...} where they are no UTF-8. */
void dump_bytes(struct dump *d, const char *name, const void *p, size_t n);
/* A list of texts: name: [a,b]. */
void dump_list(struct dump *d, const char *name);
void dump_item(struct dump *d, const void *p, size_t n);
void dump_list_end(struct dump *d);
int dump_end(struct dump *d, struct err *e); /* gives the line out */

/* A line that says what a file is: "Dumping <path>". Nothing with --verify. */
int dump_file_line(struct dump *d, const char *path, struct err *e);
/* Something is wrong at `byte` (-1: the whole) of the file. */
int dump_problem(struct dump *d, const char *path, int64_t byte, const char *text, struct err *e);

/* ---- dump_batches.c ---- */

enum dump_decoder { DUMP_PLAIN, DUMP_METADATA, DUMP_OFFSETS, DUMP_TRANSACTIONS };

/* A segment, or a snapshot of KRaft. `base`: the lowest offset that may stand in it. */
int dump_batches(struct dump *d, const char *path, int64_t base, enum dump_decoder decoder, struct err *e);

/* ---- dump_decode.c: fields of one record of an internal topic, behind those of every record ---- */
void dump_decoded(struct dump *d, enum dump_decoder decoder, const struct record *r);

/* ---- dump_verify.c: a partition's directory as a whole ---- */
int dump_verify(struct dump *d, const char *dir, struct err *e);

/* ---- dump_files.c ---- */
int dump_index(struct dump *d, const char *path, int64_t base, bool time, struct err *e);
int dump_txnindex(struct dump *d, const char *path, struct err *e);
int dump_snapshot(struct dump *d, const char *path, struct err *e);
int dump_offsets_file(struct dump *d, const char *path, struct err *e); /* recovery-point- and the like */
int dump_epochs(struct dump *d, const char *path, struct err *e);
int dump_metadata_file(struct dump *d, const char *path, struct err *e); /* partition.metadata */
int dump_properties(struct dump *d, const char *path, struct err *e);
/* The journal of a directory as a whole: its files belong together. */
int dump_journal(struct dump *d, const char *dir, struct err *e);

#endif
