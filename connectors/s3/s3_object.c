/*
 * s3_object: what becomes of one file in the store. See s3_object.h.
 */
#include "s3_object.h"

#include <string.h>

#include "base/mem.h"

#define ETAGS_STEP 64

static int make_key(const struct s3_object *o, const struct template_values *name, char **out, struct err *e)
{
    struct buf text;
    int rc;

    *out = NULL;
    buf_init(&text, 64 << 10);
    rc = layout_format(&o->config->settings->layout, name, &text, e);
    if (rc == ERR_OK)
        rc = buf_str(&text, name->extension, e);
    if (rc == ERR_OK && text.len >= S3_KEY_SIZE)
        rc = err_set(e, ERR_TOO_LARGE, "an object's name would have %zu bytes, S3 allows %d: %.*s...",
                     text.len, S3_KEY_SIZE - 1, 200, (const char *)text.data);
    if (rc == ERR_OK && !(*out = mem_strndup((const char *)text.data, text.len)))
        rc = err_nomem(e);
    buf_free(&text);
    return rc;
}

int object_init(struct s3_object *o, const struct s3_target_config *c, const struct filer_file *file,
                struct err *e)
{
    const struct s3_topic *topic = topics_find(c->topics, file->topic);

    o->config = c;
    o->topic_id = topic ? topic->id : "";
    o->topic = mem_strdup(file->topic);
    o->directory = mem_strdup(file->encoded_partition);
    o->extension = mem_strdup(file->extension);
    if (!o->topic || !o->directory || !o->extension)
        return err_nomem(e);
    o->name = (struct template_values){.topic = o->topic,
                                       .partition = file->partition,
                                       .start_offset = file->start_offset,
                                       .encoded_partition = o->directory,
                                       .time_ms = file->time_ms,
                                       .extension = o->extension};
    return make_key(o, &o->name, &o->key, e);
}

void object_free(struct s3_object *o)
{
    mem_free(o->topic);
    mem_free(o->directory);
    mem_free(o->extension);
    mem_free(o->key);
    mem_free(o->upload_id);
    mem_free(o->etags);
}

/* Gives the file the first name behind its own that no object has. */
static int take_free_name(struct s3_object *o, struct err *e)
{
    struct template_values name = o->name;

    for (int i = 0; i < o->config->settings->scan_limit; i++) {
        struct s3_object_info info;
        char *key;
        int rc;

        name.start_offset++;
        if (make_key(o, &name, &key, e))
            return e->code;
        rc = s3_head_object(o->config->api, key, &info, e);
        if (rc == ERR_NOT_FOUND) {
            mem_free(o->key);
            o->key = key;
            o->name = name;
            return ERR_OK;
        }
        mem_free(key);
        if (rc)
            return rc;
    }
    return err_set(e, ERR_EXISTS, "%s/%s and the %d names after it are taken (max.files.scan.limit)",
                   s3_api_where(o->config->api), o->key, o->config->settings->scan_limit);
}

static int begin_upload(struct s3_object *o, bool conditional, struct err *e)
{
    char upload_id[S3_UPLOAD_ID_SIZE];
    int rc = ERR_OK;

    if (conditional) { /* the name is fixed from here on, so look before the data goes up */
        struct s3_object_info info;

        rc = s3_head_object(o->config->api, o->key, &info, e);
        if (rc == ERR_OK)
            rc = take_free_name(o, e);
        else if (rc == ERR_NOT_FOUND)
            rc = ERR_OK;
    }
    if (rc == ERR_OK)
        rc = s3_create_upload(o->config->api, o->key, o->topic_id, upload_id, e);
    if (rc)
        return rc;
    o->upload_id = mem_strdup(upload_id);
    if (o->upload_id)
        return ERR_OK;
    s3_abort_upload(o->config->api, o->key, upload_id, e); /* best effort, what counts is the memory */
    return err_nomem(e);
}

int object_part(struct s3_object *o, struct buf *part, bool conditional, struct err *e)
{
    if (!o->upload_id && begin_upload(o, conditional, e))
        return e->code;
    if (o->parts == S3_PARTS_MAX)
        return err_set(e, ERR_TOO_LARGE,
                       "%s/%s would have more than %d parts: raise s3.part.size and buffer.memory.bytes, or "
                       "rotate earlier",
                       s3_api_where(o->config->api), o->key, S3_PARTS_MAX);
    if (o->parts % ETAGS_STEP == 0) {
        char(*longer)[S3_ETAG_SIZE] = mem_realloc_array(o->etags, o->parts + ETAGS_STEP, sizeof *longer);

        if (!longer)
            return err_nomem(e);
        o->etags = longer;
    }
    if (s3_upload_part(o->config->api, o->key, o->upload_id, (int)o->parts + 1, part->data, part->len,
                       o->etags[o->parts], e))
        return e->code;
    o->parts++;
    o->uploaded += (int64_t)part->len;
    buf_reset(part);
    return ERR_OK;
}

int object_put(struct s3_object *o, const struct buf *whole, bool conditional, struct err *e)
{
    const void *data = whole->data ? (const void *)whole->data : "";
    int rc = s3_put_object(o->config->api, o->key, data, whole->len, o->topic_id, conditional, e);

    /* Another object of that name: ours goes behind it. Between look and put the name may be taken again. */
    for (int i = 0; rc == ERR_EXISTS && conditional && i < o->config->settings->scan_limit; i++) {
        rc = take_free_name(o, e);
        if (rc == ERR_OK)
            rc = s3_put_object(o->config->api, o->key, data, whole->len, o->topic_id, true, e);
    }
    return rc;
}

int object_complete(struct s3_object *o, bool conditional, struct err *e)
{
    int rc = s3_complete_upload(o->config->api, o->key, o->upload_id, o->etags, o->parts, o->uploaded,
                                conditional, e);

    if (rc == ERR_EXISTS) /* taken since begin_upload looked: the next attempt looks again */
        e->retriable = true;
    if (rc == ERR_OK) {
        mem_free(o->upload_id);
        o->upload_id = NULL;
    }
    return rc;
}

int object_abort(struct s3_object *o, struct err *e)
{
    return o->upload_id ? s3_abort_upload(o->config->api, o->key, o->upload_id, e) : ERR_OK;
}
