/*
 * cdc_config: the options of CDC_OPTIONS and the options with names of their own (column.mask.with.5.chars, transforms.x.type),
 * read and compiled. Immutable after reading. The task's thread.
 */
#ifndef LEAT_KIT_CDC_CONFIG_H
#define LEAT_KIT_CDC_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "kit/cdc/cdc_filter.h"
#include "kit/cdc/cdc_names.h"
#include "leat/plugin.h"

/* What happens to a value that cannot be rendered. */
enum cdc_failure { CDC_FAILURE_FAIL, CDC_FAILURE_WARN, CDC_FAILURE_SKIP };

/* What a column's values become; the first of these kinds that has a rule for the column counts, as in Debezium. */
enum cdc_mask_kind { CDC_MASK_FIXED, CDC_MASK_TRUNCATE, CDC_MASK_PROPAGATE, CDC_MASK_HASH, CDC_MASK_HASH_V2 };

struct cdc_mask_rule {
    enum cdc_mask_kind kind;
    struct cdc_filter columns;
    bool by_type; /* PROPAGATE: the filter is on schema.table.TYPE */
    int64_t length;
    const void *digest; /* EVP_MD */
    char *salt;
    char *option; /* for messages */
};

struct cdc_unwrap; /* ExtractNewRecordState: cdc_unwrap.h */
struct cdc_outbox; /* EventRouter: cdc_outbox.h */

/* The predicate of a transform, TopicNameMatches. */
struct cdc_when {
    struct cdc_regex *pattern; /* NULL: always */
    bool negate;
};

/* A transform that changes names of topics: RegexRouter. */
struct cdc_route {
    struct cdc_regex *regex;
    char *replacement;
    struct cdc_when when;
};

/* Where ExtractNewRecordState or EventRouter stands among the transforms. */
struct cdc_stage {
    size_t order;  /* of all transforms */
    size_t routes; /* how many of the routes stand before it */
    struct cdc_when when;
};

struct cdc_config {
    char *prefix, *delimiter, *heartbeat_prefix, *transaction_topic;
    struct cdc_filter tables, tables_not, schemas, schemas_not, databases, databases_not, columns,
        columns_not;
    struct cdc_mask_rule *masks;
    size_t mask_count;
    struct cdc_filter keys; /* on schema.table.column */
    uint32_t skipped;       /* a bit an operation: 1 << (op - 'a') */
    bool tombstones, transaction_metadata, only_changes, context_headers;
    bool key_schemas, value_schemas;
    enum cdc_adjust schema_names, field_names;
    enum cdc_failure failure;
    int64_t heartbeat_ms;
    bool notify_sink, notify_log;
    char *notify_topic;
    char *signal_table;
    struct cdc_unwrap *unwrap; /* NULL: not asked for */
    struct cdc_outbox *outbox;
    struct cdc_stage unwrap_stage, outbox_stage;
    struct cdc_route *routes;
    size_t route_count;
};

/* An option whose name has parts of its own: column.mask.with.5.chars, transforms.unwrap.type. */
struct cdc_named {
    const char *name, *value;
};

/* Reads all options but schemas_enabled. ERR_INVALID_CONFIG names the option. */
int cdc_config_read(const struct leat_host *host, const struct leat_config *c, struct cdc_config *out,
                    struct err *e);
void cdc_config_free(struct cdc_config *c);

#endif
