/*
 * request: one request from its bytes to its answer. Which thread: request_begin and request_free the loop's, the others that of the
 * handler.
 */
#include <string.h>

#include "base/mem.h"
#include "server/internal.h"

#define SPARE_MAX 64
#define FIRST_BYTES ((size_t)2048) /* of a request's arena: thousands of fetches may wait at a time */
#define LENGTH_BYTES 4

static void is_done(struct post *p)
{
    struct request *c = (struct request *)((char *)p - offsetof(struct request, done));
    struct conn *conn = c->conn;
    if (c->answer != NULL)
        c->answer(c);
    c->ready = true;
    conn_flush_later(conn);
}

static void rings(struct post *p)
{
    struct request *c = (struct request *)((char *)p - offsetof(struct request, bell));
    atomic_store(&c->rung, false);
    if (c->gone)
        request_free(c);
    else if (c->parked)
        fetch_wake(c, false);
}

struct request *request_new(struct conn *conn, uint8_t *bytes, size_t size)
{
    struct loop *l = conn->loop;
    struct request *c = l->spare;
    if (c != NULL) {
        l->spare = c->next;
        l->spare_count--;
    } else if ((c = mem_calloc(1, sizeof *c)) != NULL) {
        arena_init(&c->arena, REQUEST_ARENA_MAX, NULL);
        c->arena.first = FIRST_BYTES;
        buf_init(&c->out, REPLY_MAX);
    } else {
        return NULL;
    }
    struct arena arena = c->arena;
    struct buf out = c->out;
    *c = (struct request){.conn = conn,
                          .loop = l,
                          .server = l->server,
                          .bytes = bytes,
                          .size = size,
                          .arena = arena,
                          .out = out,
                          .done.run = is_done,
                          .bell.run = rings,
                          .heap_index = SIZE_MAX};
    return c;
}

void request_let_go(struct request *c)
{
    if (c->bytes == NULL)
        return;
    mem_free(c->bytes);
    budget_give(c->server, c->size);
    c->bytes = NULL;
}

void request_free(struct request *c)
{
    struct loop *l = c->loop;
    request_let_go(c);
    for (size_t i = 0; i < c->file_count; i++)
        log_range_release(&c->files[i].range);
    c->file_count = 0;
    if (atomic_load(&c->rung)) { /* the loop will see it once more */
        c->gone = true;
        return;
    }
    arena_reset(&c->arena);
    if (c->out.cap > SCRATCH_BYTES) {
        buf_free(&c->out);
        buf_init(&c->out, REPLY_MAX);
    }
    buf_reset(&c->out);
    if (l->spare_count < SPARE_MAX) {
        c->next = l->spare;
        l->spare = c;
        l->spare_count++;
        return;
    }
    arena_free(&c->arena);
    buf_free(&c->out);
    mem_free(c);
}

/* A version of ApiVersions that we do not know is answered, in version 0, so that the client can choose one (KIP-511). */
static int refuse_version(struct request *c, struct err *e)
{
    const struct handler *h = handler_find(c->header.key);
    if (h != NULL && h->key == MSG_KEY_api_versions) {
        c->handler = h;
        c->header.api = msg_api_find(h->key);
        c->header.version = 0;
        struct msg_api_versions_response r;
        msg_init(&msg_schema_api_versions_response, &r);
        struct msg_api_versions_response_api_version only = {
            .api_key = h->key, .min_version = h->min, .max_version = h->max};
        r.error_code = err_kafka(ERR_UNSUPPORTED);
        r.api_keys.items = &only;
        r.api_keys.count = 1;
        request_reply(c, &r);
        return ERR_OK;
    }
    const struct msg_api *api = msg_api_find(c->header.key);
    return err_set(e, ERR_UNSUPPORTED, "request %s (%d) version %d is not supported",
                   api != NULL ? api->name : "of a key", c->header.key, c->header.version);
}

/* It becomes part of members' ids. */
static int own_client_id(struct request *c, struct err *e)
{
    struct msg_bytes id = {(const uint8_t *)c->header.client_id.p, c->header.client_id.n};
    int rc = msg_hide_nuls(&c->arena, &id, e);
    c->header.client_id = (struct msg_string){(const char *)id.p, id.n};
    return rc;
}

int request_begin(struct request *c, struct err *e)
{
    struct slice in = slice_of(c->bytes, c->size);
    int rc = msg_request_header_decode(&in, &c->header, e);
    if (rc == ERR_OK)
        rc = own_client_id(c, e);
    if (rc != ERR_OK)
        return rc;
    const struct msg_api *api = c->header.api;
    c->handler = handler_find(c->header.key);
    if (api == NULL || c->handler == NULL || c->header.version < c->handler->accept ||
        c->header.version > c->handler->max)
        return refuse_version(c, e);
    c->asked = arena_alloc(&c->arena, api->request->size);
    if (c->asked == NULL)
        return err_nomem(e);
    return msg_decode(api->request, c->header.version, &in, &c->arena, c->asked, e);
}

static void finish(struct request *c, enum request_outcome outcome)
{
    struct loop *l = c->loop;
    c->outcome = outcome;
    if (pthread_equal(pthread_self(), l->self))
        c->ready = true; /* the loop flushes when the handler comes back */
    else
        loop_post(l, &c->done);
}

void request_reply_files(struct request *c, const void *response, struct reply_file *files, size_t n)
{
    const struct msg_api *api = c->header.api;
    struct err e;
    size_t *marks = arena_alloc(&c->arena, (n + 1) * sizeof *marks), total = 0;
    c->files = files;
    c->file_count = n;
    buf_reset(&c->out);
    int rc = marks == NULL ? err_nomem(&e) : buf_i32(&c->out, 0, &e);
    if (rc == ERR_OK)
        rc = msg_response_header_encode(api, c->header.version, c->header.correlation, &c->out, &e);
    if (rc == ERR_OK)
        rc = msg_encode_around(api->response, c->header.version, response, &c->out, marks, n, &e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        files[i].at = marks[i];
        total += files[i].bytes;
    }
    if (rc == ERR_OK && c->out.len + total - LENGTH_BYTES > INT32_MAX)
        rc = err_set(&e, ERR_TOO_LARGE, "an answer of %zu bytes", c->out.len + total);
    if (rc != ERR_OK) {
        err_wrap(&e, "answer to %s", api->name);
        request_close(c, &e);
        return;
    }
    put_be32(c->out.data, (uint32_t)(c->out.len + total - LENGTH_BYTES));
    finish(c, REQUEST_ANSWERED);
}

void request_reply(struct request *c, const void *response)
{
    request_reply_files(c, response, NULL, 0);
}

void request_silent(struct request *c)
{
    finish(c, REQUEST_SILENT);
}

void request_close(struct request *c, const struct err *why)
{
    server_complain(c->server, c->conn->peer, why);
    finish(c, REQUEST_CLOSE);
}

void request_answer_later(struct request *c, void (*answer)(struct request *c))
{
    c->answer = answer;
    loop_post(c->loop, &c->done);
}

char *request_string(struct request *c, struct msg_string s)
{
    return arena_dup(&c->arena, s.n > 0 ? s.p : "", s.n > 0 ? (size_t)s.n : 0);
}

void *request_try_alloc(struct request *c, size_t count, size_t size)
{
    void *p = count == 0 || size <= REQUEST_ARENA_MAX / count ? arena_alloc(&c->arena, count * size) : NULL;
    return p != NULL ? memset(p, 0, count * size) : NULL;
}

void *request_alloc(struct request *c, size_t count, size_t size)
{
    struct err e;
    void *p = request_try_alloc(c, count, size);
    if (p != NULL)
        return p;
    err_set(&e, ERR_NO_MEMORY, "no memory to answer %s", c->header.api->name);
    request_close(c, &e);
    return NULL;
}
