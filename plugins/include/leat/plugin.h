/*
 * leat/plugin.h: the C interface between Leat and its connectors. The only header a plugin needs; a plugin is one
 * shared object that exports one symbol, `leat_plugin`, and imports none of the host: everything that the host
 * offers comes in `struct leat_host`.
 *
 * Versions. LEAT_ABI_VERSION changes when something here changes its meaning; a plugin built for another version is
 * refused. Within a version structs only grow at their end; `struct_size` tells each side what the other knows. Structs
 * of which there are arrays (leat_record, leat_header, leat_offset, leat_option) do not grow.
 *
 * Ownership. Strings and bytes handed to a function are borrowed for the call. What a plugin allocates it frees.
 * Threads. Each task has one thread; all functions of a task are called on it, one at a time, and may block, but must
 * return soon after leat_host.stopping() turns true; leat_host.wait() returns early then. A plugin's own threads may call
 * stopping() and log() of the host, and must have ended when close returns.
 * Failing. Functions return LEAT_OK or, after host->fail(...), what host->fail returned.
 */
#ifndef LEAT_PLUGIN_H
#define LEAT_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_ABI_VERSION 1u
#define LEAT_PLUGIN_MAGIC 0x4c454154u /* "LEAT" */
#define LEAT_EXPORT __attribute__((visibility("default")))

/* ---- results ------------------------------------------------------------------------------------------------ */

enum leat_result {
    LEAT_OK = 0,
    LEAT_END = 1, /* source: nothing more will ever come (the task completes) */
    LEAT_RETRY =
        2, /* failed, trying again may succeed: the task restarts from its stored position, with backoff */
    LEAT_FAIL = 3, /* failed for good: the task stops alone and stays visible */
};

/* ---- options ------------------------------------------------------------------------------------------------ */

enum leat_option_type {
    LEAT_STRING,
    LEAT_INT, /* 64-bit */
    LEAT_DOUBLE,
    LEAT_BOOL,
    LEAT_LIST,     /* of strings; a comma-separated string is accepted too */
    LEAT_DURATION, /* integer milliseconds, or text such as 500ms, 10s, 5m, 1h, 7d; value in ms */
    LEAT_SIZE,     /* integer bytes, or text such as 64KiB, 5MiB, 1GiB; value in bytes */
    LEAT_CHOICE,   /* one of `choices` */
};

enum leat_importance { LEAT_HIGH, LEAT_MEDIUM, LEAT_LOW };

#define LEAT_REQUIRED 0x1u /* no default; must be given */
#define LEAT_SECRET 0x2u   /* never printed */
#define LEAT_ACCEPTED 0x4u /* known from Kafka Connect, accepted and without effect here; doc says why */
/* For finding pipelines that would feed themselves. STRING or LIST. */
#define LEAT_READS_PATH 0x8u /* a path or glob (also with **) that a source reads */
#define LEAT_WRITES_PATH                                                                                     \
    0x10u /* a directory below which a sink writes; a part with { $ % or * stands for any name */
#define LEAT_WRITES_FILE 0x20u /* one file that a sink writes; likewise */

/*
 * One row an option; validation, help, completion, JSON Schema and docs all come from it. A * in the name stands for one or
 * more characters: the row is for all keys of that form (column.truncate.to.*.chars), which next_option lists. Where several
 * match, the one with the most fixed characters counts.
 */
struct leat_option {
    const char *name; /* Kafka Connect's name where there is one */
    enum leat_option_type type;
    const char *default_value; /* text as in YAML; NULL: none */
    int64_t min, max;          /* of numbers, durations, sizes; both 0: unbounded */
    const char *choices;       /* "a|b|c" for LEAT_CHOICE */
    uint32_t flags;
    enum leat_importance importance;
    const char *doc;     /* one or more sentences */
    const char *example; /* NULL or text as in YAML */
};

/* Opaque: the checked options of one task. Read with host->get_*. */
struct leat_config;

/* ---- values ------------------------------------------------------------------------------------------------- */

/* Kafka Connect's schema types; the logical ones are Connect's (org.apache.kafka.connect.data.*). */
enum leat_type {
    LEAT_TYPE_NULL,
    LEAT_TYPE_BOOLEAN,
    LEAT_TYPE_INT8,
    LEAT_TYPE_INT16,
    LEAT_TYPE_INT32,
    LEAT_TYPE_INT64,
    LEAT_TYPE_FLOAT32,
    LEAT_TYPE_FLOAT64,
    LEAT_TYPE_STRING,
    LEAT_TYPE_BYTES,
    LEAT_TYPE_ARRAY,
    LEAT_TYPE_MAP,
    LEAT_TYPE_STRUCT,
    LEAT_TYPE_DECIMAL,   /* unscaled big-endian two's complement bytes, scale in the schema */
    LEAT_TYPE_DATE,      /* days since 1970 */
    LEAT_TYPE_TIME,      /* ms since midnight */
    LEAT_TYPE_TIMESTAMP, /* ms since 1970, UTC */
};
/* key.converter, value.converter: raw bytes, UTF-8 text, or JSON text without schemas. */
enum leat_converter { LEAT_CONVERTER_BYTES, LEAT_CONVERTER_STRING, LEAT_CONVERTER_JSON };

struct leat_schema; /* immutable, reference-counted by the host */
struct leat_value;  /* a typed value, with or without schema */

/* ---- records ------------------------------------------------------------------------------------------------ */

struct leat_header {
    const char *key;
    size_t key_len;
    const void *value; /* NULL: null */
    size_t value_len;
};

/*
 * `struct_size` is sizeof(struct leat_record), set by whoever fills it in.
 * Key and value are either bytes as they came (`key`, `value`, with lengths) or typed values (`key_value`,
 * `value_value`, which win where not NULL). Bytes NULL and no typed value: null.
 */
struct leat_record {
    uint32_t struct_size;
    int32_t partition; /* source: -1 lets the host choose; sink: where it came from */
    const char *topic; /* source: NULL for the pipeline's topic */
    int64_t offset;    /* sink only */
    int64_t timestamp; /* ms since 1970; source: -1 for now */
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
    const struct leat_value *key_value;
    const struct leat_value *value_value;
    const struct leat_header *headers;
    size_t header_count;
};

/* ---- signals -------------------------------------------------------------------------------------------------- */

/* What somebody asks of a running source: by `leat signal`, HTTP, or a record in a topic of signals. */
struct leat_signal {
    const char *id;   /* made up where none was given */
    const char *type; /* execute-snapshot ...; NULL: there is no signal */
    const char *data; /* text, as a rule a JSON object; NULL: none */
};

/* ---- the host ----------------------------------------------------------------------------------------------- */

enum leat_log_level { LEAT_DEBUG, LEAT_INFO, LEAT_WARN, LEAT_ERROR };

struct leat_task; /* the host's side of a task */

struct leat_host {
    uint32_t abi_version;
    uint32_t struct_size;
    const char *version; /* of Leat */

    /* Diagnostics: one line, prefixed with the task's name. Never log a secret. */
    void (*log)(struct leat_task *t, enum leat_log_level level, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

    /* Says why; returns `result` (LEAT_RETRY or LEAT_FAIL), so that `return host->fail(...)` reads well. */
    int (*fail)(struct leat_task *t, int result, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

    /* Options. The name must be in the table, the type must fit; get_str gives NULL for an option without value. */
    const char *(*get_str)(const struct leat_config *c, const char *name);
    int64_t (*get_int)(const struct leat_config *c,
                       const char *name); /* INT, DURATION, SIZE; CHOICE: its index */
    double (*get_double)(const struct leat_config *c, const char *name);
    bool (*get_bool)(const struct leat_config *c, const char *name);
    size_t (*get_list)(const struct leat_config *c, const char *name, const char *const **items);
    bool (*is_set)(const struct leat_config *c, const char *name); /* given, not the default */

    /* The task: its pipeline, connector name (unique in the hub), index and number of tasks. */
    const char *(*task_pipeline)(struct leat_task *t);
    const char *(*task_name)(struct leat_task *t);
    int (*task_index)(struct leat_task *t);
    int (*task_count)(struct leat_task *t);

    /* True once the task is asked to stop. */
    bool (*stopping)(struct leat_task *t);
    /* Sleeps until `fd` (or -1) is readable, `ms` passed (-1: no limit), or the task is asked to stop. 1: fd ready. */
    int (*wait)(struct leat_task *t, int fd, int64_t ms);

    /*
     * Source: hands over records of this poll; bytes are copied. The host writes them and the positions set in the
     * same poll in one transaction. LEAT_OK, or LEAT_RETRY/LEAT_FAIL to be returned from poll.
     */
    int (*emit)(struct leat_task *t, const struct leat_record *records, size_t n);
    /*
     * Source position, Kafka Connect's source partition and offset: both small JSON objects with string keys and
     * scalar values, as text ({"path":"/a"} and {"offset":42}). `offset` NULL removes the entry.
     */
    int (*set_position)(struct leat_task *t, const char *partition, const char *offset);
    /* The stored position or NULL; valid until the next call on this task. Keys are compared as canonical JSON. */
    const char *(*get_position)(struct leat_task *t, const char *partition);
    /* All stored positions of this connector, one after another: start with *cursor = 0; false at the end. */
    bool (*next_position)(struct leat_task *t, size_t *cursor, const char **partition, const char **offset);

    /* Bytes that poll should emit at most before it returns; the host flushes then. */
    size_t (*poll_bytes)(struct leat_task *t);

    /* Figures for status and /metrics: sets gauge `name` (snake_case, static text) of this task. */
    void (*gauge)(struct leat_task *t, const char *name, double value);

    /* ---- typed values -------------------------------------------------------------------------------------- */

    /*
     * Schemas. Builders return NULL when out of memory. Each result is a reference; schema_unref gives it back. What a
     * schema is built from keeps a reference of its own. Immutable once a value uses it.
     */
    struct leat_schema *(*schema_new)(enum leat_type type, bool optional, const char *name, int version);
    struct leat_schema *(*schema_array)(struct leat_schema *items, bool optional);
    struct leat_schema *(*schema_map)(struct leat_schema *keys, struct leat_schema *values, bool optional);
    int (*schema_add_field)(struct leat_schema *s, const char *name, struct leat_schema *field);
    int (*schema_set_parameter)(struct leat_schema *s, const char *name, const char *value);
    struct leat_schema *(*schema_ref)(struct leat_schema *s);
    void (*schema_unref)(struct leat_schema *s);

    /*
     * Values live until the host has finished the poll, put or call they were made in. NULL: out of memory, or the value
     * does not fit its type; NULL as an item is an error of value_push and value_set, which return LEAT_OK or LEAT_FAIL.
     */
    struct leat_value *(*value_null)(struct leat_task *t);
    struct leat_value *(*value_bool)(struct leat_task *t, bool v);
    struct leat_value *(*value_int)(struct leat_task *t, enum leat_type type,
                                    int64_t v); /* INT*, DATE, TIME, TIMESTAMP */
    struct leat_value *(*value_float)(struct leat_task *t, enum leat_type type, double v);
    struct leat_value *(*value_string)(struct leat_task *t, const char *s, size_t n);
    struct leat_value *(*value_bytes)(struct leat_task *t, const void *p, size_t n);
    struct leat_value *(*value_decimal)(struct leat_task *t, const void *unscaled, size_t n, int32_t scale);
    struct leat_value *(*value_array)(struct leat_task *t);
    int (*value_push)(struct leat_value *array, struct leat_value *item);
    struct leat_value *(*value_map)(struct leat_task *t); /* string keys, ordered */
    struct leat_value *(*value_struct)(struct leat_task *t, struct leat_schema *s);
    int (*value_set)(struct leat_value *map_or_struct, const char *name, size_t name_len,
                     struct leat_value *v);
    void (*value_with_schema)(struct leat_value *v, struct leat_schema *s);

    enum leat_type (*value_type)(const struct leat_value *v);
    const struct leat_schema *(*value_schema)(const struct leat_value *v); /* NULL: none */
    int64_t (*value_get_int)(const struct leat_value *v);                  /* also booleans */
    double (*value_get_float)(const struct leat_value *v);
    const void *(*value_get_bytes)(const struct leat_value *v, size_t *n); /* strings, bytes, decimals */
    size_t (*value_count)(const struct leat_value *v);                     /* items or entries */
    const struct leat_value *(*value_at)(const struct leat_value *v, size_t i, const char **name,
                                         size_t *name_len);
    const struct leat_value *(*value_find)(const struct leat_value *v, const char *name, size_t name_len);

    /* JSON text without schemas to a value (ints are INT64, other numbers FLOAT64); NULL after host->fail. */
    struct leat_value *(*value_from_json)(struct leat_task *t, const void *json, size_t n);
    /* Value to JSON as Connect's JsonConverter writes it, schemas off. Valid as long as the value. NULL after fail. */
    const char *(*value_to_json)(struct leat_task *t, const struct leat_value *v, size_t *n);
    /* The record's value typed: value_value as it is, else its bytes through the configured converter. NULL after fail. */
    const struct leat_value *(*record_value)(struct leat_task *t, const struct leat_record *r);
    /* What the bytes of this task's keys or values are taken for: its key.converter or value.converter. */
    enum leat_converter (*converter)(struct leat_task *t, bool key);
    /*
     * Sink: the offset that is committed at this moment for a partition of this task (-1: none). It follows what flush
     * reported some time later. LEAT_OK, or LEAT_RETRY/LEAT_FAIL after host->fail.
     */
    int (*committed)(struct leat_task *t, const char *topic, int32_t partition, int64_t *offset);
    /*
     * Sink: the id of a topic of this task, as text of at most 32 letters, digits, - and _: another one when a topic was
     * deleted and made anew, so that its offsets begin again. Valid until the next call on this task; NULL: there is no such
     * topic now. Plugins that may meet an older host look at its struct_size first.
     */
    const char *(*topic_id)(struct leat_task *t, const char *topic);
    /*
     * A directory of this task's own, below data.dir: made when it is first asked for, empty at the start of each attempt to
     * run (open) and gone after it. For what need not outlive the task, such as spooled changes. NULL after host->fail.
     */
    const char *(*work_dir)(struct leat_task *t);
    /*
     * Source that writes JSON with schemas itself (LEAT_WRITES_SCHEMAS): whether key.converter or value.converter is to write
     * them: schemas.enable, which is true by default where the converter goes by the name of Kafka's class.
     */
    bool (*schemas_enabled)(struct leat_task *t, bool key);
    /*
     * The given options whose rows have a name with * in it, by name, one after another: start with *cursor = 0; false at the
     * end. `value` is text as given, a list's items with commas. get_* work for such a name, too, given or not.
     */
    bool (*next_option)(const struct leat_config *c, size_t *cursor, const char **name, const char **value);

    /*
     * Source that takes signals (LEAT_TAKES_SIGNALS), in poll: the next one, or type NULL; its texts stay until the next call
     * on this task. What is to stay of it has to be emitted or set in the same poll: once that is durable, whoever sent it by
     * command is told, and of one from a topic the place is stored with it. If the poll fails it comes again. host->wait returns
     * when one comes.
     * LEAT_OK, or LEAT_RETRY/LEAT_FAIL to be returned from poll.
     */
    int (*next_signal)(struct leat_task *t, struct leat_signal *out);
    /*
     * In open: signals are also read from this topic, made if missing, where the key is `key` and the value an object with
     * type, data and optionally id. The first time from its beginning, then from behind what was taken last.
     */
    int (*signal_topic)(struct leat_task *t, const char *topic, const char *key);

    /*
     * A row of `leat status PIPELINE`, HTTP and /metrics: what is known of something by its name. `key` is its kind, a blank,
     * and the name ("snapshot public.orders"); `json` an object of scalars, whose numbers and booleans become metrics; NULL
     * removes the row. Names that end in _bytes, _ms, _per_s are shown so. Rows stay until the task runs anew; at most 4096.
     * LEAT_OK, or LEAT_FAIL after host->fail.
     */
    int (*status)(struct leat_task *t, const char *key, const char *json);

    /*
     * In check: one thing that is wrong and how to mend it; as many as there are, then LEAT_OK. `leat validate --connect` shows
     * each and fails; before a run they are logged as warnings, and what cannot be is up to open. What need not be mended is
     * logged as LEAT_WARN: it is shown, too, and fails nothing.
     */
    void (*problem)(struct leat_task *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

    /*
     * Source: a directory of this task's own, below data.dir, that stays from attempt to attempt and over restarts of the hub:
     * for what can be done without, but not made again. In open; a task that is opened without asking for it loses it, and so
     * does one that is no longer configured. Nothing here is part of a poll's transaction: what is in it may be ahead of the
     * stored positions after a crash, or behind them after a power failure. NULL after host->fail.
     */
    const char *(*keep_dir)(struct leat_task *t);
};

/* ---- connectors --------------------------------------------------------------------------------------------- */

enum leat_kind { LEAT_SOURCE, LEAT_SINK };

/* What a sink has stored, or where it begins: the offset is the next one to read. */
struct leat_offset {
    const char *topic;
    int32_t partition;
    int64_t offset; /* -1: nothing stored yet */
};

struct leat_source_ops {
    /* Opens the task; `*self` is the plugin's. If it fails, close is not called. */
    int (*open)(struct leat_task *t, const struct leat_host *h, const struct leat_config *c, void **self);
    /*
     * Emits what is there and sets positions; waits with host->wait when there is nothing. Returns LEAT_OK after a
     * part that belongs together: the host commits records and positions as one transaction, alone or with those of other
     * polls. It may poll again while that is written; if it fails, the task starts anew from its stored positions.
     */
    int (*poll)(void *self);
    /* Everything emitted before is durable. May be NULL; a source that has it is not polled while a commit is written. */
    int (*committed)(void *self);
    void (*close)(void *self);
    /* From here on only of connectors whose struct_size covers leat_connector.flags. */
    /*
     * All that the first `polls` polls since open emitted and set is durable: acknowledge it to the origin here. May be NULL.
     * Polls are counted whether they gave anything or not, and also told of when nothing new comes. Unlike `committed` it
     * does not hold up polling: commits are written while the next poll runs. host->wait returns when there is something
     * to tell: return from poll then.
     */
    int (*durable)(void *self, uint64_t polls);
};

struct leat_sink_ops {
    /* `assigned`: the partitions of this task and where reading starts. If it fails, close is not called. */
    int (*open)(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                const struct leat_offset *assigned, size_t n, void **self);
    /* Records of one topic-partition in offset order. */
    int (*put)(void *self, const struct leat_record *records, size_t n);
    /*
     * Called often, also when nothing comes. `final`: the task stops cleanly and will not be called again. Sets
     * assigned[i].offset to what is stored for good (records below it need never be given again); leaves an entry as
     * it was if nothing changed. What an `exact` sink reports is committed before its next put; of others reports are
     * gathered for some time, as a commit costs a sync. `*next_ms`: in how many ms it wants to be called at the latest (-1: no wish).
     */
    int (*flush)(void *self, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms);
    void (*close)(void *self);
};

struct leat_connector {
    uint32_t struct_size;
    enum leat_kind kind;
    const char *type;           /* as in YAML: file, s3 */
    const char *const *aliases; /* NULL-terminated: Kafka Connect class names it stands in for; may be NULL */
    const char *summary;        /* one line */
    const char *doc;            /* Markdown, some paragraphs */
    const char *example;        /* YAML of a minimal use: the lines below `source:` or one item of `sinks:` */
    const struct leat_option *options;
    size_t option_count;
    bool
        exact; /* sink: a record is delivered once even over crashes; source: positions are exact. See not_exact */
    /* Beyond the table: combinations and contents. Says what is wrong with host->fail. May be NULL. Must not touch the outside. */
    int (*validate)(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);
    /* Tries the outside world (leat validate --connect, and before a run). May be NULL. */
    int (*check)(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);
    const struct leat_source_ops *source;
    const struct leat_sink_ops *sink;
    /* From here on a descriptor may end (struct_size). */
    /*
     * Of an `exact` one: why it is not so with these options, in a text that stays ("rotate.by.clock: after a crash ...").
     * NULL: it is exact. May be NULL, and need not be there: plugins may be built without it.
     */
    const char *(*not_exact)(const struct leat_host *h, const struct leat_config *c);
    /*
     * Sink: what it writes to, as text into `out` of LEAT_OUTLET_SIZE bytes. Two sinks of one type with the same text would
     * overwrite each other and are refused; if *by_topic (false before the call) is set to true, only if they read a common
     * topic. Left empty: never. As validate, it must not touch the outside. May be NULL.
     */
    int (*outlet)(struct leat_task *t, const struct leat_host *h, const struct leat_config *c, bool *by_topic,
                  char *out);
    uint32_t flags; /* LEAT_WRITES_SCHEMAS ... */
};
#define LEAT_OUTLET_SIZE 8192

/* Of leat_connector. */
#define LEAT_WRITES_SCHEMAS                                                                                  \
    0x1u /* source: does what schemas.enable of its converters says (schemas_enabled) */
#define LEAT_TAKES_SIGNALS 0x2u /* source: asks for next_signal */
/*
 * Source: its records name their topics. The pipeline's own is made only when something is written to it (topic NULL), and sinks
 * read what `topics` and `topics.regex` of the pipeline say.
 */
#define LEAT_NAMES_TOPICS 0x4u
/* Source: its records repeat one another, as change events do: a pipeline that does not say `compression` gets gzip. */
#define LEAT_RECORDS_ALIKE 0x8u

struct leat_plugin {
    uint32_t magic;       /* LEAT_PLUGIN_MAGIC */
    uint32_t abi_version; /* LEAT_ABI_VERSION at build time */
    uint32_t struct_size; /* sizeof(struct leat_plugin) at build time */
    uint32_t host_size;   /* sizeof(struct leat_host) at build time */
    const char *name;
    const char *version;
    const char *built_for; /* Leat's version at build time */
    const struct leat_connector *const *connectors;
    size_t connector_count;
};

/* The one symbol. */
#define LEAT_PLUGIN_SYMBOL "leat_plugin"

#define LEAT_PLUGIN_HEADER                                                                                   \
    .magic = LEAT_PLUGIN_MAGIC, .abi_version = LEAT_ABI_VERSION, .struct_size = sizeof(struct leat_plugin),  \
    .host_size = sizeof(struct leat_host)

#ifdef __cplusplus
}
#endif

#endif
