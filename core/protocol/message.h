/*
 * message: Kafka's messages as C structs (protocol/messages.h, made from core/protocol/messages), and the one
 * decoder and encoder for all of them, which go by tables. No state; any thread.
 *
 * A decoded message points into the bytes it was decoded from and into the arena: both must outlive it.
 * Source: Kafka's protocol guide, KIP-482 (flexible versions, tagged fields), KIP-893 (nullable structs).
 */
#ifndef LEAT_PROTOCOL_MESSAGE_H
#define LEAT_PROTOCOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/uuid.h"

/* Text as it came, but for NULs (see below): not terminated, not checked to be UTF-8. n < 0 is null. */
struct msg_string {
    const char *p;
    int32_t n;
};

struct msg_bytes {
    const uint8_t *p;
    int32_t n;
};

/* count < 0 is null. Every array has this layout. */
#define MSG_ARRAY(type)                                                                                      \
    struct {                                                                                                 \
        type *items;                                                                                         \
        int32_t count;                                                                                       \
    }

enum msg_kind {
    MSG_BOOL,
    MSG_INT8,
    MSG_INT16,
    MSG_UINT16,
    MSG_INT32,
    MSG_INT64,
    MSG_FLOAT64,
    MSG_UUID,
    MSG_STRING,
    MSG_BYTES,
    MSG_RECORDS, /* bytes that hold record batches */
    MSG_STRUCT
};

struct msg_schema;

struct msg_field {
    const char *name; /* as Kafka spells it */
    const struct msg_schema *of;
    int64_t init; /* the default, of numbers */
    uint16_t offset;
    int8_t kind; /* enum msg_kind; of an array that of its elements */
    bool array;
    int8_t since, until; /* versions that have the field */
    int8_t null_since;   /* the first version in which it may be null */
    int8_t tag;          /* -1: none */
    bool init_null;
};

struct msg_schema {
    const char *name;
    const struct msg_field *fields; /* in the order of the wire; tagged ones by rising tag */
    uint16_t count;
    uint16_t size;   /* of the C struct */
    int8_t flexible; /* the message's first flexible version */
};

/* Sets every field to its default: absent arrays are empty unless their default is null. */
void msg_init(const struct msg_schema *s, void *m);

/*
 * Decodes version `version`, which the caller knows to be one of the message's, from `in` into the struct `m`
 * of the schema, and leaves what follows in `in`. Unknown tagged fields are skipped. Fields that the version
 * does not have get their defaults. ERR_TRUNCATED, ERR_CORRUPT (varints too long, tagged
 * fields longer than they say), ERR_INVALID (null where it may not be), ERR_TOO_LARGE (more elements than the
 * arena has room for); the text names the field.
 */
int msg_decode(const struct msg_schema *s, int16_t version, struct slice *in, struct arena *a, void *m,
               struct err *e);

/*
 * Appends the message to `out`. Fields that the version does not have are left out, whatever their value;
 * tagged ones also where they have their default. ERR_INVALID where null is not allowed or a length does not
 * fit the version; buf's errors. After an error `out` has part of the message.
 */
int msg_encode(const struct msg_schema *s, int16_t version, const void *m, struct buf *out, struct err *e);

/*
 * The same of a message with records that lie elsewhere: of each records field that has a length and no bytes the length is
 * written, and marks[i] is set to where in `out` its bytes are to be put; there are exactly `n` of them.
 */
int msg_encode_around(const struct msg_schema *s, int16_t version, const void *m, struct buf *out,
                      size_t *marks, size_t n, struct err *e);

/*
 * Appends the version's fields as JSON in the form of Kafka's own converters (names with a small first
 * letter, bytes in base64, records as their size), for logs and tests.
 */
int msg_json(const struct msg_schema *s, int16_t version, const void *m, struct buf *out, struct err *e);

/*
 * A text may have NULs inside. In memory each is what Java's modified UTF-8 has for it, the bytes C0 80, which valid UTF-8 never has: so
 * whoever has texts as C strings sees all of it, "g\0x" is not taken for "g", and no name that is checked can have one. Decoding and
 * encoding change between the two; what comes as C0 80 is taken for a NUL.
 */
/* Replaces the text by one of the arena's, if it has NULs. ERR_NO_MEMORY. */
int msg_hide_nuls(struct arena *a, struct msg_bytes *text, struct err *e);
int32_t msg_shown_length(const struct msg_bytes *text); /* with one byte for each NUL; < 0: null */
int msg_show_nuls(const struct msg_bytes *text, struct buf *out, struct err *e); /* appends it so */

/* An array of the arena's for `count` elements, each set to its defaults. NULL: no memory, or past the cap. */
void *msg_array(const struct msg_schema *s, struct arena *a, int32_t count);

static inline struct msg_string msg_text(const char *s, size_t n)
{
    return (struct msg_string){s, (int32_t)n};
}

static inline bool msg_in_version(const struct msg_field *f, int16_t version)
{
    return version >= f->since && version <= f->until;
}

#define MSG_NULL_STRING ((struct msg_string){NULL, -1})
#define MSG_STRING_MAX INT16_MAX /* bytes of a string, in every version */

#endif
