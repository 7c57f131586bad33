/*
 * consumer_regex: regular expressions over topics' names that members of consumer groups send. Kafka takes RE2's; these are PCRE2's,
 * which are written the same, and what RE2 has not (references back, looks ahead and behind, conditions, possessive and atomic groups) is refused.
 * A match that does not come to its end in a few steps is made in the way that follows all states at once and never goes back, so that its
 * time grows with the name only; patterns that are large when compiled are refused. No pattern can so hold the hub up.
 */
#ifndef LEAT_GROUP_CONSUMER_REGEX_H
#define LEAT_GROUP_CONSUMER_REGEX_H

#include <stdbool.h>

#include "base/err.h"

struct topic_regex;

#define TOPIC_REGEX_MAX 1024 /* bytes of a pattern */

/* NULL: `e` says why; ERR_INVALID, ERR_NO_MEMORY. */
struct topic_regex *topic_regex_new(const char *pattern, struct err *e);
void topic_regex_free(struct topic_regex *r); /* NULL is fine */
/* The whole name. One thread at a time. */
bool topic_regex_matches(const struct topic_regex *r, const char *name);

#endif
