/*
 * options: inside of struct leat_config, for options.c and build.c only.
 */
#ifndef LEAT_CONFIG_OPTIONS_H
#define LEAT_CONFIG_OPTIONS_H

#include <cyaml/cyaml.h>

#include "config/internal.h"

struct option_info {
    bool present; /* has a value, given or by default */
    bool set;     /* given */
    bool filled;  /* from a placeholder: hidden like a secret */
    struct mark at;
};

struct leat_config {
    const struct leat_option *table;
    size_t n;
    struct option_info *info;
    struct slot *slots; /* libcyaml's; NULL for an empty table */
    cyaml_schema_value_t schema;
    cyaml_schema_field_t *fields;
    cyaml_strval_t *choices;
    char *choice_text;
};

/* Without values; NULL: out of memory. */
struct leat_config *options_alloc(const struct leat_option *table, size_t n);
/* Once. `yaml` is a mapping of the table's names in canonical form. */
int options_load(struct leat_config *c, const void *yaml, size_t n, struct err *e);

#endif
