/*
 * schema: reads a message file. See schema.h and core/protocol/README.md.
 */
#include "schema.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8
#define WORDS_MAX 16

struct reader {
    struct file *f;
    int line;
    char *words[WORDS_MAX];
    int columns[WORDS_MAX];
    int count, at;
    struct message *m;
    struct group *open[DEPTH_MAX]; /* the struct whose fields stand at each depth */
    struct field *last[DEPTH_MAX]; /* and the field before */
    int depth;
};

static void __attribute__((noreturn, format(printf, 2, 3))) fail(const struct reader *r, const char *fmt, ...)
{
    int column = r->at < r->count ? r->columns[r->at] : 1;
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s:%d:%d: ", r->f->path, r->line, column);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void *get(size_t size)
{
    void *p = calloc(1, size);
    if (p == NULL)
        abort();
    return p;
}

void schema_snake(const char *camel, char *out, unsigned long size)
{
    unsigned long n = 0;
    for (const char *c = camel; *c != '\0' && n + 2 < size; c++) {
        bool begins = isupper((unsigned char)*c) && c != camel &&
                      (!isupper((unsigned char)c[-1]) || islower((unsigned char)c[1]));
        if (begins)
            out[n++] = '_';
        out[n++] = (char)tolower((unsigned char)*c);
    }
    out[n] = '\0';
}

/* ---- words ---- */

static const char *next(struct reader *r, const char *what)
{
    if (r->at == r->count)
        fail(r, "missing: %s", what);
    return r->words[r->at++];
}

static bool more(const struct reader *r)
{
    return r->at < r->count;
}

/* The next word is consumed if it is this one. */
static bool accept(struct reader *r, const char *word)
{
    if (!more(r) || strcmp(r->words[r->at], word) != 0)
        return false;
    r->at++;
    return true;
}

static long long number(struct reader *r, const char *what, long long min, long long max)
{
    const char *w = next(r, what);
    char *end;
    long long v = strtoll(w, &end, 10);
    r->at--;
    if (*w == '\0' || *end != '\0' || v < min || v > max)
        fail(r, "%s: a number from %lld to %lld is wanted, not %s", what, min, max, w);
    r->at++;
    return v;
}

/* "3", "3-5" or "3+". */
static void versions(struct reader *r, int *since, int *until)
{
    const char *w = next(r, "the versions");
    char sign = '\0', rest = '\0';
    int n = sscanf(w, "%d%c%d%c", since, &sign, until, &rest);
    if (n == 1)
        *until = *since;
    else if (n == 2 && sign == '+')
        *until = VERSION_MAX;
    else if (n != 3 || sign != '-')
        n = 0;
    r->at--;
    if (n == 0 || *since < 0 || *until < *since || *until > VERSION_MAX)
        fail(r, "versions are 3, 3-5 or 3+, not %s", w);
    r->at++;
}

/* "3+" */
static int from_version(struct reader *r)
{
    int since, until;
    versions(r, &since, &until);
    if (until != VERSION_MAX) {
        r->at--;
        fail(r, "from a version on: 3+, not %s", r->words[r->at]);
    }
    return since;
}

/* The word that the reader stands at, or its end, as a name. */
static void copy_name(const struct reader *r, char *out, size_t size, const char *word)
{
    for (const char *c = word; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c))
            fail(r, "a name has letters and digits, unlike %s", word);
    if (strlen(word) >= size || !isupper((unsigned char)word[0]))
        fail(r, "a name begins with a capital and has less than %zu characters, unlike %s", size, word);
    strcpy(out, word);
}

static void next_name(struct reader *r, char *out, size_t size)
{
    const char *word = next(r, "the name");
    r->at--;
    copy_name(r, out, size, word);
    r->at++;
}

/* ---- lines ---- */

static bool is_primitive(const char *type)
{
    static const char *const all[] = {"bool",    "int8", "int16",  "uint16", "int32",  "int64",
                                      "float64", "uuid", "string", "bytes",  "records"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i], type) == 0)
            return true;
    return false;
}

static bool may_be_null(const struct field *f)
{
    return f->array || f->of != NULL || strcmp(f->type, "string") == 0 || strcmp(f->type, "bytes") == 0 ||
           strcmp(f->type, "records") == 0;
}

static struct group *find_group(const struct message *m, const char *name)
{
    for (struct group *g = m->groups; g != NULL; g = g->next)
        if (strcmp(g->name, name) == 0)
            return g;
    return NULL;
}

/* Puts the struct before the one that uses it. */
static struct group *add_group(struct message *m, const char *name, const struct group *before)
{
    struct group *g = get(sizeof *g);
    strcpy(g->name, name);
    struct group **at = &m->groups;
    while (*at != before)
        at = &(*at)->next;
    g->next = *at;
    *at = g;
    return g;
}

static void read_options(struct reader *r, struct field *f)
{
    if (accept(r, "null"))
        f->null_since = more(r) && isdigit((unsigned char)r->words[r->at][0]) ? from_version(r) : f->since;
    if (accept(r, "tag"))
        f->tag = (int)number(r, "the tag", 0, 127);
    if (accept(r, "=")) {
        if (accept(r, "null"))
            f->init_null = true;
        else if (accept(r, "true"))
            f->init = 1;
        else
            f->init = number(r, "the default", -INT64_MAX, INT64_MAX);
    }
    if (more(r))
        fail(r, "what is %s? After the versions come null, tag and =, in this order", r->words[r->at]);
}

static void check_field(struct reader *r, const struct field *f, const struct field *before)
{
    r->at = 0;
    if (f->null_since <= VERSION_MAX && !may_be_null(f))
        fail(r, "%s cannot be null: its type is %s", f->name, f->type);
    if (f->init_null && f->null_since > VERSION_MAX)
        fail(r, "%s is null by default but may not be null", f->name);
    if (f->tag >= 0 && f->since < r->f->flexible)
        fail(r, "%s has a tag in versions that are not flexible", f->name);
    if (f->tag >= 0 && f->null_since <= VERSION_MAX && f->of != NULL && !f->array)
        fail(r, "%s: a struct with a tag cannot be null", f->name);
    if (f->tag >= 0 && before != NULL && before->tag >= f->tag)
        fail(r, "%s: tags go up", f->name);
    if (f->since > r->f->until)
        fail(r, "%s comes after the last version, %d", f->name, r->f->until);
}

static struct field *add_field(struct reader *r, struct group *g, int depth)
{
    struct field *f = get(sizeof *f), **at = &g->fields, *tagged = NULL;
    for (; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->name, r->words[0]) == 0)
            fail(r, "%s is there twice", r->words[0]);
        if ((*at)->tag >= 0)
            tagged = *at;
    }
    *at = f;
    f->tag = -1;
    f->null_since = VERSION_MAX + 1;
    next_name(r, f->name, sizeof f->name);
    const char *type = next(r, "the type");
    r->at--;
    f->array = strncmp(type, "[]", 2) == 0;
    type += f->array ? 2 : 0;
    if (is_primitive(type)) {
        strcpy(f->type, type);
    } else {
        copy_name(r, f->type, sizeof f->type, type);
        struct group *of = find_group(r->m, type);
        f->of = of != NULL ? of : add_group(r->m, type, g);
    }
    r->at++;
    versions(r, &f->since, &f->until);
    read_options(r, f);
    check_field(r, f, tagged);
    r->last[depth] = f;
    return f;
}

static void read_field(struct reader *r, int depth)
{
    if (r->m == NULL || depth > r->depth + 1 || depth >= DEPTH_MAX)
        fail(r,
             "a field is one step further in than what holds it, and comes after request, response or body");
    if (depth == r->depth + 1) {
        struct field *outer = r->last[r->depth];
        if (outer == NULL || outer->of == NULL)
            fail(r, "only a struct has fields of its own");
        struct group *g = find_group(r->m, outer->type);
        if (g->fields != NULL)
            fail(r, "the fields of %s are told already", outer->type);
        r->open[depth] = g;
        r->last[depth] = NULL;
    }
    r->depth = depth;
    add_field(r, r->open[depth], depth);
}

static void read_head(struct reader *r)
{
    struct file *f = r->f;
    f->api = accept(r, "api");
    if (!f->api && !accept(r, "data"))
        fail(r, "the first line says: api KEY NAME VERSIONS flexible N+, or: data NAME VERSIONS flexible N+");
    f->key = f->api ? (int)number(r, "the key", 0, 1000) : -1;
    next_name(r, f->name, sizeof f->name);
    schema_snake(f->name, f->c_name, sizeof f->c_name);
    versions(r, &f->since, &f->until);
    if (!accept(r, "flexible"))
        fail(r, "flexible and the version is missing");
    f->flexible = accept(r, "none") ? VERSION_MAX + 1 : from_version(r);
    if (f->until == VERSION_MAX || more(r))
        fail(r, "the versions have an end, and flexible N+ or none is the last word");
}

static void read_message(struct reader *r, const char *word)
{
    struct file *f = r->f;
    static const char *const api[] = {"request", "response"};
    if (f->count == (f->api ? 2 : 1) || strcmp(word, f->api ? api[f->count] : "body") != 0)
        fail(r, "what is %s? An api has request and then response, data has a body", word);
    r->m = &f->messages[f->count++];
    int n = snprintf(r->m->c_name, sizeof r->m->c_name, "%s%s%s", f->c_name, f->api ? "_" : "",
                     f->api ? word : "");
    int o = snprintf(r->m->name, sizeof r->m->name, "%s%c%s", f->name,
                     f->api ? toupper((unsigned char)word[0]) : '\0', word + 1);
    if (n >= (int)sizeof r->m->c_name || o >= (int)sizeof r->m->name)
        fail(r, "the name is too long");
    r->open[1] = add_group(r->m, word, NULL);
    r->m->top = r->open[1];
    r->last[1] = NULL;
    r->depth = 1;
}

/* Splits the line; returns its depth: two spaces a step. */
static int split(struct reader *r, char *line)
{
    int indent = 0;
    while (line[indent] == ' ')
        indent++;
    r->count = r->at = 0;
    for (char *save, *w = strtok_r(line, " \n", &save); w != NULL; w = strtok_r(NULL, " \n", &save)) {
        if (r->count == WORDS_MAX)
            fail(r, "more than %d words", WORDS_MAX);
        r->columns[r->count] = (int)(w - line) + 1;
        r->words[r->count++] = w;
    }
    if (r->count > 0 && indent % 2 != 0)
        fail(r, "two spaces a step, not %d", indent);
    return indent / 2;
}

/* What the struct's name repeats of the message's is left out: "fetch_request_topic" of FetchTopic. */
static void name_group(const struct file *f, const struct message *m, struct group *g)
{
    const char *rest = g->name, *const words[] = {f->name, "Request", "Response"};
    char snake[128];
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if (strncmp(rest, words[i], n) == 0 && isupper((unsigned char)rest[n]))
            rest += n;
    }
    schema_snake(rest, snake, sizeof snake);
    snprintf(g->c_name, sizeof g->c_name, "%s%s%s", m->c_name, g == m->top ? "" : "_",
             g == m->top ? "" : snake);
}

static void check_whole(struct reader *r)
{
    r->count = 0;
    if (r->f->count != (r->f->api ? 2 : 1))
        fail(r, "ends early");
    for (int i = 0; i < r->f->count; i++) {
        struct message *m = &r->f->messages[i];
        for (struct group *g = m->groups; g != NULL; g = g->next) {
            if (g->fields == NULL && g != m->top)
                fail(r, "the struct %s has no fields", g->name);
            name_group(r->f, m, g);
            for (struct group *o = m->groups; o != g; o = o->next)
                if (strcmp(o->c_name, g->c_name) == 0)
                    fail(r, "the structs %s and %s have one name in C", o->name, g->name);
        }
    }
}

void schema_read(const char *path, struct file *f)
{
    memset(f, 0, sizeof *f);
    f->path = path;
    struct reader r = {.f = f};
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        perror(path);
        exit(1);
    }
    char line[512];
    while (fgets(line, sizeof line, in) != NULL) {
        r.line++;
        if (strchr(line, '\n') == NULL)
            fail(&r, "the line is too long, or does not end");
        char *comment = strchr(line, '#');
        if (comment != NULL)
            *comment = '\0';
        int depth = split(&r, line);
        if (r.count == 0)
            continue;
        if (f->name[0] == '\0')
            read_head(&r);
        else if (depth == 0)
            read_message(&r, next(&r, "a word"));
        else
            read_field(&r, depth);
    }
    fclose(in);
    check_whole(&r);
}
