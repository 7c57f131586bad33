/*
 * config: from YAML text to checked, typed settings. All problems of all files are collected, each with file,
 * line and column; nothing is half-applied. The result is immutable and is shared between threads by
 * reference.
 *
 * Where settings come from: the hub's own table (hub_options), a pipeline's table (pipeline_options), topic
 * settings (broker's topic_config_defs) and each connector's option table (leat/plugin.h).
 * docs/configuration.md and the JSON Schema are generated from the same tables.
 */
#ifndef LEAT_CONFIG_CONFIG_H
#define LEAT_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "broker/broker.h"
#include "config/regex.h"
#include "leat/plugin.h"

/* ---- problems
 * ----------------------------------------------------------------------------------------------- */

struct problem {
    char *file;
    int line, column; /* 1-based; 0: of the whole file, of the whole line */
    char *text;
};
struct problems {
    struct problem *items;
    size_t count;
};
void problems_init(struct problems *p);
void problems_free(struct problems *p);
int problems_add(struct problems *p, const char *file, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 5, 6))); /* ERR_OK or ERR_NO_MEMORY */
void problems_sort(struct problems *p);    /* by file, line, column */
int problem_print(const struct problem *p, struct buf *out,
                  struct err *e); /* "file:line:column: text", no newline */

/* The nearest of `names` to a misspelt one, or NULL if none is near (Damerau-Levenshtein, length-scaled). */
const char *config_nearest(const char *name, const char *const *names, size_t n);

/* ---- rows of option tables
 * ------------------------------------------------------------------------------------------------ */

/* Names with variable parts: a * stands for one or more characters. */
bool pattern_is(const char *name);
bool pattern_matches(const char *pattern, const char *name);
/* The row of this name, else the pattern that matches it with the most fixed characters. NULL: none. */
const struct leat_option *option_find(const struct leat_option *table, size_t n, const char *name);

/* ---- typed options (leat_config is what plugins see as opaque)
 * ------------------------------------------------ */

/* From text values as in YAML; for tests, the command line and REST. `items`: name, value pairs. */
struct option_text {
    const char *name;
    const char *value;
};
struct leat_config *options_new(const struct leat_option *table, size_t table_n,
                                const struct option_text *items, size_t n, struct problems *p,
                                struct err *e); /* NULL: see p or e */
void options_free(struct leat_config *c);

/* The getters of leat_host. Unknown name or wrong type: asserts, it is a bug of the plugin. */
const char *options_str(const struct leat_config *c, const char *name);
int64_t options_int(const struct leat_config *c, const char *name);
double options_double(const struct leat_config *c, const char *name);
bool options_bool(const struct leat_config *c, const char *name);
size_t options_list(const struct leat_config *c, const char *name, const char *const **items);
bool options_is_set(const struct leat_config *c, const char *name);
/*
 * The given options whose rows are patterns, by name: start with *cursor = 0; false at the end. `value` is text: a list's
 * items with commas between them.
 */
bool options_next(const struct leat_config *c, size_t *cursor, const char **name, const char **value);

/* Same names with the same values (secrets compared too, never shown). */
bool options_equal(const struct leat_config *a, const struct leat_config *b);
/* "name: value" lines of what was set, sorted, secrets as "***"; for plan and status. */
int options_print(const struct leat_config *c, struct buf *out, struct err *e);

/* ---- the configuration
 * ---------------------------------------------------------------------------------------- */

/* What config needs of the plugin host: a connector's descriptor by kind and type or alias. NULL: none. */
struct connector_catalog {
    void *arg;
    const struct leat_connector *(*find)(void *arg, enum leat_kind kind, const char *type);
    /* i-th connector, or NULL past the end; for error messages, JSON Schema and docs */
    const struct leat_connector *(*at)(void *arg, size_t i);
};

enum converter { CONVERTER_BYTES, CONVERTER_STRING, CONVERTER_JSON };

/* How topics are made that a source's records name. */
struct topic_creation;
struct creation_group {
    char *name;
    int32_t partitions; /* -1: the hub's num.partitions */
    struct topic_config_entry *config;
    size_t config_count;
};
const struct creation_group *creation_find(const struct topic_creation *c, const char *topic);

struct connector_config {
    char
        *name; /* unique in the hub: the pipeline's name for its source, "<pipeline>-<sink name>" for sinks */
    const struct leat_connector *connector;
    struct leat_config *options;
    struct leat_config *common; /* as connector_common_options; the members below come from it */
    int tasks_max;
    enum converter key_converter, value_converter;
    bool key_schemas, value_schemas; /* schemas.enable; false for who cannot (LEAT_WRITES_SCHEMAS) */
    bool paused;
    int64_t gather_ms;     /* of a source: how long records wait for others; 0: each poll is committed */
    uint64_t gather_bytes; /* but no longer than until there are so many */
    struct topic_creation *creation; /* NULL: as the pipeline's topic */
    /* failures: */
    int64_t retry_backoff_ms, retry_backoff_max_ms;
    int retry_max; /* -1: for ever */
    char *file;    /* where it stands, for messages */
    int line;
};

struct pipeline_config {
    char *name;
    struct connector_config *source; /* NULL: reads topics that exist */
    char **topics; /* what the sinks read; topics[0] is the source's topic when there is one */
    size_t topic_count;
    bool
        own_topics; /* the source names its topics: topics[0] need not exist, and is made when it is written */
    struct regex *regex; /* topics that the sinks read as well; NULL: none */
    int32_t partitions;  /* of topics[0] when it has to be made; -1: the hub's num.partitions */
    struct topic_config_entry *topic_config;
    size_t topic_config_count;
    enum codec codec; /* of batches that the source writes */
    struct connector_config **sinks;
    size_t sink_count;
    char *file;
    int line;
};

struct hub_config {
    struct leat_config *options; /* as hub_options; the members below come from it. May be NULL */
    char *data_dir;
    char **data_dirs; /* further ones */
    size_t data_dir_count;
    bool start_without_dirs; /* when some of them are missing */
    int64_t space_warn_bytes;
    int32_t space_warn_percent;
    char **plugin_path;
    size_t plugin_path_count;
    char *http_listen; /* "127.0.0.1:8083"-like; NULL: Unix socket only */
    char *log_level;
    char *log_format;
    int64_t shutdown_ms; /* how long SIGTERM drains */
    size_t journal_file_bytes;
    int64_t retention_check_ms;
    int64_t scrub_interval_ms; /* 0: never */
    int64_t scrub_bytes_per_s;
    int64_t producer_expiration_ms;
    int64_t offsets_retention_ms, offsets_check_ms;
    int64_t txn_id_expiration_ms, txn_id_check_ms;
    int32_t txn_timeout_max_ms;
    int64_t page_cache_bytes; /* -1: the system decides, 0: by what its memory costs */
    int32_t open_files_max;   /* 0: by the process's limit */
    bool cleaner_enabled;
    int32_t cleaner_threads;
    size_t cleaner_dedupe_bytes;
    int64_t cleaner_io_bytes_per_second; /* 0: no limit */
    int64_t cleaner_backoff_ms;
    int64_t offsets_segment_bytes, txn_segment_bytes;
    int32_t num_partitions;              /* of topics that are made without a number */
    struct topic_config_entry *defaults; /* of topics' settings; by their names */
    size_t default_count;
};

struct config {
    struct hub_config hub;
    struct pipeline_config **pipelines; /* by name */
    size_t pipeline_count;
};

/*
 * Reads a file, or every *.yaml and *.yml of a directory in name order. ERR_INVALID_CONFIG: see `problems`,
 * `*out` is NULL. Secrets ${env:NAME} and ${file:PATH} are resolved here (docs/configuration.md).
 */
int config_load(const char *path, const struct connector_catalog *catalog, struct config **out,
                struct problems *problems, struct err *e);
/* The same from text; `name` stands in messages. */
int config_parse(const char *text, size_t n, const char *name, const struct connector_catalog *catalog,
                 struct config **out, struct problems *problems, struct err *e);
/* Only the hub section, before plugins can be found: everything else is skipped, but must be YAML. */
int config_load_hub(const char *path, struct hub_config *out, struct problems *problems, struct err *e);
void hub_config_free(struct hub_config *h);
void config_free(struct config *c);

/* Whether an exact connector may be made inexact by its options: it has `not_exact`, which older plugins have not. */
bool connector_exact_by_options(const struct leat_connector *c);
/* What plugins that were built for an older header do not have: LEAT_WRITES_SCHEMAS ..., and a source's `durable` or NULL. */
uint32_t connector_flags(const struct leat_connector *c);
int (*connector_durable(const struct leat_connector *c))(void *self, uint64_t polls);

bool connector_config_equal(const struct connector_config *a, const struct connector_config *b);
bool regexes_equal(const struct regex *a, const struct regex *b); /* by their texts; NULL is none */
bool topic_configs_equal(const struct pipeline_config *a, const struct pipeline_config *b);
bool pipeline_config_equal(const struct pipeline_config *a, const struct pipeline_config *b);

/* What changes from `from` (NULL: nothing was there) to `to`, one line each ("~ pipeline web: sink archive: flush.size: 100 -> 200"),
 * "" if nothing. Of more than the buffer takes the last line is "...". */
int config_plan(const struct config *from, const struct config *to, struct buf *out, struct err *e);

/* The option tables of hub and pipeline, for docs. */
const struct leat_option *hub_options(size_t *n);
const struct leat_option *pipeline_options(size_t *n);
const struct leat_option *
connector_common_options(size_t *n); /* name, type, tasks.max, converters, retries */

/* JSON Schema (draft 2020-12) of the whole configuration with the catalog's connectors. */
int config_json_schema(const struct connector_catalog *catalog, struct buf *out, struct err *e);

#endif
