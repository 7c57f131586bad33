/*
 * cli: what the subcommands share: options from tables (parsing, help and shell completion come from the same
 * rows), tables on the terminal, exit codes, and the way to a data directory. One thread: main.
 */
#ifndef LEAT_CLI_CLI_H
#define LEAT_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "http/api.h"

/* Exit codes that scripts can use (docs/command-line.md). */
enum cli_exit {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CONFIG = 3,  /* the configuration has problems */
    EXIT_MISSING = 4, /* topic, group, connector, file or directory not there */
    EXIT_BUSY = 5,    /* no hub runs, another process holds the directory, or what is named is in use */
    EXIT_CHANGES = 6, /* leat plan --detailed-exit-code: something would change */
};

#define CLI_OPTIONS_MAX 24
#define CLI_REPEAT_MAX 64

struct cli_option {
    const char *name;
    char letter;     /* 0: none */
    const char *arg; /* placeholder in help; NULL: a flag */
    const char *doc;
    const char *choices; /* "a b c", for completion and checking; NULL: anything */
};

struct cli;
struct cli_command {
    const char *name;       /* "topics create" */
    const char *arguments;  /* "TOPIC" */
    int min_args, max_args; /* max -1: any number */
    const char *summary;
    const char *details; /* more help, or NULL */
    const struct cli_option *options;
    size_t option_count;
    bool hidden;
    int (*run)(struct cli *c); /* an exit code */
};

struct cli {
    const struct cli_command *command;
    const char *values[CLI_OPTIONS_MAX][CLI_REPEAT_MAX]; /* own options first, then common ones */
    size_t counts[CLI_OPTIONS_MAX];
    char **args;
    int arg_count;
};

const struct cli_command *cli_commands(size_t *n);
const struct cli_option *cli_common_options(size_t *n);

/* Parses argv after the command's words. An exit code, or -1 to go on. */
int cli_parse(struct cli *c, const struct cli_command *command, int argc, char **argv);

const char *cli_value(const struct cli *c, const char *name); /* last one given, or NULL; flags give "" */
bool cli_flag(const struct cli *c, const char *name);
size_t cli_values(const struct cli *c, const char *name, const char *const **values);
/* A whole number in [min, max]; false after saying what is wrong. */
bool cli_number(const struct cli *c, const char *name, int64_t fallback, int64_t min, int64_t max,
                int64_t *out);
bool cli_json(const struct cli *c); /* --output json */

void cli_help(const struct cli_command *command); /* NULL: of the program */

/* Sends out what was printed; EXIT_FAILED after saying why not (silently if nobody reads on). */
int cli_flush(void);
/* "leat: out of memory", and the end. */
_Noreturn void cli_out_of_memory(void);
/* Text of the command line as JSON; ends the program if it is not UTF-8. */
json_t *cli_text(const char *text);

/* "leat: text" on stderr; returns the exit code that fits the error. */
int cli_fail(const struct err *e);
int cli_exit_for(int code); /* of enum err_code */
int cli_error(int exit_code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- tables
 * ------------------------------------------------------------------------------------------------- */

struct table;
/* `right`: one letter a column, 'r' right-aligned, else left. */
struct table *table_new(const char *right, const char *const *titles);
void table_row(struct table *t, ...);                        /* as many const char * as columns; copied */
void table_cells(struct table *t, const char *const *cells); /* the same from an array; NULL shows as - */
void table_print(struct table *t);                           /* on stdout; also frees */
/* "1.5 MiB", "12.3k" into a static ring of buffers: for at most 16 cells at a time. */
const char *show_bytes(double v);
const char *show_count(double v);
const char *show_ago(int64_t wall_ms);
const char *show_int(int64_t v);
const char *show_duration(int64_t ms);
int print_json(json_t *j); /* and gives up the reference; an exit code */
/* A member's value for people: "-", 0 or false where there is none. */
const char *member_text(const json_t *o, const char *name);
int64_t member_int(const json_t *o, const char *name);
double member_number(const json_t *o, const char *name);

/* ---- the way to the data
 * ------------------------------------------------------------------------------------ */

/* A running hub's socket, or the data directory opened by this process. */
struct hub;
enum hub_need {
    HUB_RUNNING,  /* only a running hub will do */
    HUB_EXISTING, /* or the directory, if it exists */
    HUB_CREATED,  /* or the directory, made if missing */
};
/* NULL after saying why; *exit_code then tells. */
struct hub *hub_open(const struct cli *c, enum hub_need need, int *exit_code);
void hub_close(struct hub *h);
/* Others may write meanwhile: a hub or a cluster. Else this process opened the directory. */
bool hub_is_running(const struct hub *h);

struct hub_answer {
    int status;
    char *body; /* NUL-terminated */
    size_t bytes;
    char *next; /* of a read of records: where to go on; else NULL */
    bool at_end;
};
/* One request. False: the hub could not be reached, said on stderr. Statuses above 399 are the caller's to
 * handle. */
bool hub_call(struct hub *h, const char *method, const char *target, const char *body, size_t n,
              struct hub_answer *answer);
void hub_answer_free(struct hub_answer *a);
/* As hub_call; an answer that is an error is printed, *exit_code set, NULL returned. Else JSON (null for
 * 204). */
json_t *hub_json(struct hub *h, const char *method, const char *target, json_t *body, int *exit_code);
/* Prints an error answer; the exit code that fits. */
int hub_refused(const struct hub_answer *a);
/* The same of an error within an answer: {"code", "message"}. */
int hub_refusal(const json_t *error);

/* "/hub/topics/" + escaped name + rest; mem_free. Exits when out of memory. */
char *hub_target(const char *prefix, const char *name, const char *rest);

/* -1, or an exit code after saying why the directory is not one of ours. */
int cli_check_directory(const char *dir);
/* Where the data directory is: --data-dir, $LEAT_DATA_DIR, or the default. */
const char *cli_data_dir(const struct cli *c);

/* "2026-11-20", "2026-11-20T19:00", "2026-11-20T19:00:00Z" (with or without Z: UTC; with or without ".123"), "-15m"
 * (before now), "@1700000000000" as ms since 1970, not below 0; false if not understood. */
bool cli_parse_time(const char *text, int64_t *ms);

/* ---- commands
 * ----------------------------------------------------------------------------------------------- */

int cmd_run(struct cli *c), cmd_validate(struct cli *c), cmd_plan(struct cli *c), cmd_schema(struct cli *c);
int cmd_topics_list(struct cli *c), cmd_topics_create(struct cli *c), cmd_topics_describe(struct cli *c),
    cmd_topics_delete(struct cli *c), cmd_topics_configure(struct cli *c),
    cmd_topics_delete_records(struct cli *c);
int cmd_produce(struct cli *c), cmd_consume(struct cli *c);
int cmd_groups_list(struct cli *c), cmd_groups_describe(struct cli *c), cmd_groups_lag(struct cli *c),
    cmd_groups_reset(struct cli *c), cmd_groups_delete(struct cli *c);
int cmd_plugins_list(struct cli *c), cmd_plugins_describe(struct cli *c);
int cmd_status(struct cli *c), cmd_pause(struct cli *c), cmd_resume(struct cli *c),
    cmd_restart(struct cli *c), cmd_reload(struct cli *c), cmd_signal(struct cli *c);
int cmd_fsck(struct cli *c), cmd_log_dump(struct cli *c);
int cmd_kafka_import(struct cli *c), cmd_kafka_export(struct cli *c);
int cmd_completion(struct cli *c), cmd_docs(struct cli *c), cmd_version(struct cli *c);

#endif
