/*
 * kit/filer: see filer.h. Compressors of completed files are kept for the next ones. Task thread only.
 */
#include "kit/filer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

#define SPARE_MAX 4
#define SCRATCH_KEEP (1u << 20) /* a record that was larger does not stay in memory */

struct stream {
    struct filer_file file;
    struct filer *filer;
    void *handle;
    struct compressor *compressor;
    char *encoded, *extension;
    size_t encoded_n;
};

/* A topic-partition. */
struct part {
    char *topic, *mark;
    int32_t partition;
    int64_t skip_below; /* stored by an earlier life */
    int64_t next;       /* behind the last record seen; -1: none */
    int64_t stored;
    struct rotation rotation;
    struct stream **open;
    size_t open_n, open_cap;
    struct stream *last; /* of the record before */
};

struct filer {
    struct encoder *encoder;
    struct partitioner *partitioner;
    struct zone *schedule_zone;
    struct rotation_config rotation;
    enum compress_codec codec;
    int level;
    char *extension, *tombstone;
    bool keys_of_nulls, time_based;
    int64_t open_files_max, open_files_task_max;
    bool complete_on_stop;
    int64_t (*now_ms)(void);
    const struct record_view *view;
    const struct filer_target *target;
    void *arg;
    struct map *index; /* part by topic and number */
    struct part **parts;
    size_t part_n, part_cap;
    struct compressor *spare[SPARE_MAX];
    size_t spare_n;
    struct buf scratch;
    const struct filer_file **files; /* of a round */
    void **handles;
    size_t round_cap;
    struct filer_stats stats;
};

/* ---- set-up
 * ------------------------------------------------------------------------------------------------- */

static int set_texts(struct filer *f, const struct filer_config *c, struct err *e)
{
    const char *codec = compress_extension(c->codec), *format = encode_extension(c->encode.format);
    f->extension = mem_printf("%s%s", c->extension ? c->extension : format, codec);
    if (!f->extension)
        return err_nomem(e);
    f->keys_of_nulls = c->tombstone_partition && c->encode.nulls == ENCODE_NULLS_WRITE;
    f->tombstone = mem_strdup(f->keys_of_nulls ? c->tombstone_partition : "");
    return f->tombstone ? ERR_OK : err_nomem(e);
}

static int set_all(struct filer *f, const struct filer_config *c, struct err *e)
{
    int rc = set_texts(f, c, e);
    if (rc == ERR_OK)
        rc = encoder_new(&c->encode, f->view, &f->encoder, e);
    if (rc == ERR_OK)
        rc = partitioner_new(&c->partitioner, f->view, &f->partitioner, e);
    if (rc == ERR_OK)
        rc = zone_load(c->schedule_timezone && *c->schedule_timezone ? c->schedule_timezone : "UTC",
                       &f->schedule_zone, e);
    if (rc != ERR_OK)
        return rc;
    f->rotation.zone = f->schedule_zone;
    f->time_based = partitioner_is_time_based(f->partitioner);
    if (f->rotation.interval_ms > 0 && !f->time_based)
        return err_set(e, ERR_INVALID_CONFIG, "rotate.interval.ms: needs a time-based partitioner");
    /* Tried here, so that a wrong level is found before the first record. */
    return compressor_new(f->codec, f->level, NULL, NULL, &f->spare[f->spare_n++], e);
}

int filer_new(const struct filer_config *c, const struct record_view *view, const struct filer_target *target,
              void *arg, struct filer **out, struct err *e)
{
    *out = NULL;
    struct filer *f = mem_calloc(1, sizeof(*f));
    if (!f)
        return err_nomem(e);
    f->view = view;
    f->target = target;
    f->arg = arg;
    f->codec = c->codec;
    f->level = c->level;
    f->rotation = c->rotation;
    f->open_files_max = c->open_files_max;
    f->open_files_task_max = c->open_files_task_max;
    f->complete_on_stop = c->complete_on_stop;
    f->now_ms = c->now_ms ? c->now_ms : clock_wall_ms;
    buf_init(&f->scratch, ENCODE_RECORD_MAX);
    f->index = map_new();
    int rc = f->index ? set_all(f, c, e) : err_nomem(e);
    if (rc != ERR_OK) {
        filer_free(f);
        return rc;
    }
    *out = f;
    return ERR_OK;
}

static void stream_free(struct stream *s)
{
    if (s->compressor) {
        if (s->filer->spare_n < SPARE_MAX)
            s->filer->spare[s->filer->spare_n++] = s->compressor;
        else
            compressor_free(s->compressor);
    }
    mem_free(s->encoded);
    mem_free(s->extension);
    mem_free(s);
}

static void part_free(struct filer *f, struct part *p)
{
    for (size_t i = 0; i < p->open_n; i++) {
        if (p->open[i]->handle)
            f->target->drop(f->arg, p->open[i]->handle);
        stream_free(p->open[i]);
    }
    mem_free(p->open);
    mem_free(p->topic);
    mem_free(p->mark);
    mem_free(p);
}

void filer_free(struct filer *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->part_n; i++)
        part_free(f, f->parts[i]);
    mem_free(f->parts);
    if (f->index)
        map_free(f->index, NULL);
    for (size_t i = 0; i < f->spare_n; i++)
        compressor_free(f->spare[i]);
    encoder_free(f->encoder);
    partitioner_free(f->partitioner);
    zone_free(f->schedule_zone);
    buf_free(&f->scratch);
    mem_free(f->extension);
    mem_free(f->tombstone);
    mem_free(f->files);
    mem_free(f->handles);
    mem_free(f);
}

/* ---- topic-partitions
 * --------------------------------------------------------------------------------------- */

#define PART_KEY_MAX 512

static int part_key(const char *topic, int32_t partition, char key[PART_KEY_MAX], size_t *n, struct err *e)
{
    size_t topic_n = strlen(topic);
    if (topic_n > PART_KEY_MAX - sizeof(partition))
        return err_set(e, ERR_INVALID_TOPIC, "topic name of %zu bytes", topic_n);
    memcpy(key, &partition, sizeof(partition));
    memcpy(key + sizeof(partition), topic, topic_n);
    *n = topic_n + sizeof(partition);
    return ERR_OK;
}

static int part_find(const struct filer *f, const char *topic, int32_t partition, struct part **out,
                     struct err *e)
{
    char key[PART_KEY_MAX];
    size_t n;
    int rc = part_key(topic, partition, key, &n, e);
    if (rc != ERR_OK)
        return rc;
    *out = map_get(f->index, key, n);
    return *out ? ERR_OK : err_set(e, ERR_UNKNOWN_TOPIC, "%s-%d is not assigned", topic, (int)partition);
}

/* Room for one more pointer in a growing array. */
static int grow(void **array, size_t n, size_t *cap, struct err *e)
{
    if (n < *cap)
        return ERR_OK;
    size_t more = *cap ? *cap * 2 : 8;
    void *bigger = mem_realloc_array(*array, more, sizeof(void *));
    if (!bigger)
        return err_nomem(e);
    *array = bigger;
    *cap = more;
    return ERR_OK;
}

const char *kit_topic_id(const struct leat_host *h, struct leat_task *t, const char *topic)
{
    bool tells = h->struct_size >= offsetof(struct leat_host, topic_id) + sizeof(h->topic_id);
    return tells && h->topic_id ? h->topic_id(t, topic) : NULL;
}

void kit_topic_mark(const char *id, char mark[KIT_MARK_SIZE])
{
    snprintf(mark, KIT_MARK_SIZE, ".%08" PRIx32, (uint32_t)hash64(id, strlen(id)));
}

int filer_assign(struct filer *f, const char *topic, int32_t partition, int64_t next, const char *mark,
                 struct err *e)
{
    char key[PART_KEY_MAX];
    size_t n;
    int rc = part_key(topic, partition, key, &n, e);
    if (rc == ERR_OK)
        rc = grow((void **)&f->parts, f->part_n, &f->part_cap, e);
    if (rc != ERR_OK)
        return rc;
    struct part *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return err_nomem(e);
    p->partition = partition;
    p->skip_below = p->next = p->stored = next;
    rotation_init(&p->rotation, &f->rotation);
    p->topic = mem_strdup(topic);
    p->mark = mem_strdup(mark);
    rc = p->topic && p->mark ? map_put(f->index, key, n, p, e) : err_nomem(e);
    if (rc != ERR_OK) {
        part_free(f, p);
        return rc;
    }
    f->parts[f->part_n++] = p;
    return ERR_OK;
}

/* ---- completing
 * --------------------------------------------------------------------------------------------- */

static int round_reserve(struct filer *f, size_t n, struct err *e)
{
    if (n <= f->round_cap)
        return ERR_OK;
    const struct filer_file **files = mem_realloc_array(f->files, n, sizeof(*files));
    if (!files)
        return err_nomem(e);
    f->files = files;
    void **handles = mem_realloc_array(f->handles, n, sizeof(*handles));
    if (!handles)
        return err_nomem(e);
    f->handles = handles;
    f->round_cap = n;
    return ERR_OK;
}

static void round_done(struct filer *f, struct part *p)
{
    for (size_t i = 0; i < p->open_n; i++) {
        struct stream *s = p->open[i];
        f->stats.files++;
        f->stats.records += (uint64_t)s->file.records;
        f->stats.bytes_in += s->file.bytes_in;
        f->stats.bytes_out += s->file.bytes_out;
        f->stats.open--;
        stream_free(s);
    }
    p->open_n = 0;
    p->last = NULL;
    p->stored = p->next;
    rotation_reset(&p->rotation);
}

/* Completes all open files of the topic-partition. */
static int complete(struct filer *f, struct part *p, struct err *e)
{
    if (p->open_n == 0)
        return ERR_OK;
    int rc = round_reserve(f, p->open_n, e);
    for (size_t i = 0; i < p->open_n && rc == ERR_OK; i++) {
        struct stream *s = p->open[i];
        rc = compressor_finish(s->compressor, e);
        s->file.bytes_in = compressor_bytes_in(s->compressor);
        s->file.bytes_out = compressor_bytes_out(s->compressor);
        f->files[i] = &s->file;
        f->handles[i] = s->handle;
    }
    if (rc != ERR_OK)
        return rc;
    struct filer_round round = {.topic = p->topic,
                                .partition = p->partition,
                                .next = p->next,
                                .count = p->open_n,
                                .files = f->files,
                                .handles = f->handles};
    rc = f->target->commit(f->arg, &round, e);
    if (rc == ERR_OK)
        round_done(f, p);
    return rc;
}

/* ---- open files
 * --------------------------------------------------------------------------------------------- */

static int stream_write(void *arg, const void *data, size_t n, struct err *e)
{
    struct stream *s = arg;
    return s->filer->target->write(s->filer->arg, s->handle, data, n, e);
}

static int stream_compressor(struct filer *f, struct stream *s, struct err *e)
{
    if (f->spare_n == 0)
        return compressor_new(f->codec, f->level, stream_write, s, &s->compressor, e);
    s->compressor = f->spare[--f->spare_n];
    compressor_reset(s->compressor, stream_write, s);
    return ERR_OK;
}

static int stream_set_up(struct filer *f, struct stream *s, const char *encoded, size_t n, bool keys,
                         struct err *e)
{
    s->encoded = mem_strndup(encoded, n);
    s->encoded_n = n;
    s->extension = mem_printf("%s%s%s", s->file.mark, keys ? ".keys" : "", f->extension);
    if (!s->encoded || !s->extension)
        return err_nomem(e);
    int rc = stream_compressor(f, s, e);
    if (rc != ERR_OK)
        return rc;
    s->file.encoded_partition = s->encoded;
    s->file.extension = s->extension;
    rc = f->target->open(f->arg, &s->file, &s->handle, e);
    if (rc != ERR_OK || keys)
        return rc;
    struct buf head;
    buf_init(&head, ENCODE_RECORD_MAX);
    rc = encoder_begin(f->encoder, &head, e);
    if (rc == ERR_OK)
        rc = compressor_write(s->compressor, head.data, head.len, e);
    buf_free(&head);
    return rc;
}

static int stream_open(struct filer *f, struct part *p, const struct leat_record *r, const char *encoded,
                       size_t n, int64_t time_ms, bool keys, struct stream **out, struct err *e)
{
    int rc = grow((void **)&p->open, p->open_n, &p->open_cap, e);
    if (rc != ERR_OK)
        return rc;
    struct stream *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return err_nomem(e);
    s->filer = f;
    s->file.topic = p->topic;
    s->file.partition = p->partition;
    s->file.mark = p->mark;
    s->file.start_offset = r->offset;
    s->file.time_ms = time_ms;
    rc = stream_set_up(f, s, encoded, n, keys, e);
    if (rc != ERR_OK) {
        if (s->handle)
            f->target->drop(f->arg, s->handle);
        stream_free(s);
        return rc;
    }
    p->open[p->open_n++] = s;
    f->stats.open++;
    *out = s;
    return ERR_OK;
}

static bool is_of(const struct stream *s, const char *encoded, size_t n)
{
    return s->encoded_n == n && memcmp(s->encoded, encoded, n) == 0;
}

static struct stream *stream_find(const struct part *p, const char *encoded, size_t n)
{
    if (p->last && is_of(p->last, encoded, n))
        return p->last;
    for (size_t i = 0; i < p->open_n; i++) {
        if (is_of(p->open[i], encoded, n))
            return p->open[i];
    }
    return NULL;
}

/* Completes what has to be complete before the topic-partition may open one more file. */
static int make_room(struct filer *f, struct part *p, struct err *e)
{
    if (f->open_files_max > 0 && (int64_t)p->open_n >= f->open_files_max)
        return complete(f, p, e);
    if (f->open_files_task_max <= 0 || (int64_t)f->stats.open < f->open_files_task_max)
        return ERR_OK;
    struct part *most = p;
    for (size_t i = 0; i < f->part_n; i++) {
        if (f->parts[i]->open_n > most->open_n)
            most = f->parts[i];
    }
    return complete(f, most, e);
}

/* ---- records
 * ------------------------------------------------------------------------------------------------ */

/* Into f->scratch. ERR_END: nothing to write. */
static int encode(struct filer *f, const struct leat_record *r, bool keys, struct err *e)
{
    if (f->scratch.cap > SCRATCH_KEEP)
        buf_free(&f->scratch);
    buf_reset(&f->scratch);
    return keys ? encoder_key(f->encoder, r, &f->scratch, e) : encoder_record(f->encoder, r, &f->scratch, e);
}

static int put_one(struct filer *f, struct part *p, const struct leat_record *r, int64_t now_ms,
                   struct err *e)
{
    bool keys = f->keys_of_nulls && record_value_is_null(f->view, r);
    int rc = encode(f, r, keys, e);
    if (rc != ERR_OK)
        return rc == ERR_END ? ERR_OK : rc;
    const char *encoded = f->tombstone;
    size_t n = strlen(f->tombstone);
    if (!keys) {
        rc = partitioner_encode(f->partitioner, r, now_ms, &encoded, &n, e);
        if (rc != ERR_OK)
            return rc;
    }
    /* Only then does rotation go by it. A file's name may need the time in any case, see below. */
    int64_t time_ms = f->time_based && !keys ? partitioner_last_time(f->partitioner) : r->timestamp;
    struct stream *s = stream_find(p, encoded, n);
    bool changed = p->last && s != p->last;
    if (rotation_before(&p->rotation, time_ms, changed, now_ms)) {
        rc = complete(f, p, e);
        s = NULL;
    }
    if (rc == ERR_OK && !s) {
        rc = make_room(f, p, e);
        if (rc == ERR_OK && !f->time_based && !keys)
            rc = partitioner_time(f->partitioner, r, now_ms, &time_ms, e);
        if (rc == ERR_OK)
            rc = stream_open(f, p, r, encoded, n, time_ms, keys, &s, e);
    }
    if (rc == ERR_OK)
        rc = compressor_write(s->compressor, f->scratch.data, f->scratch.len, e);
    if (rc != ERR_OK)
        return rc;
    p->last = s;
    p->next = r->offset + 1;
    s->file.last_offset = r->offset;
    s->file.records++;
    bool full = rotation_add(&p->rotation, time_ms, (int64_t)compressor_bytes_in(s->compressor), now_ms);
    return full ? complete(f, p, e) : ERR_OK;
}

int filer_put(struct filer *f, const struct leat_record *records, size_t n, struct err *e)
{
    if (n == 0)
        return ERR_OK;
    struct part *p;
    int rc = part_find(f, records[0].topic, records[0].partition, &p, e);
    int64_t now_ms = f->now_ms();
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        const struct leat_record *r = &records[i];
        if (r->offset < p->skip_below)
            continue;
        if (r->offset < p->next)
            return err_set(e, ERR_INVALID, "%s-%d: offset %" PRId64 " came after %" PRId64, p->topic,
                           (int)p->partition, r->offset, p->next - 1);
        rc = put_one(f, p, r, now_ms, e);
        if (rc == ERR_OK)
            p->next = r->offset + 1;
    }
    return rc;
}

int filer_flush(struct filer *f, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms,
                struct err *e)
{
    *next_ms = -1;
    int64_t now_ms = f->now_ms();
    for (size_t i = 0; i < n; i++) {
        struct part *p;
        int rc = part_find(f, assigned[i].topic, assigned[i].partition, &p, e);
        if (rc == ERR_OK && (rotation_due(&p->rotation, now_ms) || (final && f->complete_on_stop)))
            rc = complete(f, p, e);
        if (rc != ERR_OK)
            return rc;
        if (p->open_n == 0)
            p->stored = p->next;
        if (p->stored >= 0)
            assigned[i].offset = p->stored;
        int64_t wait = rotation_wait_ms(&p->rotation, now_ms);
        if (wait >= 0 && (*next_ms < 0 || wait < *next_ms))
            *next_ms = wait;
    }
    return ERR_OK;
}

bool filer_is_deterministic(const struct filer *f)
{
    return f->rotation.schedule_ms <= 0 && f->open_files_task_max <= 0 && !f->complete_on_stop &&
           partitioner_is_deterministic(f->partitioner);
}

const char *filer_extension(const struct filer *f)
{
    return f->extension;
}

const struct zone *filer_zone(const struct filer *f)
{
    return partitioner_zone(f->partitioner);
}

struct filer_stats filer_stats(const struct filer *f)
{
    return f->stats;
}
