/*
 * pg_snapshot_state: how far a snapshot is, in the store beside its rows: an entry a part,
 *
 *   {"server":"<prefix>","snapshot":"<schema>.<table>"} -> {"done":false,"block":17,"tuple":4,"rows":12000,"xmin":748,"file":16403}
 *
 * block and tuple: the ctid of the last row that is in the store; all before it, as the snapshot had it whose oldest running
 * transaction was `xmin`. file: pg_class.relfilenode, as the blocks of another file are not the same. Forgotten when the
 * snapshot is complete. Task's thread.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "pg_snapshot.h"

#define POSITION_MAX 65536

/* Appends {"server":"..","<space>":"<schema>.<name>"}. */
static int partition_of(struct pg_task *t, const char *space, const struct snap_part *p, struct buf *b,
                        struct err *e)
{
    const char *server = t->host->get_str(t->config, "topic.prefix");
    char *id = mem_printf("%s.%s", p->schema, p->name);
    if (!id)
        return err_nomem(e);
    int rc = buf_str(b, "{\"server\":", e);
    if (rc == ERR_OK)
        rc = buf_json_str(b, server, strlen(server), e);
    if (rc == ERR_OK)
        rc = buf_printf(b, e, ",\"%s\":", space);
    if (rc == ERR_OK)
        rc = buf_json_str(b, id, strlen(id), e);
    if (rc == ERR_OK)
        rc = buf_append(b, "}", 2, e); /* with the NUL */
    mem_free(id);
    return rc;
}

static int parse(const char *offset, uint32_t file, struct snap_part *p)
{
    json_int_t block, tuple, rows, xmin, stored_file;
    int done;
    json_t *j = json_loads(offset, 0, NULL);
    int bad = !j || json_unpack(j, "{s:b,s:I,s:I,s:I,s:I,s:I}", "done", &done, "block", &block, "tuple",
                                &tuple, "rows", &rows, "xmin", &xmin, "file", &stored_file);
    json_decref(j);
    if (bad || block < 0 || block > UINT32_MAX || tuple < 0 || tuple > UINT16_MAX || rows < 0 || xmin < 0)
        return ERR_CORRUPT;
    p->done = done != 0;
    /* Rewritten since, or not read by blocks: from its beginning. */
    if (!p->done && ((uint32_t)stored_file != file || !tuple))
        return ERR_OK;
    p->rows = (uint64_t)rows;
    p->block = (uint32_t)block;
    p->tuple = (uint32_t)tuple;
    p->xmin = (uint64_t)xmin;
    return ERR_OK;
}

int snap_state_load(struct pg_snapshot *s, struct snap_part *p, struct err *e)
{
    struct buf b;
    buf_init(&b, POSITION_MAX);
    int rc = partition_of(s->t, s->space, p, &b, e);
    const char *offset =
        rc == ERR_OK && !s->fresh ? s->t->host->get_position(s->t->task, (const char *)b.data) : NULL;
    if (offset && parse(offset, p->filenode, p) != ERR_OK)
        rc = err_set(e, ERR_CORRUPT, "the stored position %s of table %s.%s is not one of this connector",
                     offset, p->schema, p->name);
    buf_free(&b);
    return rc;
}

int snap_state_set(struct pg_snapshot *s, const struct snap_part *p)
{
    char offset[256];
    struct buf b;
    struct err e;
    buf_init(&b, POSITION_MAX);
    int rc = partition_of(s->t, s->space, p, &b, &e);
    if (rc != ERR_OK) {
        rc = snap_fail(s->t, &e);
    } else {
        snprintf(offset, sizeof offset,
                 "{\"done\":%s,\"block\":%" PRIu32 ",\"tuple\":%" PRIu32 ",\"rows\":%" PRIu64
                 ",\"xmin\":%" PRIu64 ",\"file\":%" PRIu32 "}",
                 p->done ? "true" : "false", p->block, p->tuple, p->rows, p->xmin, p->filenode);
        rc = s->t->host->set_position(s->t->task, (const char *)b.data, offset);
    }
    buf_free(&b);
    return rc;
}

/* Whether the partition is an entry of this server and space. */
static bool is_of(const char *partition, const char *server, const char *space)
{
    json_t *j = json_loads(partition, 0, NULL);
    const char *name = json_string_value(json_object_get(j, "server"));
    bool is = name && strcmp(name, server) == 0 && json_object_get(j, space);
    json_decref(j);
    return is;
}

int snap_state_forget(struct pg_task *t, const char *space)
{
    const char *server = t->host->get_str(t->config, "topic.prefix"), *partition, *offset;
    size_t cursor = 0;
    int rc = LEAT_OK;
    while (rc == LEAT_OK && t->host->next_position(t->task, &cursor, &partition, &offset))
        if (is_of(partition, server, space))
            rc = t->host->set_position(t->task, partition, NULL);
    return rc;
}
