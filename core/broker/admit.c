/*
 * admit: see admit.h. Runs in the appender's thread; what the coordinators write (markers, offsets, state) does not come
 * here, so that a transaction can always end.
 */
#include "broker/admit.h"

#include <string.h>

#include "broker/quota.h"

static int32_t level_of(const struct topic_settings *s)
{
    switch (s->codec) {
    case CODEC_GZIP:
        return s->gzip_level == -1 ? CODEC_LEVEL_DEFAULT : s->gzip_level;
    case CODEC_LZ4:
        return s->lz4_level;
    case CODEC_ZSTD:
        return s->zstd_level;
    default:
        return CODEC_LEVEL_DEFAULT;
    }
}

static bool all_in_codec(const struct produce_request *r, enum codec codec)
{
    for (size_t at = 0; at < r->bytes;) {
        struct batch_header h;
        struct err unused;
        if (batch_header_decode((uint8_t *)r->data + at, r->bytes - at, &h, &unused))
            return true; /* the append says what is wrong */
        if (batch_codec(&h) != codec)
            return false;
        at += batch_size(&h);
    }
    return true;
}

/* Kafka keeps a batch that is in the topic's codec already, whatever its level. */
static int pack(const struct topic_settings *s, const struct produce_request *r, struct buf *out,
                struct err *e)
{
    struct buf scratch;
    int rc = ERR_OK;
    buf_init(&scratch, BATCH_MAX_INFLATED);
    for (size_t at = 0; at < r->bytes && !rc;) {
        struct batch_header h;
        const uint8_t *batch = (uint8_t *)r->data + at;
        rc = batch_header_decode(batch, r->bytes - at, &h, e);
        if (rc)
            break;
        size_t size = batch_size(&h);
        rc = batch_codec(&h) == s->codec
                 ? buf_append(out, batch, size, e)
                 : batch_recompress(batch, r->bytes - at, s->codec, level_of(s), &scratch, out, e);
        at += size;
    }
    buf_free(&scratch);
    return rc;
}

static int admit_codec(const struct partition *p, const struct topic_settings *s, struct produce_request *r,
                       struct admitted *a, struct err *e)
{
    if (s->codec == CODEC_COUNT || all_in_codec(r, s->codec))
        return ERR_OK;
    buf_init(&a->packed, BATCH_MAX_INFLATED);
    int rc = pack(s, r, &a->packed, e);
    if (rc) {
        buf_free(&a->packed);
        return err_wrap(e, "topic %s: compression.type %s", p->topic->name,
                        s->codec == CODEC_NONE ? "uncompressed" : codec_name(s->codec));
    }
    a->data = r->data;
    a->bytes = r->bytes;
    a->swapped = true;
    r->data = a->packed.data;
    r->bytes = a->packed.len;
    return ERR_OK;
}

int admit_begin(struct broker *b, const struct partition *p, struct produce_request *r,
                const struct produce_request *before, struct admitted *a, struct err *e)
{
    const struct topic_settings *s = topic_settings(p->topic);
    *a = (struct admitted){0};
    int rc = admit_codec(p, s, r, a, e);
    bool waited = before && strcmp(before->topic, r->topic) == 0;
    if (!rc && quota_is_set(s) && (rc = quota_admit(b, p, s, r->bytes, !waited, e)))
        admit_end(r, a);
    return rc;
}

void admit_end(struct produce_request *r, struct admitted *a)
{
    if (!a->swapped)
        return;
    r->data = a->data;
    r->bytes = a->bytes;
    buf_free(&a->packed);
    *a = (struct admitted){0};
}
