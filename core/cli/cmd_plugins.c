/*
 * leat plugins: list, describe. Needs neither hub nor data.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/load.h"

static bool wanted(const struct cli *c, const struct leat_connector *k)
{
    const char *kind = cli_value(c, "kind");
    return !kind || strcmp(kind, k->kind == LEAT_SOURCE ? "source" : "sink") == 0;
}

static const char *exactness(const struct leat_connector *k)
{
    return connector_exact_by_options(k) ? "by options" : k->exact ? "yes" : "no";
}

static json_t *connector_json(const struct leat_connector *k)
{
    json_t *aliases = json_array(), *options = json_array();
    for (size_t i = 0; k->aliases && k->aliases[i]; i++)
        json_array_append_new(aliases, json_string(k->aliases[i]));
    for (size_t i = 0; i < k->option_count; i++) {
        const struct leat_option *o = &k->options[i];
        json_t *j =
            json_pack("{s:s, s:b, s:b, s:s, s:s*, s:s*, s:s*}", "name", o->name, "required",
                      (o->flags & LEAT_REQUIRED) != 0, "secret", (o->flags & LEAT_SECRET) != 0, "doc", o->doc,
                      "default", o->default_value, "choices", o->choices, "example", o->example);
        json_array_append_new(options, j);
    }
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:o}", "type", k->type, "kind",
                     k->kind == LEAT_SOURCE ? "source" : "sink", "summary", k->summary, "exact", k->exact,
                     "exact_by_options", connector_exact_by_options(k), "aliases", aliases, "options",
                     options);
}

static json_t *plugin_json(const struct cli *c, const struct plugin_info *p)
{
    json_t *connectors = json_array();
    for (size_t i = 0; i < p->connector_count; i++)
        if (wanted(c, p->connectors[i]))
            json_array_append_new(connectors, connector_json(p->connectors[i]));
    return json_pack("{s:s, s:s*, s:s*, s:s*, s:o}", "file", p->file, "name", p->name, "version", p->version,
                     "refused", p->refused, "connectors", connectors);
}

int cmd_plugins_list(struct cli *c)
{
    static const char *const titles[] = {"TYPE", "KIND", "EXACT", "VERSION", "SUMMARY"};
    struct err e;
    struct plugins *plugins;
    if (load_plugins(c, NULL, &plugins, &e) != ERR_OK)
        return cli_fail(&e);
    struct table *t = cli_json(c) ? NULL : table_new("lllll", titles);
    json_t *list = t ? NULL : json_array();
    for (size_t i = 0; i < plugins_count(plugins); i++) {
        struct plugin_info p = plugins_at(plugins, i);
        if (list)
            json_array_append_new(list, plugin_json(c, &p));
        for (size_t k = 0; t && k < p.connector_count; k++)
            if (wanted(c, p.connectors[k]))
                table_row(t, p.connectors[k]->type, p.connectors[k]->kind == LEAT_SOURCE ? "source" : "sink",
                          exactness(p.connectors[k]), p.version, p.connectors[k]->summary);
    }
    if (t)
        table_print(t);
    int rc = list ? print_json(list) : EXIT_FINE;
    plugins_close(plugins);
    return rc;
}

static void wrap(const char *text, int indent, int width)
{
    int column = indent;
    printf("%*s", indent, "");
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (column + (int)n > width && column > indent) {
            printf("\n%*s", indent, "");
            column = indent;
        }
        printf("%.*s ", (int)n, text);
        column += (int)n + 1;
        text += n + (text[n] != '\0');
    }
    putchar('\n');
}

static void print_option(const struct leat_option *o)
{
    static const char *const types[] = {"text", "whole number", "number", "true|false",
                                        "list", "duration",     "size",   ""};
    printf("  %s  (%s%s%s%s%s%s)\n", o->name, o->type == LEAT_CHOICE ? o->choices : types[o->type],
           o->flags & LEAT_REQUIRED ? ", required" : "", o->flags & LEAT_SECRET ? ", secret" : "",
           o->flags & LEAT_ACCEPTED ? ", accepted without effect" : "", o->default_value ? ", default " : "",
           o->default_value ? (*o->default_value ? o->default_value : "\"\"") : "");
    wrap(o->doc, 6, 100);
}

static void print_connector(const struct leat_connector *k)
{
    printf("%s %s: %s\n", k->type, k->kind == LEAT_SOURCE ? "source" : "sink", k->summary);
    for (size_t i = 0; k->aliases && k->aliases[i]; i++)
        printf("  stands in for %s\n", k->aliases[i]);
    printf("\nOptions:\n");
    for (size_t i = 0; i < k->option_count; i++)
        print_option(&k->options[i]);
    if (k->example)
        printf("\nExample:\n%s\n", k->example);
}

int cmd_plugins_describe(struct cli *c)
{
    struct err e;
    struct plugins *plugins;
    if (load_plugins(c, NULL, &plugins, &e) != ERR_OK)
        return cli_fail(&e);
    json_t *list = cli_json(c) ? json_array() : NULL;
    size_t found = 0;
    struct connector_catalog catalog = plugins_catalog(plugins);
    const struct leat_connector *k;
    const char *names[128];
    size_t names_n = 0;
    for (size_t i = 0; (k = catalog.at(catalog.arg, i)) != NULL; i++) {
        if (names_n < 128)
            names[names_n++] = k->type;
        if (k != catalog.find(catalog.arg, k->kind, c->args[0]) || !wanted(c, k))
            continue;
        if (list)
            json_array_append_new(list, connector_json(k));
        else if (found)
            putchar('\n');
        if (!list)
            print_connector(k);
        found++;
    }
    const char *near = config_nearest(c->args[0], names, names_n);
    int rc = found ? EXIT_FINE
                   : cli_error(EXIT_MISSING, "there is no connector of type '%s'%s%s", c->args[0],
                               near ? "; did you mean " : "", near ? near : "");
    if (list && found)
        rc = print_json(list);
    else
        json_decref(list);
    plugins_close(plugins);
    return rc;
}

int cmd_version(struct cli *c)
{
    if (cli_json(c))
        return print_json(
            json_pack("{s:s, s:i}", "version", LEAT_VERSION, "plugin_abi", (int)LEAT_ABI_VERSION));
    printf("leat %s (plugin ABI %u)\n", LEAT_VERSION, LEAT_ABI_VERSION);
    return EXIT_FINE;
}
