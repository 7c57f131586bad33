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
    const struct leat_option *table; /* the borrowed one, or `own` */
    size_t n;
    size_t base; /* rows of the borrowed one; what follows are keys that patterns of it match, by name */
    struct leat_option *own; /* with those rows; NULL: there are none */
    char **texts;            /* of them, as one text each; lists with commas */
    struct option_info *info;
    struct slot *slots; /* libcyaml's; NULL for an empty table */
    cyaml_schema_value_t schema;
    cyaml_schema_field_t *fields;
    cyaml_strval_t *choices;
    char *choice_text;
};

/* Without values, with rows for those inputs that patterns match; NULL: out of memory. */
struct leat_config *options_alloc(const struct leat_option *table, size_t n, const struct input *inputs,
                                  size_t input_n, struct err *e);
/* Once. `yaml` is a mapping of the table's names in canonical form. */
/*
 * The table with a row for each input that a pattern of it matches, behind the others, by name; *rows NULL: there is none.
 * rows_free takes them.
 */
int rows_expand(const struct leat_option *table, size_t base, const struct input *inputs, size_t input_n,
                struct leat_option **rows, size_t *n, struct err *e);
void rows_free(struct leat_option *rows, size_t base, size_t n);
int options_load(struct leat_config *c, const void *yaml, size_t n, struct err *e);

#endif
