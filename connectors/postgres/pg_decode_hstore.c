/*
 * pg_decode_hstore: hstore ("a"=>"1", "b"=>NULL) as JSON text or as a map.
 *
 * Debezium goes through a java.util.HashMap, whose order its consumers see; it is kept: entries by the bucket that the
 * key's hash falls into, within a bucket as they came.
 */
#include <stdlib.h>
#include <string.h>

#include "kit/cdc/cdc_json.h"
#include "kit/jtext.h"
#include "pg_decode.h"

struct pg_pair {
    const uint8_t *key, *value; /* between the quotes, still escaped; value NULL: null */
    size_t key_n, value_n;
    uint32_t hash;
    uint32_t index;
};

/* String.hashCode of the UTF-16 units, folded as HashMap does. *p runs over UTF-8 with backslash escapes. */
static uint32_t java_hash(const uint8_t *p, size_t n)
{
    uint32_t h = 0;
    const uint8_t *end = p + n;
    while (p < end) {
        p += *p == '\\';
        size_t k = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
        uint32_t c = k == 1 ? *p : k == 2 ? *p & 31u : k == 3 ? *p & 15u : *p & 7u;
        p++;
        for (size_t i = 1; i < k && p < end; i++)
            c = c << 6 | (*p++ & 63u);
        if (c > 0xffff) {
            c -= 0x10000;
            h = h * 31 + (0xd800 + (c >> 10 & 0x3ff));
            c = 0xdc00 + (c & 0x3ff);
        }
        h = h * 31 + c;
    }
    return h ^ h >> 16;
}

/* A quoted text: *from, *n what is between the quotes. Returns behind it, NULL: there is none. */
static const uint8_t *take_quoted(const uint8_t *p, const uint8_t *end, const uint8_t **from, size_t *n)
{
    if (p == end || *p++ != '"')
        return NULL;
    *from = p;
    while (p < end && *p != '"') {
        if (*p == '\\' && ++p == end)
            return NULL;
        p++;
    }
    *n = (size_t)(p - *from);
    return p < end ? p + 1 : NULL;
}

static const uint8_t *take_pair(const uint8_t *p, const uint8_t *end, struct pg_pair *pair)
{
    p = take_quoted(p, end, &pair->key, &pair->key_n);
    if (!p || end - p < 2 || p[0] != '=' || p[1] != '>')
        return NULL;
    p += 2;
    pair->value = NULL;
    if (end - p >= 4 && memcmp(p, "NULL", 4) == 0)
        return p + 4;
    return take_quoted(p, end, &pair->value, &pair->value_n);
}

static int compare(const void *left, const void *right)
{
    const struct pg_pair *a = left, *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Sorts as a HashMap that grew with its entries lists them. */
static void order(struct pg_pair *pairs, size_t n)
{
    size_t buckets = 16;
    while (n > buckets / 4 * 3)
        buckets *= 2;
    for (size_t i = 0; i < n; i++) {
        pairs[i].hash = java_hash(pairs[i].key, pairs[i].key_n) & (uint32_t)(buckets - 1);
        pairs[i].index = (uint32_t)i;
    }
    qsort(pairs, n, sizeof(*pairs), compare);
}

/* Fills the scratch with the pairs in their order. */
static int parse(const struct cdc_column *c, const uint8_t *p, size_t n, const struct pg_pair **pairs,
                 size_t *count, struct err *e)
{
    struct buf *b = &pg_scratch()->pairs;
    const uint8_t *end = p + n;
    pg_scratch_reset(b);
    while (p < end) {
        struct pg_pair pair = {0};
        p = take_pair(p, end, &pair);
        if (!p)
            return pg_bad(c, e, "no hstore");
        if (buf_append(b, &pair, sizeof(pair), e) != ERR_OK)
            return e->code;
        if (p < end && (end - p < 3 || *p++ != ',' || *p++ != ' '))
            return pg_bad(c, e, "no hstore");
    }
    *count = b->len / sizeof(struct pg_pair);
    *pairs = NULL;
    if (*count == 0)
        return ERR_OK;
    order((struct pg_pair *)(void *)b->data, *count);
    *pairs = (struct pg_pair *)(void *)b->data;
    return ERR_OK;
}

/* Without its backslashes, as a JSON string. */
static int put_text(const struct cdc_column *c, const uint8_t *p, size_t n, struct buf *out, struct err *e)
{
    struct buf *plain = &pg_scratch()->text;
    if (memchr(p, '\\', n)) {
        pg_scratch_reset(plain);
        if (buf_reserve(plain, n, e) != ERR_OK)
            return e->code;
        for (const uint8_t *end = p + n; p < end; p++) {
            p += *p == '\\';
            plain->data[plain->len++] = *p;
        }
        p = plain->data;
        n = plain->len;
    }
    int rc = cdc_json_string(out, p, n, e);
    return rc == ERR_OK ? rc : err_wrap(e, "column %s", c->name);
}

int pg_encode_hstore_map(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                         struct err *e)
{
    const struct pg_pair *pairs;
    size_t count;
    int rc = parse(c, data, n, &pairs, &count, e);
    if (rc == ERR_OK)
        rc = buf_u8(out, '{', e);
    for (size_t i = 0; i < count && rc == ERR_OK; i++) {
        if (i > 0)
            rc = buf_u8(out, ',', e);
        if (rc == ERR_OK)
            rc = put_text(c, pairs[i].key, pairs[i].key_n, out, e);
        if (rc == ERR_OK)
            rc = buf_u8(out, ':', e);
        if (rc == ERR_OK)
            rc = pairs[i].value ? put_text(c, pairs[i].value, pairs[i].value_n, out, e)
                                : buf_append(out, "null", 4, e);
    }
    return rc == ERR_OK ? buf_u8(out, '}', e) : rc;
}

/*
 * The map's JSON as a string. Inside, characters beyond the basic plane stand as they are: it is the outer writer that
 * escapes them. So the map is written, its \uD83D\uDE00 become one backslash each again.
 */
int pg_encode_hstore_json(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                          struct err *e)
{
    struct buf *map = &pg_scratch()->map;
    pg_scratch_reset(map);
    int rc = pg_encode_hstore_map(c, data, n, map, e);
    if (rc != ERR_OK)
        return rc;
    rc = buf_u8(out, '"', e);
    const uint8_t *p = map->data, *end = p + map->len;
    while (rc == ERR_OK && p < end) {
        const uint8_t *run = p;
        /* Pairs of characters with a backslash: all are doubled but those of surrogates. */
        while (p < end && !(end - p >= 12 && memcmp(p, "\\uD", 3) == 0))
            p += *p == '\\' ? 2 : 1;
        rc = cdc_json_part(out, run, (size_t)(p - run), e);
        if (rc == ERR_OK && p < end) {
            rc = buf_append(out, p, 12, e);
            p += 12;
        }
    }
    return rc == ERR_OK ? buf_u8(out, '"', e) : rc;
}
