/*
 * What the files of core/config share. A configuration is read in two steps: the walk (yaml.c, section.c, hub.c,
 * pipeline.c) goes over libyaml's document with its marks, checks every key and value against the option tables and
 * collects all problems; what is right is brought into one form of writing (value.c) and loaded by libcyaml with the
 * schema that is built from the same table (options.c).
 */
#ifndef LEAT_CONFIG_INTERNAL_H
#define LEAT_CONFIG_INTERNAL_H

#include <yaml.h>

#include "base/hash.h"
#include "config/config.h"

/* ---- limits on what is read -------------------------------------------------------------------------------------- */

#define CONFIG_FILE_MAX ((size_t)1 << 20) /* a configuration or secret file */
#define CONFIG_FILES_MAX 1000             /* files of a directory */
#define CONFIG_DEPTH_MAX 16               /* nesting; the deepest that has a meaning is 6 */
#define CONFIG_NODES_MAX 100000           /* nodes of a file */
#define CONFIG_ANCHORS_MAX 1000           /* of a file; libyaml compares each with all before it */
#define CONFIG_TOPICS_MAX 10000           /* of a pipeline */
#define CONFIG_VISITS_MAX 200000 /* keys, items and 64 bytes of text looked at, every use of an alias */
#define CONFIG_LINKS_MAX 300     /* places where a sink writes what a source reads */
#define CONFIG_SECTION_MAX ((size_t)8 << 20) /* values of one mapping, secrets filled in */
#define CONFIG_NAME_MAX 100 /* pipeline and sink names: they become parts of topic keys and ids */
#define CONFIG_WHY_MAX 256

/* ---- places and reports ------------------------------------------------------------------------------------------ */

struct mark {
    int line, column; /* 1-based; 0: none */
};

/* Where a group of options comes from. */
struct origin {
    struct problems *problems;
    const char *file; /* NULL: not from a file */
    const char *what; /* put before every problem, such as: pipeline "web": source; may be NULL */
    struct mark at;   /* of the mapping; where something missing is reported */
    /* What the table cannot say of a value that is right for its type: false after writing `why` (CONFIG_WHY_MAX). */
    bool (*check)(const char *name, const char *value, char *why);
};

/* Adds a problem "<what>: <text>". ERR_OK or ERR_NO_MEMORY. */
int origin_report(const struct origin *o, struct mark at, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- values (value.c) -------------------------------------------------------------------------------------------- */

/* What libcyaml loads an option into. */
struct slot {
    int64_t number; /* INT, DURATION, SIZE, and the index of a CHOICE */
    double real;
    bool flag;
    char *text;
    char **items;
    uint64_t count;
};

/*
 * Checks one scalar (an item, of lists) against its row and appends it to `yaml` in canonical YAML. `*ok` false: `why`
 * continues a sentence that begins with the value, such as: is not a whole number.
 */
int value_check(const struct leat_option *o, const char *text, struct buf *yaml, bool *ok,
                char why[CONFIG_WHY_MAX], struct err *e);
/* A YAML double-quoted scalar. `text` must be UTF-8 (value_utf8). */
int value_quote(const char *text, struct buf *yaml, struct err *e);
bool value_utf8(const char *text);
/* For people: durations and sizes with their units, lists in brackets. */
int value_format(const struct leat_option *o, const struct slot *s, struct buf *out, struct err *e);

bool duration_parse(const char *text, int64_t *ms);
bool size_parse(const char *text, int64_t *bytes);
bool integer_parse(const char *text, int64_t *v);
char *duration_format(int64_t ms, char *out, size_t size);
char *size_format(int64_t bytes, char *out, size_t size);

/* The parts of "a|b|c" in place: start and length of the i-th; false past the end. */
bool choice_at(const char *choices, size_t i, const char **start, size_t *len);

/* ---- placeholders (placeholder.c) -------------------------------------------------------------------------------- */

/*
 * Fills in ${env:NAME}, ${file:PATH} and ${file:PATH:KEY}; $${ is a plain ${. `*out` is the caller's; `*filled` tells
 * whether anything came from outside. `*ok` false: `why` says what could not be filled in, without any value.
 */
int placeholder_fill(const char *raw, char **out, bool *filled, bool *ok, char why[CONFIG_WHY_MAX],
                     struct err *e);

struct table {
    const struct leat_option *rows;
    size_t n;
};

/* ---- topic.creation (creation.c) --------------------------------------------------------------------------------- */

struct mapping;
struct topic_creation;
/* *out NULL: nothing of it was given, or there were problems. */
int creation_read(struct mapping *m, const struct leat_config *common, struct topic_creation **out,
                  struct err *e);
void creation_free(struct topic_creation *c);
/* Of two, and the common options that they were read from. */
bool creation_equal(const struct topic_creation *a, const struct topic_creation *b,
                    const struct leat_config *x, const struct leat_config *y);

/* ---- options (options.c, section.c) ------------------------------------------------------------------------------ */

struct scalar {
    const char *text; /* as written */
    struct mark at;
};

/* A key with one value, or with a list of them. */
struct input {
    const char *name;
    struct mark key_at, at;
    bool list;
    bool bad; /* reported already: given, but without a value that could be used */
    const struct scalar *items;
    size_t count;
};

/* ---- rows whose name has variable parts (pattern.c) -------------------------------------------------------------------- */

/* The pattern with its variable parts taken from where they stand in `key`; mem_free. NULL: out of memory. */
char *pattern_like(const char *pattern, const char *key);
/* Appends a regular expression for it. */
int pattern_regex(const char *pattern, struct buf *out, struct err *e);

/* The nearest of all names of the tables and of `others` (NULL-terminated); mem_free. NULL: none is near. */
int option_nearest(const char *key, const struct table *tables, size_t table_n, const char *const *others,
                   char **near, struct err *e);
/*
 * The options of `table` from those inputs that it knows; the others are not its business. `*out` is NULL if something
 * was wrong: then it is in the origin's problems.
 */
int options_build(const struct leat_option *table, size_t table_n, const struct input *inputs, size_t n,
                  const struct origin *o, struct leat_config **out, struct err *e);
/* `text` filled in from outside is hidden like a secret. */
bool options_hidden(const struct leat_config *c, const char *name);
struct mark options_mark(const struct leat_config *c, const char *name);      /* {0, 0}: was not given */
const struct leat_option *options_row(const struct leat_config *c, size_t i); /* NULL past the end */
/* The i-th option as text for people: "***" if hidden, "(none)" without value. */
int options_format(const struct leat_config *c, size_t i, struct buf *out, struct err *e);
/*
 * Appends `<prefix><name>: old -> new` and a newline for each option that differs, but for those that `skip` (may be NULL)
 * says. Both are made from the same table.
 */
int options_diff(const struct leat_config *a, const struct leat_config *b, const char *prefix,
                 bool (*skip)(const void *arg, const char *name), const void *arg, struct buf *out,
                 struct err *e);

/* ---- the walk (yaml.c) ------------------------------------------------------------------------------------------- */

struct block; /* memory that lives as long as the walk */

struct walk {
    const struct connector_catalog *catalog;
    struct problems *problems;
    struct block *blocks;
    const char *file;
    bool hub_only;
    size_t visits;
    struct config *config;
    struct map *pipelines;  /* name -> struct place, of all files */
    struct map *connectors; /* connector name -> struct place */
    const char *hub_file;   /* where the hub section stood */
    int hub_line;
};
struct place {
    const char *file;
    int line;
    const char *whose; /* pipeline "web" */
};

void walk_init(struct walk *w, const struct connector_catalog *catalog, struct problems *problems);
void walk_free(struct walk *w);
void *walk_alloc(struct walk *w, size_t size, struct err *e);
char *walk_printf(struct walk *w, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Parses within the limits. `*loaded` false: it could not be, the reason is among the problems. */
int walk_load(struct walk *w, const char *text, size_t n, yaml_document_t *doc, bool *loaded, struct err *e);
/*
 * Notes that `n` more keys, items or 64 bytes of text were looked at, so that aliases to aliases do not multiply without
 * end. `*ok` false: it is too much, which is a problem (once).
 */
int walk_visit(struct walk *w, size_t n, struct mark at, bool *ok, struct err *e);
void walk_unload(yaml_document_t *doc);

struct entry {
    const char *key;
    struct mark key_at, at;
    yaml_node_t *value;
    bool skip; /* read elsewhere */
    bool bad;  /* its value is reported already */
};
struct mapping {
    yaml_document_t *doc;
    struct entry *items;
    size_t count;
    struct origin origin;
};
struct mark node_mark(const yaml_node_t *n);
bool node_is_null(const yaml_node_t *n);
const char *node_kind(const yaml_node_t *n); /* "a list", "a mapping", "one value" */

/* Reads a mapping's keys; problems: not a mapping, keys that are no text, duplicates. `what` lives as long as the walk. */
int mapping_read(struct walk *w, yaml_document_t *doc, yaml_node_t *n, struct mark at, const char *what,
                 struct mapping *m, struct err *e);
struct entry *mapping_find(struct mapping *m, const char *key);
/* The items of a sequence. `*nodes` lives as long as the walk. A node that is none is a problem, and no items. */
int sequence_read(struct walk *w, struct mapping *m, struct entry *en, yaml_node_t ***nodes, size_t *n,
                  struct err *e);
/*
 * A scalar's text, filled in; NULL after a problem, and the entry is `bad`. `*hidden` may be NULL. Lives as long as the
 * walk.
 */
int entry_text(struct walk *w, struct mapping *m, struct entry *en, const char **text, bool *hidden,
               struct err *e);

/* ---- sections (section.c) ---------------------------------------------------------------------------------------- */

/*
 * Makes inputs of all entries that are not marked `skip`, after checking that some table knows the key (else a problem
 * with the nearest of the tables' names and `others`, NULL-terminated) and that the value's shape fits. With `lenient`
 * unknown keys are left alone, but for those that Kafka Connect calls otherwise.
 */
int section_inputs(struct walk *w, struct mapping *m, const struct table *tables, size_t table_n,
                   const char *const *others, bool lenient, struct input **inputs, size_t *n, struct err *e);

int hub_read(struct walk *w, yaml_document_t *doc, struct entry *en, struct err *e);
int pipelines_read(struct walk *w, yaml_document_t *doc, struct mapping *root, struct entry *en,
                   struct err *e);
/* Whose a connector is: `pipeline` is NULL where names cannot be claimed, since its own is missing or taken. */
struct connector_place {
    const char *what;
    const char *pipeline;
    size_t index;
};
/* `*out` is NULL after problems. */
int connector_read(struct walk *w, yaml_document_t *doc, yaml_node_t *n, enum leat_kind kind,
                   const struct connector_place *where, struct connector_config **out, struct err *e);
void connector_config_free(struct connector_config *c);
void pipeline_config_free(struct pipeline_config *p);
int hub_config_fill(struct hub_config *h, struct leat_config *options,
                    struct err *e); /* takes over `options` */
/* Why a name of a pipeline or sink cannot be used, or NULL. */
const char *name_problem(const char *name);

/* Pipelines that feed themselves through the file system. */
int loops_find(struct walk *w, struct err *e);
struct path;
const struct path *path_parse(struct walk *w, const char *text, struct err *e); /* NULL: out of memory */
/* Whether one that reads `pattern` (path or glob) may see what one makes that writes a file or below a directory. */
bool path_overlaps(const struct path *pattern, const struct path *written, bool file);

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#endif
