/*
 * host: the table of functions that plugins call. Thin: each checks what it is given and passes on. All of it
 * runs on the task's own thread.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "connect/converter.h"
#include "connect/source.h"
#include "connect/task.h"
#include "connect/value_json.h"

static void host_log(struct leat_task *t, enum leat_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void host_log(struct leat_task *t, enum leat_log_level level, const char *fmt, ...)
{
    static const enum diag_level levels[] = {DIAG_DEBUG, DIAG_INFO, DIAG_WARN, DIAG_ERROR};
    enum diag_level to = (unsigned)level <= LEAT_ERROR ? levels[level] : DIAG_ERROR;
    bool tells = to == DIAG_WARN && t->tell != NULL;
    if (!tells && !diag_enabled(to))
        return;
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (tells)
        t->tell(t->tell_arg, false, text);
    else
        diag(to, t->label, "%s", text);
}

static void host_problem(struct leat_task *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void host_problem(struct leat_task *t, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    diag_one_line(text);
    if (t->tell != NULL)
        t->tell(t->tell_arg, true, text);
    else
        diag(DIAG_WARN, t->label, "%s", text);
}

static const char *host_task_pipeline(struct leat_task *t)
{
    return t->set->pipeline->name;
}

static const char *host_task_name(struct leat_task *t)
{
    return t->set->config->name;
}

static int host_task_index(struct leat_task *t)
{
    return t->index;
}

static int host_task_count(struct leat_task *t)
{
    return t->set->count;
}

static bool host_stopping(struct leat_task *t)
{
    return atomic_load_explicit(&t->stopping, memory_order_relaxed) || source_failed(t);
}

/* A source's wait is also the time for its commits: it sleeps no longer than until the next of them. */
static int host_wait(struct leat_task *t, int fd, int64_t ms)
{
    struct pollfd fds[3] = {{.fd = t->wake_fd, .events = POLLIN},
                            {.fd = fd, .events = POLLIN},
                            {.fd = t->signals == NULL ? -1 : signals_fd(t->signals), .events = POLLIN}};
    int64_t end = ms < 0 ? INT64_MAX : clock_mono_ns() + (ms > INT32_MAX ? INT32_MAX : ms) * 1000000;
    t->waited = true;
    for (;;) {
        int64_t commit_ms = source_idle(t), now = clock_mono_ns();
        int64_t until = commit_ms < 0 || commit_ms * 1000000 >= end - now ? end : now + commit_ms * 1000000;
        int64_t ns = until > now ? until - now : 0;
        struct timespec left = {ns / 1000000000, ns % 1000000000};
        if (source_failed(t) || source_news(t))
            return 0;
        int n = ppoll(fds, 3, until == INT64_MAX ? NULL : &left, NULL);
        if (n > 0 && fds[2].revents != 0)
            signals_seen(t->signals); /* once: it may wait again all the same */
        if (n > 0 || (n == 0 && until == end) || (n < 0 && errno != EINTR))
            return n > 0 && fds[1].revents != 0 && fds[0].revents == 0;
    }
}

static size_t host_poll_bytes(struct leat_task *t)
{
    (void)t;
    return TASK_POLL_BYTES;
}

static void host_gauge(struct leat_task *t, const char *name, double value)
{
    pthread_mutex_lock(&t->lock);
    size_t i = 0;
    while (i < t->gauge_count && strcmp(t->gauges[i].name, name) != 0)
        i++;
    if (i < TASK_MAX_GAUGES) {
        t->gauges[i] = (struct gauge){name, value};
        t->gauge_count += i == t->gauge_count;
    }
    pthread_mutex_unlock(&t->lock);
}

/* ---- schemas and values
 * ------------------------------------------------------------------------------------- */

/* NULL after saying why: the plugin gets NULL, and if it then fails without a reason of its own, ours is
 * shown. */
static struct leat_value *made(struct leat_task *t, struct leat_value *v, const struct err *e)
{
    if (v == NULL)
        task_fail(t, LEAT_FAIL, "%s", e->code == ERR_OK ? "out of memory for values" : e->text);
    return v;
}

static struct leat_value *made_simple(struct leat_task *t, struct leat_value *v)
{
    struct err e;
    err_clear(&e);
    return made(t, v, &e);
}

/* The task of a value, which its functions are not given. */
static int set_result(struct leat_value *v, int rc, const struct err *e)
{
    return rc == ERR_OK ? LEAT_OK : task_fail(v->arena->owner, LEAT_FAIL, "%s", e->text);
}

static int host_schema_add_field(struct leat_schema *s, const char *name, struct leat_schema *field)
{
    struct err e;
    int rc = schema_add_field(s, name, field, &e);
    if (rc != ERR_OK)
        diag_error("connect", "a plugin's schema: %s", e.text);
    return rc == ERR_OK ? LEAT_OK : LEAT_FAIL;
}

static int host_schema_set_parameter(struct leat_schema *s, const char *name, const char *value)
{
    struct err e;
    int rc = schema_set_parameter(s, name, value, &e);
    if (rc != ERR_OK)
        diag_error("connect", "a plugin's schema: %s", e.text);
    return rc == ERR_OK ? LEAT_OK : LEAT_FAIL;
}

static struct leat_value *host_value_null(struct leat_task *t)
{
    return made_simple(t, value_null(&t->arena));
}

static struct leat_value *host_value_bool(struct leat_task *t, bool v)
{
    return made_simple(t, value_bool(&t->arena, v));
}

static struct leat_value *host_value_int(struct leat_task *t, enum leat_type type, int64_t v)
{
    struct err e;
    err_clear(&e);
    return made(t, value_int(&t->arena, type, v, &e), &e);
}

static struct leat_value *host_value_float(struct leat_task *t, enum leat_type type, double v)
{
    struct err e;
    err_clear(&e);
    return made(t, value_float(&t->arena, type, v, &e), &e);
}

static struct leat_value *host_value_string(struct leat_task *t, const char *s, size_t n)
{
    return made_simple(t, value_string(&t->arena, s, n));
}

static struct leat_value *host_value_bytes(struct leat_task *t, const void *p, size_t n)
{
    return made_simple(t, value_bytes(&t->arena, p, n));
}

static struct leat_value *host_value_decimal(struct leat_task *t, const void *unscaled, size_t n,
                                             int32_t scale)
{
    struct err e;
    err_clear(&e);
    return made(t, value_decimal(&t->arena, unscaled, n, scale, &e), &e);
}

static struct leat_value *host_value_array(struct leat_task *t)
{
    return made_simple(t, value_array(&t->arena));
}

static struct leat_value *host_value_map(struct leat_task *t)
{
    return made_simple(t, value_map(&t->arena));
}

static struct leat_value *host_value_struct(struct leat_task *t, struct leat_schema *s)
{
    struct err e;
    err_clear(&e);
    return made(t, value_struct(&t->arena, s, &e), &e);
}

static int host_value_push(struct leat_value *array, struct leat_value *item)
{
    struct err e;
    return set_result(array, value_push(array, item, &e), &e);
}

static int host_value_set(struct leat_value *v, const char *name, size_t name_len, struct leat_value *item)
{
    struct err e;
    return set_result(v, value_set(v, name, name_len, item, &e), &e);
}

static void host_value_with_schema(struct leat_value *v, struct leat_schema *s)
{
    struct err e;
    if (value_with_schema(v, s, &e) != ERR_OK)
        diag_error("connect", "%s: %s", ((struct leat_task *)v->arena->owner)->label, e.text);
}

static enum leat_type host_value_type(const struct leat_value *v)
{
    return v->type;
}

static const struct leat_schema *host_value_schema(const struct leat_value *v)
{
    return v->schema;
}

static int64_t host_value_get_int(const struct leat_value *v)
{
    return value_has_int(v) ? v->i : 0;
}

static double host_value_get_float(const struct leat_value *v)
{
    if (value_has_int(v))
        return (double)v->i;
    return v->type == LEAT_TYPE_FLOAT32 || v->type == LEAT_TYPE_FLOAT64 ? v->d : 0;
}

static const void *host_value_get_bytes(const struct leat_value *v, size_t *n)
{
    *n = value_has_bytes(v) ? v->bytes.n : 0;
    return value_has_bytes(v) ? v->bytes.p : NULL;
}

static struct leat_value *host_value_from_json(struct leat_task *t, const void *json, size_t n)
{
    struct err e;
    err_clear(&e);
    return made(t, value_from_json(&t->arena, json, n, 0, &e), &e);
}

static const char *host_value_to_json(struct leat_task *t, const struct leat_value *v, size_t *n)
{
    struct err e;
    *n = 0;
    buf_reset(&t->text);
    if (value_to_json(v, &t->text, &e) != ERR_OK) {
        task_fail(t, LEAT_FAIL, "%s", e.text);
        return NULL;
    }
    const char *text = arena_dup(&t->arena, t->text.data, t->text.len);
    if (text == NULL) {
        task_fail(t, LEAT_FAIL, "out of memory for %zu bytes of JSON", t->text.len);
        return NULL;
    }
    *n = t->text.len;
    return text;
}

static const struct leat_value *host_record_value(struct leat_task *t, const struct leat_record *r)
{
    if (r->value_value != NULL)
        return r->value_value;
    struct err e;
    err_clear(&e);
    struct leat_value *v =
        converter_read(t->set->config->value_converter, &t->arena, r->value, r->value_len, &e);
    if (v == NULL)
        task_fail(t, LEAT_FAIL, "the value at %s-%d offset %lld, by the %s converter: %s",
                  r->topic == NULL ? "?" : r->topic, r->partition, (long long)r->offset,
                  converter_name(t->set->config->value_converter), e.text);
    return v;
}

static enum leat_converter host_converter(struct leat_task *t, bool key)
{
    static const enum leat_converter from[] = {[CONVERTER_BYTES] = LEAT_CONVERTER_BYTES,
                                               [CONVERTER_STRING] = LEAT_CONVERTER_STRING,
                                               [CONVERTER_JSON] = LEAT_CONVERTER_JSON};
    return from[key ? t->set->config->key_converter : t->set->config->value_converter];
}

static bool host_schemas_enabled(struct leat_task *t, bool key)
{
    const struct connector_config *c = t->set->config;
    return key ? c->key_schemas : c->value_schemas;
}

/* Asks the group, so that what is told is what a restart would find. */
static int host_committed(struct leat_task *t, const char *topic, int32_t partition, int64_t *offset)
{
    struct err e;
    struct group_info group;
    *offset = -1;
    char *name = mem_printf("connect-%s", t->set->config->name);
    int rc = name != NULL ? client_group(t->set->client, name, &group, &e) : err_nomem(&e);
    mem_free(name);
    if (rc == ERR_UNKNOWN_GROUP)
        return LEAT_OK;
    if (rc != ERR_OK)
        return task_fail_err(t, &e);
    for (size_t i = 0; i < group.count; i++) {
        if (group.offsets[i].partition == partition && strcmp(group.offsets[i].topic, topic) == 0)
            *offset = group.offsets[i].offset;
    }
    group_info_free(&group);
    return LEAT_OK;
}

static const char *host_topic_id(struct leat_task *t, const char *topic)
{
    struct err e;
    struct topic_info info;
    if (client_topic(t->set->client, topic, &info, &e) != ERR_OK)
        return NULL;
    uuid_text(&info.id, t->topic_id);
    topic_info_free(&info);
    return t->topic_id;
}

const struct leat_host task_host = {
    .abi_version = LEAT_ABI_VERSION,
    .struct_size = sizeof(struct leat_host),
    .version = LEAT_VERSION,
    .log = host_log,
    .fail = task_fail,
    .get_str = options_str,
    .get_int = options_int,
    .get_double = options_double,
    .get_bool = options_bool,
    .get_list = options_list,
    .is_set = options_is_set,
    .task_pipeline = host_task_pipeline,
    .task_name = host_task_name,
    .task_index = host_task_index,
    .task_count = host_task_count,
    .stopping = host_stopping,
    .wait = host_wait,
    .emit = source_emit,
    .set_position = source_set_position,
    .get_position = source_get_position,
    .next_position = source_next_position,
    .poll_bytes = host_poll_bytes,
    .gauge = host_gauge,
    .schema_new = schema_new,
    .schema_array = schema_array,
    .schema_map = schema_map,
    .schema_add_field = host_schema_add_field,
    .schema_set_parameter = host_schema_set_parameter,
    .schema_ref = schema_ref,
    .schema_unref = schema_unref,
    .value_null = host_value_null,
    .value_bool = host_value_bool,
    .value_int = host_value_int,
    .value_float = host_value_float,
    .value_string = host_value_string,
    .value_bytes = host_value_bytes,
    .value_decimal = host_value_decimal,
    .value_array = host_value_array,
    .value_push = host_value_push,
    .value_map = host_value_map,
    .value_struct = host_value_struct,
    .value_set = host_value_set,
    .value_with_schema = host_value_with_schema,
    .value_type = host_value_type,
    .value_schema = host_value_schema,
    .value_get_int = host_value_get_int,
    .value_get_float = host_value_get_float,
    .value_get_bytes = host_value_get_bytes,
    .value_count = value_count,
    .value_at = value_at,
    .value_find = value_find,
    .value_from_json = host_value_from_json,
    .value_to_json = host_value_to_json,
    .record_value = host_record_value,
    .converter = host_converter,
    .committed = host_committed,
    .topic_id = host_topic_id,
    .work_dir = task_work_dir,
    .schemas_enabled = host_schemas_enabled,
    .next_option = options_next,
    .next_signal = source_next_signal,
    .signal_topic = source_signal_topic,
    .status = task_set_row,
    .problem = host_problem,
    .keep_dir = task_keep_dir,
};
