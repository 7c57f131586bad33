/*
 * pg_params: slot.stream.params: what somebody gives the output plugin beside what the source gives it. Any thread.
 */
#ifndef LEAT_PG_PARAMS_H
#define LEAT_PG_PARAMS_H

#include "base/buf.h"
#include "leat/plugin.h"

#define PG_PARAMS_MAX 32

struct pg_params {
    char *text; /* that the items are of; NULL: there are none */
    size_t n;
    struct {
        const char *name, *value;
    } items[PG_PARAMS_MAX];
};

/*
 * Of the configuration; to be freed if ERR_OK. ERR_INVALID_CONFIG, with the setting's and the parameter's name: it is no name=value,
 * comes twice, is given by the source itself, or would make the stream one that the source cannot read.
 */
int pg_params_read(const struct leat_host *host, const struct leat_config *config, struct pg_params *out,
                   struct err *e);
void pg_params_free(struct pg_params *p);

/* Whether they ask for transactions in progress. */
bool pg_params_stream(const struct pg_params *p);
/* Appends each, as START_REPLICATION has them behind others; `whole`: but for what asks for transactions in progress. */
int pg_params_write(const struct pg_params *p, bool whole, struct buf *b, struct err *e);
/*
 * `e` is of a START_REPLICATION that the server refused: where that is because of a parameter it names the setting. One that this
 * server does not know is none that waiting mends, though PostgreSQL calls it an internal error.
 */
void pg_params_explain(const struct pg_params *p, struct err *e);

#endif
