/*
 * output: tables, figures and errors as a person reads them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"

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

static int exit_for(int code)
{
    switch (code) {
    case ERR_INVALID_CONFIG:
        return EXIT_CONFIG;
    case ERR_NOT_FOUND:
    case ERR_UNKNOWN_TOPIC:
    case ERR_UNKNOWN_GROUP:
        return EXIT_MISSING;
    case ERR_LOCKED:
    case ERR_BUSY:
        return EXIT_BUSY;
    default:
        return EXIT_FAILED;
    }
}

int cli_fail(const struct err *e)
{
    return cli_error(exit_for(e->code), "%s", e->text);
}

/* ---- tables
 * ------------------------------------------------------------------------------------------------- */

#define COLUMNS_MAX 12

struct table {
    char right[COLUMNS_MAX + 1];
    size_t columns, rows;
    char **cells;
};

static void out_of_memory(void)
{
    cli_error(EXIT_FAILED, "out of memory");
    exit(EXIT_FAILED);
}

static void add_cell(struct table *t, size_t column, const char *text)
{
    size_t i = t->rows * t->columns + column;
    if (column == 0) {
        t->cells = mem_realloc_array(t->cells, (t->rows + 1) * t->columns, sizeof *t->cells);
        if (!t->cells)
            out_of_memory();
    }
    t->cells[i] = mem_strdup(text ? text : "-");
    if (!t->cells[i])
        out_of_memory();
}

struct table *table_new(const char *right, const char *const *titles)
{
    struct table *t = mem_calloc(1, sizeof *t);
    if (!t)
        out_of_memory();
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

void table_print(struct table *t)
{
    size_t widths[COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        size_t n = strlen(t->cells[i]), *w = &widths[i % t->columns];
        *w = n > *w ? n : *w;
    }
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        size_t column = i % t->columns;
        bool last = column + 1 == t->columns;
        int width = (int)widths[column];
        if (t->right[column] == 'r')
            printf("%*s%s", width, t->cells[i], last ? "\n" : "  ");
        else
            printf("%-*s%s", last ? 0 : width, t->cells[i], last ? "\n" : "  ");
        mem_free(t->cells[i]);
    }
    mem_free(t->cells);
    mem_free(t);
}

static char *ring(void)
{
    static char cells[16][32];
    static unsigned next;
    return cells[next++ % 16];
}

const char *show_int(int64_t v)
{
    char *s = ring();
    snprintf(s, 32, "%lld", (long long)v);
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
    snprintf(s, 32, "%.*f%s", decimals, v, units[u]);
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

const char *show_ago(int64_t wall_ms)
{
    if (wall_ms <= 0)
        return "never";
    char *s = ring();
    int64_t sec = (clock_wall_ms() - wall_ms) / 1000;
    if (sec < 1)
        snprintf(s, 32, "now");
    else if (sec < 120)
        snprintf(s, 32, "%llds ago", (long long)sec);
    else if (sec < 7200)
        snprintf(s, 32, "%lldm ago", (long long)sec / 60);
    else if (sec < 172800)
        snprintf(s, 32, "%lldh ago", (long long)sec / 3600);
    else
        snprintf(s, 32, "%lldd ago", (long long)sec / 86400);
    return s;
}

int print_json(json_t *j)
{
    int failed = json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(j);
    return failed || fflush(stdout) != 0 ? cli_error(EXIT_FAILED, "cannot write to standard output")
                                         : EXIT_FINE;
}
