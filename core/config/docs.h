/*
 * docs: Markdown and JSON Schema from the option tables. For `leat docs`, `make docs` and `leat plugins describe`.
 * Any thread.
 */
#ifndef LEAT_CONFIG_DOCS_H
#define LEAT_CONFIG_DOCS_H

#include "config/config.h"

/* The settings of `topic:` as a mapping, besides `config`; and those rows of the common ones that the kind has. */
const struct leat_option *topic_options(size_t *n);
const struct leat_option *connector_options_of(enum leat_kind kind, size_t *n);

/* A Markdown table of options: name, type, default, range, importance, description with example. */
int config_docs_table(const struct leat_option *rows, size_t n, struct buf *out, struct err *e);

/*
 * A connector's reference: summary, what it says of itself, a minimal and a full YAML sample, its options by importance.
 * The common options are not repeated: config_docs_reference has them.
 */
int config_docs_connector(const struct leat_connector *c, struct buf *out, struct err *e);

/* Hub, pipeline, topic and common connector settings, with headings of level 3: what docs/configuration.md
 * has between its marks named "reference". */
int config_docs_reference(struct buf *out, struct err *e);

/*
 * Replaces what stands between the lines `<!-- generated: NAME -->` and `<!-- end: NAME -->` of a document by
 * `generated`. ERR_NOT_FOUND if the lines are not there, in this order.
 */
int config_docs_splice(const char *text, size_t n, const char *name, const struct buf *generated,
                       struct buf *out, struct err *e);

#endif
