/*
 * cdc_filter: Debezium's regular expressions: a list of them, each matched against the whole name, upper and lower case
 * alike. Evaluated when a table is compiled, never for a row. Any thread once made.
 */
#ifndef LEAT_KIT_CDC_FILTER_H
#define LEAT_KIT_CDC_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* One expression in Java's spelling, as far as PCRE2 reads it. */
struct cdc_regex;
/* ERR_INVALID_CONFIG: "option": the expression, what is wrong, and where. `fold`: case does not matter. */
int cdc_regex_new(const char *option, const char *pattern, size_t n, bool fold, struct cdc_regex **out,
                  struct err *e);
void cdc_regex_free(struct cdc_regex *r);
/* The whole text matches. An expression that runs into PCRE2's limits does not. */
bool cdc_regex_matches(const struct cdc_regex *r, const char *text);
/*
 * `replacement` ($1, ${name}) applied to a text that matches as a whole, of mem_*; *out NULL: no match. ERR_INVALID_CONFIG:
 * the replacement names a group that there is not.
 */
int cdc_regex_replace(const struct cdc_regex *r, const char *text, const char *replacement, char **out,
                      struct err *e);

struct cdc_filter {
    struct cdc_regex **items;
    size_t count;
};

/* Items of an option: split at commas already, so that pieces ending in a backslash belong to what follows (`\,`). */
int cdc_filter_read(const char *option, const char *const *items, size_t n, struct cdc_filter *out,
                    struct err *e);
/* One text with commas between the expressions. */
int cdc_filter_parse(const char *option, const char *text, struct cdc_filter *out, struct err *e);
void cdc_filter_free(struct cdc_filter *f);
bool cdc_filter_matches(const struct cdc_filter *f, const char *name);

#endif
