/*
 * group_records: records of __consumer_offsets (OffsetCommitKey 0-1, OffsetCommitValue 0-4, GroupMetadataKey 2,
 * GroupMetadataValue 0-4).
 * Pure functions; every length is checked against what is there.
 */
#include "broker/records.h"

enum {
    KEY_OFFSET_MAX = 1,
    KEY_GROUP = 2,
    VALUE_EXPIRES = 1,
    VALUE_WITH_TIME = 2,
    VALUE_WRITTEN = 3,
    VALUE_FLEXIBLE = 4
};

int group_key_offset(struct buf *out, struct text group, struct text topic, int32_t partition, struct err *e)
{
    int rc;
    if ((rc = buf_i16(out, KEY_OFFSET_MAX, e)) || (rc = text_put(out, group, e)) ||
        (rc = text_put(out, topic, e)))
        return rc;
    return buf_i32(out, partition, e);
}

int group_key_group(struct buf *out, struct text group, struct err *e)
{
    int rc = buf_i16(out, KEY_GROUP, e);
    return rc ? rc : text_put(out, group, e);
}

int group_key_decode(const void *data, size_t n, struct group_key *k, struct err *e)
{
    struct slice s = slice_of(data, n);
    int16_t version;
    int rc = slice_i16(&s, &version, e);
    if (rc)
        return rc;
    *k = (struct group_key){.kind = GROUP_KEY_OTHER, .partition = -1};
    if (version < 0)
        return err_set(e, ERR_CORRUPT, "a group record's key has version %d", version);
    if (version > KEY_GROUP) /* consumer, share and streams groups: none of ours */
        return ERR_OK;
    if ((rc = text_get(&s, false, &k->group, e)))
        return rc;
    if (version == KEY_GROUP) {
        k->kind = GROUP_KEY_GROUP;
        return ERR_OK;
    }
    if ((rc = text_get(&s, false, &k->topic, e)) || (rc = slice_i32(&s, &k->partition, e)))
        return rc;
    if (k->partition < 0)
        return err_set(e, ERR_CORRUPT, "a committed offset's key names partition %d", k->partition);
    k->kind = GROUP_KEY_OFFSET;
    return ERR_OK;
}

int offset_value_encode(struct buf *out, const struct offset_value *v, struct err *e)
{
    bool expires = v->expire_ms > 0; /* the one version that has the time has no epoch */
    int rc;
    if ((rc = buf_i16(out, expires ? VALUE_EXPIRES : VALUE_WRITTEN, e)) ||
        (rc = buf_i64(out, v->offset, e)) || (!expires && (rc = buf_i32(out, v->leader_epoch, e))) ||
        (rc = text_put(out, v->metadata.p ? v->metadata : text_of(""), e)) ||
        (rc = buf_i64(out, v->commit_ms, e)))
        return rc;
    return expires ? buf_i64(out, v->expire_ms, e) : ERR_OK;
}

int offset_value_decode(const void *data, size_t n, struct offset_value *v, struct err *e)
{
    struct slice s = slice_of(data, n);
    int16_t version;
    int rc = slice_i16(&s, &version, e);
    if (rc)
        return rc;
    if (version < 0 || version > VALUE_FLEXIBLE)
        return err_set(e, ERR_UNSUPPORTED, "a committed offset's value has version %d", version);
    *v = (struct offset_value){.leader_epoch = -1, .expire_ms = -1};
    if ((rc = slice_i64(&s, &v->offset, e)))
        return rc;
    if (version >= VALUE_WRITTEN && (rc = slice_i32(&s, &v->leader_epoch, e)))
        return rc;
    rc = version >= VALUE_FLEXIBLE ? text_get_compact(&s, false, &v->metadata, e)
                                   : text_get(&s, false, &v->metadata, e);
    if (rc || (rc = slice_i64(&s, &v->commit_ms, e)))
        return rc;
    if (version == VALUE_EXPIRES)
        return slice_i64(&s, &v->expire_ms, e);
    return version >= VALUE_FLEXIBLE ? skip_tags(&s, e) : ERR_OK;
}

int group_value_encode(struct buf *out, const struct group_value *v, struct err *e)
{
    static const struct text null;
    int rc;
    if ((rc = buf_i16(out, VALUE_WRITTEN, e)) || (rc = text_put(out, v->protocol_type, e)) ||
        (rc = buf_i32(out, v->generation, e)) || (rc = text_put(out, null, e)) ||
        (rc = text_put(out, null, e)) || (rc = buf_i64(out, v->state_ms, e)))
        return rc;
    return buf_i32(out, 0, e);
}

static int get_text(struct slice *s, bool flexible, bool nullable, struct text *t, struct err *e)
{
    return flexible ? text_get_compact(s, nullable, t, e) : text_get(s, nullable, t, e);
}

int group_value_decode(const void *data, size_t n, struct group_value *v, struct err *e)
{
    struct slice s = slice_of(data, n);
    struct text unused;
    int16_t version;
    uint64_t members = 0; /* of the flexible form: one more, 0 is null */
    int rc = slice_i16(&s, &version, e);
    if (rc)
        return rc;
    if (version < 0 || version > VALUE_FLEXIBLE)
        return err_set(e, ERR_UNSUPPORTED, "a group's value has version %d", version);
    bool flexible = version >= VALUE_FLEXIBLE;
    *v = (struct group_value){.state_ms = -1};
    if ((rc = get_text(&s, flexible, false, &v->protocol_type, e)) ||
        (rc = slice_i32(&s, &v->generation, e)) || (rc = get_text(&s, flexible, true, &unused, e)) ||
        (rc = get_text(&s, flexible, true, &unused, e)) ||
        (version >= VALUE_WITH_TIME && (rc = slice_i64(&s, &v->state_ms, e))))
        return rc;
    rc = flexible ? slice_uvarint(&s, &members, e) : slice_i32(&s, &v->members, e);
    if (rc)
        return rc;
    if (v->members < 0 || (uint64_t)v->members > slice_left(&s) || members > slice_left(&s) + 1)
        return err_set(e, ERR_CORRUPT, "a group has more members than %zu bytes can hold", slice_left(&s));
    if (members > 0)
        v->members = (int32_t)(members - 1);
    return ERR_OK;
}
