/*
 * output: tables, figures and errors as a person reads them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "http/json_bytes.h"

int cli_error(int exit_code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("leat: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return exit_code;
}

int cli_exit_for(int code)
{
    switch (code) {
    case ERR_INVALID_CONFIG:
        return EXIT_CONFIG;
    case ERR_NOT_FOUND:
    case ERR_UNKNOWN_TOPIC:
    case ERR_UNKNOWN_TOPIC_ID:
    case ERR_UNKNOWN_GROUP:
        return EXIT_MISSING;
    case ERR_LOCKED:
    case ERR_BUSY:
    case ERR_GROUP_NOT_EMPTY:
        return EXIT_BUSY;
    default:
        return EXIT_FAILED;
    }
}

int cli_fail(const struct err *e)
{
    return cli_error(cli_exit_for(e->code), "%s", e->text);
}

void cli_out_of_memory(void)
{
    exit(cli_error(EXIT_FAILED, "out of memory"));
}

json_t *cli_text(const char *text)
{
    size_t n = strlen(text);
    if (!bytes_are_text(text, n))
        exit(cli_error(EXIT_USAGE, "'%s' is not UTF-8", text));
    json_t *j = json_stringn(text, n);
    if (!j)
        cli_out_of_memory();
    return j;
}

int cli_flush(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_FINE;
    /* `leat consume t | head` is no mistake. */
    return errno == EPIPE ? EXIT_FAILED
                          : cli_error(EXIT_FAILED, "cannot write to standard output%s%s", errno ? ": " : "",
                                      errno ? strerror(errno) : "");
}

/* ---- tables
 * ------------------------------------------------------------------------------------------------- */

#define COLUMNS_MAX 12

struct table {
    char right[COLUMNS_MAX + 1];
    size_t columns, rows;
    char **cells;
};

static void add_cell(struct table *t, size_t column, const char *text)
{
    size_t i = t->rows * t->columns + column;
    if (column == 0) {
        t->cells = mem_realloc_array(t->cells, (t->rows + 1) * t->columns, sizeof *t->cells);
        if (!t->cells)
            cli_out_of_memory();
    }
    t->cells[i] = mem_strdup(text ? text : "-");
    if (!t->cells[i])
        cli_out_of_memory();
}

struct table *table_new(const char *right, const char *const *titles)
{
    struct table *t = mem_calloc(1, sizeof *t);
    if (!t)
        cli_out_of_memory();
    t->columns = strlen(right);
    memcpy(t->right, right, t->columns);
    for (size_t i = 0; i < t->columns; i++)
        add_cell(t, i, titles[i]);
    t->rows = 1;
    return t;
}

void table_row(struct table *t, ...)
{
    va_list ap;
    va_start(ap, t);
    for (size_t i = 0; i < t->columns; i++)
        add_cell(t, i, va_arg(ap, const char *));
    va_end(ap);
    t->rows++;
}

void table_cells(struct table *t, const char *const *cells)
{
    for (size_t i = 0; i < t->columns; i++)
        add_cell(t, i, cells[i]);
    t->rows++;
}

/* How many columns the text takes: its UTF-8 characters. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void table_print(struct table *t)
{
    size_t widths[COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        size_t n = width_of(t->cells[i]), *w = &widths[i % t->columns];
        *w = n > *w ? n : *w;
    }
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        size_t column = i % t->columns;
        bool last = column + 1 == t->columns, right = t->right[column] == 'r';
        int pad = (int)(widths[column] - width_of(t->cells[i]));
        printf("%*s%s%*s%s", right ? pad : 0, "", t->cells[i], right || last ? 0 : pad, "",
               last ? "\n" : "  ");
        mem_free(t->cells[i]);
    }
    mem_free(t->cells);
    mem_free(t);
}

#define RING_TEXT 40

static char *ring(void)
{
    static char cells[32][RING_TEXT];
    static unsigned next;
    return cells[next++ % 32];
}

const char *show_int(int64_t v)
{
    char *s = ring();
    snprintf(s, RING_TEXT, "%lld", (long long)v);
    return s;
}

/* Three digits are enough for a person; below the first unit whole numbers (rates: one decimal). */
static const char *scaled(double v, double step, const char *const *units, bool tenths)
{
    char *s = ring();
    int u = 0, decimals = 0;
    for (; v >= step * 0.9995 && units[u + 1]; u++)
        v /= step;
    if (u)
        decimals = v < 10 ? 2 : v < 100 ? 1 : 0;
    else if (tenths && v < 10 && v != (double)(int)v)
        decimals = 1;
    snprintf(s, RING_TEXT, "%.*f%s", decimals, v, units[u]);
    return s;
}

const char *show_bytes(double v)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", NULL};
    return scaled(v, 1024, units, false);
}

const char *show_count(double v)
{
    static const char *const units[] = {"", "k", "M", "G", "T", NULL};
    return scaled(v, 1000, units, true);
}

const char *show_duration(int64_t ms)
{
    char *s = ring();
    int64_t sec = ms > 0 ? ms / 1000 : 0;
    if (sec < 120)
        snprintf(s, RING_TEXT, "%llds", (long long)sec);
    else if (sec < 7200)
        snprintf(s, RING_TEXT, "%lldm", (long long)sec / 60);
    else if (sec < 172800)
        snprintf(s, RING_TEXT, "%lldh", (long long)sec / 3600);
    else
        snprintf(s, RING_TEXT, "%lldd", (long long)sec / 86400);
    return s;
}

const char *show_ago(int64_t wall_ms)
{
    if (wall_ms <= 0)
        return "never";
    int64_t ms = clock_wall_ms() - wall_ms;
    if (ms < 1000)
        return "now";
    char *s = ring();
    snprintf(s, RING_TEXT, "%s ago", show_duration(ms));
    return s;
}

/* ---- JSON
 * ----------------------------------------------------------------------------------------------------- */

int print_json(json_t *j)
{
    if (!j)
        cli_out_of_memory();
    /* A failure of stdout stays in its error flag, for cli_flush. */
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6) | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(j);
    return cli_flush();
}

const char *member_text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "-";
}

int64_t member_int(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

double member_number(const json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}
