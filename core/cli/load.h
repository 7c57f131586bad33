/*
 * load: plugins and configuration as run, validate, schema and docs need them. One thread: main.
 */
#ifndef LEAT_CLI_LOAD_H
#define LEAT_CLI_LOAD_H

#include "cli/cli.h"

/*
 * Directories from --plugin-path, else hub: plugin.path (`hub` may be NULL), else beside the program, else
 * below the installation prefix. Refused plugins are told by diag.
 */
int load_plugins(const struct cli *c, const struct hub_config *hub, struct plugins **out, struct err *e);

/* The configuration's absolute path, to be freed with free(); NULL after saying why, *exit_code then tells. */
char *load_path(const char *name, int *exit_code);

/*
 * Prints problems, and warnings (NULL: none) behind them, one "file:line:column: text" a line, on stderr (or as JSON on stdout),
 * and frees them.
 */
void load_show_problems(const struct cli *c, struct problems *p, struct problems *warnings);
/* The same as text. */
int load_problems_text(const struct problems *p, struct buf *out, struct err *e);
/* As a JSON array. */
json_t *load_problems_json(const struct problems *p);

#endif
