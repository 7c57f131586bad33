/*
 * internal: what the handlers of core/http share. Not for other layers.
 */
#ifndef LEAT_HTTP_INTERNAL_H
#define LEAT_HTTP_INTERNAL_H

#include <jansson.h>
#include <stdatomic.h>

#include "http/api.h"
#include "http/json_bytes.h"

#define API_ARGS_MAX 4
#define API_QUERY_MAX 16

struct api {
    struct api_options o;
    _Atomic bool interrupted;
};

struct api_query {
    char *name, *value;
};

/* One request on its way through a handler. */
struct call {
    struct api *api;
    const struct api_request *request;
    struct api_response *response;
    char *args[API_ARGS_MAX]; /* decoded path segments that stood for {} */
    struct api_query query[API_QUERY_MAX];
    size_t query_count;
    struct buf details; /* further lines of an error's message */
};

/* Handlers answer ERR_OK after filling in the response, or an error that becomes the answer. */
typedef int api_handler(struct call *c, struct err *e);

const char *call_query(const struct call *c, const char *name); /* NULL: not given */
/* Whole decimal number in [min, max]; `fallback` if not given. */
int call_query_int(const struct call *c, const char *name, int64_t fallback, int64_t min, int64_t max,
                   int64_t *out, struct err *e);
/* The same for a parameter without which nothing can be done. */
int call_query_needed_int(const struct call *c, const char *name, int64_t min, int64_t max, int64_t *out,
                          struct err *e);
/* json_loadb that tells ERR_INVALID with what is wrong from ERR_NO_MEMORY. */
int call_json(const void *text, size_t n, size_t flags, json_t **out, struct err *e);
/* The body as a JSON object. */
int call_body(const struct call *c, json_t **object, struct err *e);
/* Writes `json` as the answer and gives up the reference. NULL is out of memory. */
int call_reply(struct call *c, json_t *json, struct err *e);
int call_reply_empty(struct call *c);
/* ERR_BUSY with a text that says that a running hub is needed. */
int call_need_worker(const struct call *c, struct err *e);

/* An error as answer. The status comes from its code unless it is already set. `details` may be NULL. */
void api_answer_error(struct api_response *r, const struct err *e, const struct buf *details);

api_handler api_health, api_status, api_metrics, api_reload, api_plan, api_restart, api_pause, api_resume;
api_handler api_signal;
json_t *task_rows_json(const struct task_status *t); /* {kind: {name: {...}}}; NULL: out of memory */
api_handler api_topics_list, api_topic_get, api_topic_create, api_topic_delete, api_topic_alter,
    api_records_delete, api_records_delete_many;
api_handler api_records_read, api_records_write, api_offset_for;
api_handler api_groups_list, api_group_get, api_group_reset, api_group_delete;
api_handler api_txns_list;

/* ---- group_members.c. `groups` may be NULL: then nothing is known of members ---- */

/* Adds state, type, protocol_type, assignor, generation and members. ERR_UNKNOWN_GROUP: nobody joined one of this name. */
int group_members_json(struct groups *groups, const char *group, json_t *into, struct err *e);
/* The same as the client of a cluster has it; `members_untold` says why members are null. */
int cluster_members_json(const struct client_members *m, json_t *into, struct err *e);
int group_names_json(struct groups *groups, json_t *names, struct err *e); /* a member of `names` for each */
int group_refuse_members(struct groups *groups, const char *group,
                         struct err *e); /* ERR_BUSY if it has some */

#endif
