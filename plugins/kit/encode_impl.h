/*
 * kit/encode_impl: what encode.c and encode_csv.c share; nobody else includes it.
 */
#ifndef LEAT_KIT_ENCODE_IMPL_H
#define LEAT_KIT_ENCODE_IMPL_H

#include "kit/encode.h"

struct csv_column;

struct encoder {
    enum encode_format format;
    enum encode_nulls nulls;
    bool csv_header, csv_base64;
    const struct record_view *view;
    char *separator;
    size_t separator_n;
    struct csv_column *columns;
    size_t column_count;
    struct buf scratch;
};

/* A record's key or value: typed, or bytes (NULL: null) and what they are taken for. */
struct part {
    const struct leat_value *typed;
    const void *bytes;
    size_t n;
    enum leat_converter converter;
};
struct part encode_value_of(const struct encoder *x, const struct leat_record *r);
struct part encode_key_of(const struct encoder *x, const struct leat_record *r);

int encode_json(const struct encoder *x, const struct part *p, struct buf *out, struct err *e);
int encode_raw(const struct encoder *x, const struct part *p, struct buf *out, struct err *e);

int csv_set_columns(struct encoder *x, const char *const *names, size_t n, struct err *e);
void csv_free_columns(struct encoder *x);
int csv_append_header(struct encoder *x, struct buf *out, struct err *e);
int csv_append_record(struct encoder *x, const struct leat_record *r, struct buf *out, struct err *e);

#endif
