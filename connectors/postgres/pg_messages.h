/*
 * pg_messages: which logical messages are published, by message.prefix.include.list and .exclude.list. Any thread.
 */
#ifndef LEAT_PG_MESSAGES_H
#define LEAT_PG_MESSAGES_H

#include <stdbool.h>

#include "base/err.h"
#include "leat/plugin.h"

struct pg_messages;
/* NULL: ERR_INVALID_CONFIG names the option. */
struct pg_messages *pg_messages_new(const struct leat_host *host, const struct leat_config *config,
                                    struct err *e);
void pg_messages_free(struct pg_messages *m); /* NULL: nothing */
bool pg_messages_wants(const struct pg_messages *m, const char *prefix);

#endif
