/*
 * cluster: see cluster.h. The file is Java's kind of properties file as far as Kafka's own go: name=value, # and ! begin
 * comments; no continued lines and no escapes.
 */
#include "cli/cluster.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#define FILE_MAX ((size_t)1 << 20)

static void add(struct cluster_properties *p, const char *name, const char *value)
{
    struct client_property *more = mem_realloc_array(p->list, p->count + 1, sizeof *more);
    if (!more)
        cli_out_of_memory();
    p->list = more;
    p->list[p->count++] = (struct client_property){name, value};
}

/* Without blanks around it; changes the text. */
static char *trimmed(char *s)
{
    s += strspn(s, " \t\r\f");
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

/* One "name=value"; false if it is none. The text must stay, and is changed. */
static bool take(struct cluster_properties *p, char *text)
{
    char *eq = strchr(text, '=');
    if (!eq)
        return false;
    *eq = '\0';
    char *name = trimmed(text);
    if (*name)
        add(p, name, trimmed(eq + 1));
    return *name != '\0';
}

static int take_file(const char *path, struct cluster_properties *p, char *text)
{
    int line = 0;
    for (char *next = text; next;) {
        char *at = next, *newline = strchr(at, '\n');
        next = newline ? newline + 1 : NULL;
        if (newline)
            *newline = '\0';
        line++;
        at = trimmed(at);
        if (*at && *at != '#' && *at != '!' && !take(p, at))
            return cli_error(EXIT_USAGE, "%s:%d: is not NAME=VALUE", path, line);
    }
    return -1;
}

/* The file's text, then the command line's, each ended by a NUL, in one piece that is changed in place. */
static int gather(const struct cli *c, struct buf *all, struct err *e)
{
    const char *path = cli_value(c, "command-config");
    const char *const *items;
    size_t n = cli_values(c, "command-property", &items);
    char *text = NULL;
    size_t len = 0;
    int rc = path ? io_read_file(path, FILE_MAX, &text, &len, e) : ERR_OK;
    if (rc == ERR_OK && len && memchr(text, 0, len))
        rc = err_set(e, ERR_INVALID, "%s: has NUL bytes", path);
    if (rc == ERR_OK)
        rc = buf_append(all, text, len, e);
    if (rc == ERR_OK)
        rc = buf_u8(all, 0, e);
    mem_free(text);
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        rc = buf_append(all, items[i], strlen(items[i]) + 1, e);
    return rc;
}

int cluster_properties(const struct cli *c, struct cluster_properties *out)
{
    const char *const *items;
    struct err e;
    struct buf all;
    size_t n = cli_values(c, "command-property", &items);
    *out = (struct cluster_properties){0};
    buf_init(&all, 2 * FILE_MAX);
    int rc = gather(c, &all, &e);
    out->text = (char *)all.data;
    if (rc)
        return cli_fail(&e);
    char *at = out->text + strlen(out->text) + 1;
    rc = take_file(cli_value(c, "command-config"), out, out->text);
    for (size_t i = 0; rc == -1 && i < n; i++) {
        char *next = at + strlen(at) + 1;
        if (!take(out, at))
            return cli_error(EXIT_USAGE, "--command-property: '%s' is not NAME=VALUE", items[i]);
        at = next;
    }
    return rc;
}

void cluster_properties_free(struct cluster_properties *p)
{
    mem_free(p->list);
    mem_free(p->text);
}
