/*
 * pg_decode: the text of PostgreSQL's values (as its output functions write them under pg_types_session_options) made into
 * JSON. Encoders have the type cdc_encode: they append the value's JSON, or fail with ERR_INVALID_RECORD naming the column.
 * They check what they read: text that no server writes is refused, not guessed at. Any thread; those that need
 * memory beside `out` use the thread's (pg_scratch). None of the plain types allocates.
 *
 * What cdc_column.a, b mean to each stands beside it.
 */
#ifndef LEAT_PG_DECODE_H
#define LEAT_PG_DECODE_H

#include "kit/cdc/cdc.h"
#include "pg_modes.h"

#define PG_ENCODER(name)                                                                                     \
    int name(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)

PG_ENCODER(pg_encode_bool);
PG_ENCODER(pg_encode_int); /* a: 16, 32, 64 bits; 0: unsigned of 32 bits (oid) */
PG_ENCODER(pg_encode_string);
PG_ENCODER(pg_encode_uuid);

PG_ENCODER(pg_encode_float);    /* a: 1 single, 0 double precision */
PG_ENCODER(pg_encode_decimal);  /* a: precision, b: scale, which may be negative */
PG_ENCODER(pg_encode_variable); /* numeric without precision */
PG_ENCODER(pg_encode_numeric_double);
PG_ENCODER(pg_encode_numeric_text);
PG_ENCODER(pg_encode_money); /* b: fraction digits; a, of all three: those of what the server stores */
PG_ENCODER(pg_encode_money_double);
PG_ENCODER(pg_encode_money_text);

PG_ENCODER(pg_encode_bytea);   /* a: enum pg_binary_mode */
PG_ENCODER(pg_encode_unknown); /* likewise: the text's bytes */
PG_ENCODER(pg_encode_geometric);
PG_ENCODER(pg_encode_bit);  /* of one bit: a boolean */
PG_ENCODER(pg_encode_bits); /* a: greatest length */

PG_ENCODER(pg_encode_date);
PG_ENCODER(pg_encode_date_iso);
PG_ENCODER(pg_encode_time_ms); /* b: 1 in arrays, where 24:00 is written as 0 */
PG_ENCODER(pg_encode_time_us);
PG_ENCODER(pg_encode_time_ns);
PG_ENCODER(pg_encode_time_iso);
PG_ENCODER(pg_encode_timetz);
PG_ENCODER(pg_encode_timestamp_ms);
PG_ENCODER(pg_encode_timestamp_us);
PG_ENCODER(pg_encode_timestamp_ns);
PG_ENCODER(pg_encode_timestamp_iso);
PG_ENCODER(pg_encode_timestamptz); /* a: fraction digits, exactly */
PG_ENCODER(pg_encode_interval);
PG_ENCODER(pg_encode_interval_iso);

PG_ENCODER(pg_encode_hstore_json);
PG_ENCODER(pg_encode_hstore_map);
PG_ENCODER(pg_encode_point);
PG_ENCODER(pg_encode_geometry);
PG_ENCODER(pg_encode_vector); /* a: as pg_encode_float */
PG_ENCODER(pg_encode_sparsevec);
PG_ENCODER(pg_encode_array);      /* b: the delimiter; item: how elements are written */
PG_ENCODER(pg_encode_int_vector); /* item likewise */

/* cdc_text by encoding: numbers as they are, strings without quotes and escapes. */
PG_ENCODER(pg_text_of_json);

/* ---- what encoders share ---------------------------------------------------------------------------------------- */

/* ERR_INVALID_RECORD: "column x: ...". */
int pg_bad(const struct cdc_column *c, struct err *e, const char *what);

/* Where n bytes may be written behind out->len; NULL after err_set. */
static inline uint8_t *pg_room(struct buf *out, size_t n, struct err *e)
{
    if (n > out->cap - out->len && buf_reserve(out, n, e) != ERR_OK)
        return NULL;
    return out->data + out->len;
}

static inline bool pg_is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

/* Empties a scratch buffer; one that a large value left behind gives its memory back. */
#define PG_SCRATCH_KEEP ((size_t)1 << 20)
static inline void pg_scratch_reset(struct buf *b)
{
    size_t max = b->max;
    if (b->cap > PG_SCRATCH_KEEP) {
        buf_free(b);
        buf_init(b, max);
    }
    buf_reset(b);
}

/* A decimal number in parts: digits of two runs and zeros behind them. */
struct pg_digits {
    bool negative;
    const uint8_t *first, *second;
    size_t first_n, second_n, zeros;
};

/* Writes base64 of two's complement bytes of the number, with quotes. */
int pg_put_unscaled(struct buf *out, const struct pg_digits *d, struct err *e);

/* Writes base64 (of the URL alphabet if `url`), padded; returns behind it. `to` has room for pg_base64_size(n). */
uint8_t *pg_base64(uint8_t *to, const uint8_t *from, size_t n, bool url);
static inline size_t pg_base64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Bytes as told by the mode, with quotes. `data` is not in `out`. */
int pg_put_binary(struct buf *out, const void *data, size_t n, enum pg_binary_mode mode, struct err *e);

/* The value of a hex digit, or 16. */
extern const uint8_t pg_hex_value[256];

/*
 * The number in the text (of at most 63 bytes, as float4out and float8out write them) as Java spells it. `bare`: NaN and
 * infinities without quotes. False: it is no number.
 */
bool pg_put_number(struct buf *out, const uint8_t *p, size_t n, bool single, bool bare, int *rc,
                   struct err *e);

#endif
