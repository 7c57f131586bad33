/*
 * cdc_mask: see cdc_mask.h. Hashes are those that Debezium writes: v2 of salt and text, v1 of salt and the text as Java's
 * ObjectOutputStream writes a String (java.io.ObjectStreamConstants: magic, version, TC_STRING or TC_LONGSTRING with the length
 * in modified UTF-8). Checked against tests/data/debezium (filters).
 */
#include "kit/cdc/cdc_mask.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "kit/cdc/cdc_json.h"

#define LENGTH_MAX 1000000

/* ---- options -------------------------------------------------------------------------------------------------------- */

static void rule_clear(struct cdc_mask_rule *r)
{
    cdc_filter_free(&r->columns);
    mem_free(r->salt);
    mem_free(r->option);
}

int cdc_mask_add(struct cdc_config *c, const struct cdc_mask_rule *rule, const char *option, struct err *e)
{
    struct cdc_mask_rule copy = *rule;
    struct cdc_mask_rule *masks = mem_realloc_array(c->masks, c->mask_count + 1, sizeof(*masks));
    copy.option = mem_strdup(option);
    if (masks)
        c->masks = masks;
    if (!masks || !copy.option) {
        rule_clear(&copy);
        return err_nomem(e);
    }
    c->masks[c->mask_count++] = copy;
    return ERR_OK;
}

void cdc_masks_free(struct cdc_config *c)
{
    for (size_t i = 0; i < c->mask_count; i++)
        rule_clear(&c->masks[i]);
    mem_free(c->masks);
    c->masks = NULL;
    c->mask_count = 0;
}

/* What stands between a prefix and a suffix of the name; false: it is not of this form. */
static bool between(const char *name, const char *prefix, const char *suffix, const char **p, size_t *n)
{
    size_t length = strlen(name), before = strlen(prefix), after = strlen(suffix);
    if (length < before + after || strncmp(name, prefix, before) != 0 ||
        strcmp(name + length - after, suffix) != 0)
        return false;
    *p = name + before;
    *n = length - before - after;
    return true;
}

static int read_length(const char *name, const char *p, size_t n, int64_t *out, struct err *e)
{
    char *end;
    *out = n && isdigit((unsigned char)*p) ? strtoll(p, &end, 10) : -1;
    if (*out < 0 || *out > LENGTH_MAX || end != p + n)
        return err_set(e, ERR_INVALID_CONFIG, "%s: \"%.*s\" is no number of characters from 0 to %d", name,
                       (int)n, p, LENGTH_MAX);
    return ERR_OK;
}

/* ALG.with.salt.S of column.mask.hash. */
static int read_hash(const char *name, const char *p, struct cdc_mask_rule *rule, struct err *e)
{
    rule->kind = CDC_MASK_HASH;
    if (strncmp(p, "v2.", 3) == 0) {
        rule->kind = CDC_MASK_HASH_V2;
        p += 3;
    }
    const char *salt = strstr(p, ".with.salt.");
    if (!salt)
        return err_set(e, ERR_INVALID_CONFIG, "%s: has to be column.mask.hash[.v2].ALGORITHM.with.salt.SALT",
                       name);
    char algorithm[32];
    size_t n = (size_t)(salt - p);
    if (n < sizeof(algorithm)) {
        memcpy(algorithm, p, n);
        algorithm[n] = '\0';
        rule->digest = EVP_get_digestbyname(algorithm);
    }
    if (!rule->digest)
        return err_set(e, ERR_INVALID_CONFIG,
                       "%s: \"%.*s\" is no hash that there is (SHA-256, SHA-512, MD5 ...)", name, (int)n, p);
    rule->salt = mem_strdup(salt + strlen(".with.salt."));
    return rule->salt ? ERR_OK : err_nomem(e);
}

int cdc_mask_option(struct cdc_config *c, const struct cdc_named *option, struct err *e)
{
    struct cdc_mask_rule rule = {0};
    const char *p;
    size_t n;
    int rc;
    if (between(option->name, "column.mask.with.", ".chars", &p, &n)) {
        rule.kind = CDC_MASK_FIXED;
        rc = read_length(option->name, p, n, &rule.length, e);
    } else if (between(option->name, "column.truncate.to.", ".chars", &p, &n)) {
        rule.kind = CDC_MASK_TRUNCATE;
        rc = read_length(option->name, p, n, &rule.length, e);
    } else if (between(option->name, "column.mask.hash.", "", &p, &n)) {
        rc = read_hash(option->name, p, &rule, e);
    } else {
        return err_set(e, ERR_INVALID_CONFIG, "%s: there is no such option", option->name);
    }
    rc = rc ? rc : cdc_filter_parse(option->name, option->value, &rule.columns, e);
    if (rc) {
        rule_clear(&rule);
        return rc;
    }
    return cdc_mask_add(c, &rule, option->name, e);
}

static int rank(const struct cdc_mask_rule *r)
{
    return r->kind == CDC_MASK_HASH_V2 ? CDC_MASK_HASH : (int)r->kind;
}

const struct cdc_mask_rule *cdc_mask_find(const struct cdc_config *c, const char *column, const char *type,
                                          const struct cdc_mask_rule **hash)
{
    const struct cdc_mask_rule *best = NULL;
    *hash = NULL;
    for (size_t i = 0; i < c->mask_count; i++) {
        const struct cdc_mask_rule *r = &c->masks[i];
        if (!cdc_filter_matches(&r->columns, r->by_type ? type : column))
            continue;
        if (!best || rank(r) < rank(best))
            best = r;
        if (rank(r) == CDC_MASK_HASH)
            *hash = r;
    }
    if (!best || best->kind != CDC_MASK_PROPAGATE)
        *hash = NULL;
    return best;
}

/* ---- values --------------------------------------------------------------------------------------------------------- */

/* Bytes of the first `units` UTF-16 units; a character that would be cut in the middle is left out whole. */
static size_t first_units(const uint8_t *p, size_t n, int64_t units)
{
    size_t at = 0;
    while (at < n) {
        size_t length = utf8_length(p + at, n - at);
        int64_t takes = length == 4 ? 2 : 1;
        if (takes > units)
            break;
        units -= takes;
        at += length ? length : 1;
    }
    return at;
}

/* Java's modified UTF-8: NUL as two bytes, beyond the basic plane as two surrogates of three bytes each. */
static int modified_utf8(const uint8_t *p, size_t n, struct buf *out, struct err *e)
{
    if (n > SIZE_MAX / 2 || buf_reserve(out, n * 2, e) != ERR_OK)
        return n > SIZE_MAX / 2 ? err_nomem(e) : e->code;
    uint8_t *to = out->data + out->len;
    for (size_t i = 0; i < n;) {
        if (p[i] == 0) {
            *to++ = 0xc0;
            *to++ = 0x80;
            i++;
        } else if (utf8_length(p + i, n - i) == 4) {
            uint32_t c = ((uint32_t)(p[i] & 7) << 18 | (uint32_t)(p[i + 1] & 63) << 12 |
                          (uint32_t)(p[i + 2] & 63) << 6 | (p[i + 3] & 63)) -
                         0x10000;
            uint32_t half[2] = {0xd800 | c >> 10, 0xdc00 | (c & 0x3ff)};
            for (int k = 0; k < 2; k++) {
                *to++ = (uint8_t)(0xe0 | half[k] >> 12);
                *to++ = (uint8_t)(0x80 | (half[k] >> 6 & 63));
                *to++ = (uint8_t)(0x80 | (half[k] & 63));
            }
            i += 4;
        } else {
            *to++ = p[i++];
        }
    }
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

static int java_string(const void *text, size_t n, struct buf *out, struct err *e)
{
    static const uint8_t head[] = {0xac, 0xed, 0x00, 0x05};
    int rc = buf_append(out, head, sizeof(head), e);
    size_t at = out->len; /* of the tag, with room for the longer length */
    rc = rc ? rc : buf_append(out, "\0\0\0\0\0\0\0\0", 9, e);
    rc = rc ? rc : modified_utf8(text, n, out, e);
    if (rc)
        return rc;
    size_t length = out->len - at - 9;
    if (length > 0xffff) {
        out->data[at] = 0x7c;
        put_be64(out->data + at + 1, length);
    } else {
        out->data[at] = 0x74;
        put_be16(out->data + at + 1, (uint16_t)length);
        memmove(out->data + at + 3, out->data + at + 9, length);
        out->len -= 6;
    }
    return ERR_OK;
}

static int write_hash(const struct cdc_mask_rule *rule, const void *text, size_t n, struct buf *out,
                      struct buf *scratch, struct err *e)
{
    buf_reset(scratch);
    int rc = buf_str(scratch, rule->salt, e);
    if (rc == ERR_OK)
        rc = rule->kind == CDC_MASK_HASH ? java_string(text, n, scratch, e) : buf_append(scratch, text, n, e);
    if (rc)
        return rc;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size;
    if (!EVP_Digest(scratch->data, scratch->len, digest, &size, rule->digest, NULL))
        return err_set(e, ERR_INTERNAL, "%s: the hash cannot be computed", rule->option);
    if ((rc = buf_reserve(out, size * 2 + 2, e)) != ERR_OK)
        return rc;
    uint8_t *to = out->data + out->len;
    *to++ = '"';
    for (unsigned i = 0; i < size; i++) {
        *to++ = (uint8_t) "0123456789abcdef"[digest[i] >> 4];
        *to++ = (uint8_t) "0123456789abcdef"[digest[i] & 15];
    }
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

int cdc_mask_write(const struct cdc_mask_rule *rule, const void *text, size_t n, struct buf *out,
                   struct buf *scratch, struct err *e)
{
    if (rule->kind == CDC_MASK_TRUNCATE)
        return cdc_json_string(out, text, first_units(text, n, rule->length), e);
    return write_hash(rule, text, n, out, scratch, e);
}
