/*
 * load: see load.h.
 */
#include "cli/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "http/json_bytes.h"

/* "<directory of the program>/plugins", or "<PREFIX>/lib/leat/plugins". */
static char *default_dir(void)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n > 0) {
        exe[n] = '\0';
        char *slash = strrchr(exe, '/');
        char *beside = slash ? mem_printf("%.*s/plugins", (int)(slash - exe), exe) : NULL;
        char *installed = slash ? mem_printf("%.*s/../lib/leat/plugins", (int)(slash - exe), exe) : NULL;
        char *found = beside && io_exists(beside)         ? beside
                      : installed && io_exists(installed) ? installed
                                                          : NULL;
        if (found != beside)
            mem_free(beside);
        if (found != installed)
            mem_free(installed);
        if (found)
            return found;
    }
    return mem_strdup(LEAT_PREFIX "/lib/leat/plugins");
}

int load_plugins(const struct cli *c, const struct hub_config *hub, struct plugins **out, struct err *e)
{
    const char *const *dirs;
    size_t n = cli_values(c, "plugin-path", &dirs);
    char *fallback = NULL;
    const char *only[1];
    if (n == 0 && hub && hub->plugin_path_count) {
        dirs = (const char *const *)hub->plugin_path;
        n = hub->plugin_path_count;
    }
    if (n == 0) {
        fallback = default_dir();
        if (!fallback)
            return err_nomem(e);
        only[0] = fallback;
        dirs = only;
        n = 1;
    }
    int rc = plugins_open(dirs, n, out, e);
    mem_free(fallback);
    return rc;
}

char *load_path(const char *name, int *exit_code)
{
    char *path = realpath(name, NULL);
    if (path)
        return path;
    int errnum = errno;
    *exit_code = errnum == ENOENT ? cli_error(EXIT_MISSING, "there is no %s", name)
                                  : cli_error(EXIT_FAILED, "%s: %s", name, strerror(errnum));
    return NULL;
}

int load_problems_text(const struct problems *p, struct buf *out, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < p->count; i++) {
        rc = problem_print(&p->items[i], out, e);
        if (rc == ERR_OK)
            rc = buf_str(out, "\n", e);
    }
    return rc;
}

json_t *load_problems_json(const struct problems *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->count; i++) {
        json_t *o =
            json_pack("{s:o, s:i, s:i, s:o}", "file", json_text(p->items[i].file), "line", p->items[i].line,
                      "column", p->items[i].column, "message", json_text(p->items[i].text));
        if (json_array_append_new(list, o) != 0)
            cli_out_of_memory();
    }
    return list;
}

void load_show_problems(const struct cli *c, struct problems *p, struct problems *warnings)
{
    struct err e;
    struct buf text;
    struct problems none;
    problems_init(&none);
    struct problems *doubts = warnings ? warnings : &none;
    buf_init(&text, 16 << 20);
    problems_sort(p);
    problems_sort(doubts);
    if (cli_json(c)) {
        print_json(json_pack("{s:o, s:o}", "problems", load_problems_json(p), "warnings",
                             load_problems_json(doubts)));
    } else if (load_problems_text(p, &text, &e) != ERR_OK ||
               load_problems_text(doubts, &text, &e) != ERR_OK) {
        cli_fail(&e);
    } else if (text.len) {
        fwrite(text.data, 1, text.len, stderr);
    }
    buf_free(&text);
    problems_free(p);
    problems_free(doubts);
}
