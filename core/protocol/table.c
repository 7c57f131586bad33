/*
 * table: sizes and defaults of what the tables tell of. See table.h and message.h.
 */
#include "protocol/table.h"

#include <string.h>

static const uint8_t sizes[] = {
    [MSG_BOOL] = sizeof(bool),
    [MSG_INT8] = 1,
    [MSG_INT16] = 2,
    [MSG_UINT16] = 2,
    [MSG_INT32] = 4,
    [MSG_INT64] = 8,
    [MSG_FLOAT64] = 8,
    [MSG_UUID] = 16,
    [MSG_STRING] = sizeof(struct msg_string),
    [MSG_BYTES] = sizeof(struct msg_bytes),
    [MSG_RECORDS] = sizeof(struct msg_bytes),
};

size_t msg_element_size(const struct msg_field *f)
{
    return f->kind == MSG_STRUCT ? f->of->size : sizes[f->kind];
}

static void init_number(const struct msg_field *f, void *at)
{
    switch (f->kind) {
    case MSG_BOOL:
        *(bool *)at = f->init != 0;
        break;
    case MSG_INT8:
        *(int8_t *)at = (int8_t)f->init;
        break;
    case MSG_INT16:
    case MSG_UINT16:
        *(int16_t *)at = (int16_t)f->init;
        break;
    case MSG_INT32:
        *(int32_t *)at = (int32_t)f->init;
        break;
    case MSG_INT64:
        *(int64_t *)at = f->init;
        break;
    default: /* all zeros */
        break;
    }
}

/* Of memory that is all zeros. */
static void init_field(const struct msg_field *f, void *at)
{
    if (msg_has_count(f))
        ((struct msg_any_array *)at)->count = f->init_null ? -1 : 0;
    else if (f->kind != MSG_STRUCT)
        init_number(f, at);
    else if (!msg_is_pointer(f))
        msg_init(f->of, at);
}

void msg_init(const struct msg_schema *s, void *m)
{
    memset(m, 0, s->size);
    for (unsigned i = 0; i < s->count; i++) {
        const struct msg_field *f = &s->fields[i];
        if (f->init != 0 || f->init_null || (f->kind == MSG_STRUCT && !f->array))
            init_field(f, (char *)m + f->offset);
    }
}

void *msg_array(const struct msg_schema *s, struct arena *a, int32_t count)
{
    char *items = arena_alloc(a, (size_t)count * s->size);
    for (int32_t i = 0; items != NULL && i < count; i++)
        msg_init(s, items + (size_t)i * s->size);
    return items;
}

int64_t msg_number(const struct msg_field *f, const void *at)
{
    switch (f->kind) {
    case MSG_BOOL:
        return *(const bool *)at;
    case MSG_INT8:
        return *(const int8_t *)at;
    case MSG_INT16:
        return *(const int16_t *)at;
    case MSG_UINT16:
        return *(const uint16_t *)at;
    case MSG_INT32:
        return *(const int32_t *)at;
    default:
        return *(const int64_t *)at;
    }
}

static bool all_default(const struct msg_schema *s, const void *m)
{
    for (unsigned i = 0; i < s->count; i++)
        if (!msg_is_default(&s->fields[i], (const char *)m + s->fields[i].offset))
            return false;
    return true;
}

bool msg_is_default(const struct msg_field *f, const void *at)
{
    if (msg_has_count(f)) {
        int32_t n = ((const struct msg_any_array *)at)->count;
        return f->init_null ? n < 0 : n == 0;
    }
    if (msg_is_pointer(f))
        return *(const void *const *)at == NULL;
    if (f->kind == MSG_STRUCT)
        return all_default(f->of, at);
    if (f->kind == MSG_UUID)
        return uuid_is_zero(at);
    if (f->kind == MSG_FLOAT64)
        return *(const double *)at == 0;
    return msg_number(f, at) == f->init;
}
