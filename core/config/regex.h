/*
 * regex: regular expressions of the configuration over whole names, as Java's matches() has them (PCRE2, whose syntax is nearly
 * Java's). Immutable once made; any thread.
 */
#ifndef LEAT_CONFIG_REGEX_H
#define LEAT_CONFIG_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct regex;
/* NULL: ERR_INVALID with what is wrong and where, or ERR_NO_MEMORY. */
struct regex *regex_new(const char *pattern, struct err *e);
void regex_free(struct regex *r);
/* Whether it matches all of the name. One that needs too many steps, or memory that is not there, matches nothing. */
bool regex_matches(const struct regex *r, const char *name);
const char *regex_text(const struct regex *r);

#endif
