/*
 * table: how the fields that a table tells of lie in memory. Private to core/protocol.
 */
#ifndef LEAT_PROTOCOL_TABLE_H
#define LEAT_PROTOCOL_TABLE_H

#include "protocol/message.h"

/* The layout of every MSG_ARRAY, and of msg_string and msg_bytes, whose `n` lies where `count` does. */
struct msg_any_array {
    void *items;
    int32_t count;
};

/* Bytes in memory of one value, of an array of one element. */
size_t msg_element_size(const struct msg_field *f);

/* A number of the kinds up to MSG_INT64. */
int64_t msg_number(const struct msg_field *f, const void *at);

/* Whether the value is the field's default; of a struct, whether all of its fields have theirs. */
bool msg_is_default(const struct msg_field *f, const void *at);

/* A length and what it counts: text, bytes, arrays. */
static inline bool msg_has_count(const struct msg_field *f)
{
    return f->array || f->kind == MSG_STRING || f->kind == MSG_BYTES || f->kind == MSG_RECORDS;
}

/* A struct that may be null is a pointer in C. */
static inline bool msg_is_pointer(const struct msg_field *f)
{
    return f->kind == MSG_STRUCT && !f->array && f->null_since <= f->until;
}

#endif
