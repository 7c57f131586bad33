/*
 * plugins: loads the shared objects of the plugin directories and is the catalog of what they offer. One that
 * does not fit is closed again and kept in the list with the reason. Built once, by one thread; read-only
 * after that.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "connect/connect.h"
#include "connect/plugin_check.h"

struct plugin {
    char *file;
    void *handle;
    char *refused;
    const struct leat_plugin *desc; /* NULL: refused */
};
struct plugins {
    struct plugin *items;
    size_t count, cap;
};

static struct plugin *add_plugin(struct plugins *p, const char *dir, const char *name)
{
    if (p->count == p->cap) {
        size_t cap = p->cap == 0 ? 8 : p->cap * 2;
        struct plugin *items = mem_realloc_array(p->items, cap, sizeof(*items));
        if (items == NULL)
            return NULL;
        p->items = items;
        p->cap = cap;
    }
    struct plugin *one = &p->items[p->count];
    *one = (struct plugin){.file = name == NULL ? mem_strdup(dir) : mem_printf("%s/%s", dir, name)};
    if (one->file == NULL)
        return NULL;
    p->count++;
    return one;
}

static bool kinds_clash(const struct leat_connector *a, const struct leat_connector *b)
{
    if (a->kind != b->kind)
        return false;
    if (strcmp(a->type, b->type) == 0)
        return true;
    for (size_t i = 0; a->aliases != NULL && a->aliases[i] != NULL; i++) {
        for (size_t k = 0; b->aliases != NULL && b->aliases[k] != NULL; k++) {
            if (strcmp(a->aliases[i], b->aliases[k]) == 0)
                return true;
        }
    }
    return false;
}

/* What the plugin offers must not be there already, from another plugin or from itself. */
static int check_unique(const struct plugins *p, const struct leat_plugin *desc, struct err *e)
{
    for (size_t i = 0; i < desc->connector_count; i++) {
        const struct leat_connector *c = desc->connectors[i];
        const char *kind = c->kind == LEAT_SOURCE ? "source" : "sink";
        for (size_t k = 0; k < i; k++) {
            if (kinds_clash(c, desc->connectors[k]))
                return err_set(e, ERR_PLUGIN, "it offers the %s %s twice", kind, c->type);
        }
        for (size_t n = 0; n < p->count; n++) {
            const struct leat_plugin *other = p->items[n].desc;
            for (size_t k = 0; other != NULL && k < other->connector_count; k++) {
                if (kinds_clash(c, other->connectors[k]))
                    return err_set(e, ERR_PLUGIN, "the %s %s (or an alias of it) is offered by %s already",
                                   kind, c->type, p->items[n].file);
            }
        }
    }
    return ERR_OK;
}

static int check_elf(const char *file, struct err *e)
{
    int fd;
    char magic[4];
    size_t got;
    if (io_open(&fd, file, O_RDONLY, 0, e) != ERR_OK)
        return e->code;
    int rc = io_pread_some(fd, magic, sizeof(magic), 0, &got, file, e);
    io_close(fd);
    if (rc == ERR_OK && (got != sizeof(magic) || memcmp(magic, "\177ELF", 4) != 0))
        return err_set(e, ERR_PLUGIN, "it is not a shared object");
    return rc;
}

static int load(struct plugins *p, struct plugin *one, struct err *e)
{
    if (check_elf(one->file, e) != ERR_OK)
        return e->code;
    one->handle = dlopen(one->file, RTLD_NOW | RTLD_LOCAL);
    if (one->handle == NULL) {
        const char *why = dlerror();
        return err_set(e, ERR_PLUGIN, "it cannot be loaded: %s", why == NULL ? "unknown reason" : why);
    }
    const struct leat_plugin *desc = dlsym(one->handle, LEAT_PLUGIN_SYMBOL);
    if (desc == NULL)
        return err_set(e, ERR_PLUGIN, "it has no symbol %s, so it is not a plugin of Leat",
                       LEAT_PLUGIN_SYMBOL);
    if (plugin_check(desc, e) != ERR_OK || check_unique(p, desc, e) != ERR_OK)
        return e->code;
    one->desc = desc;
    return ERR_OK;
}

/* Keeps the reason; out of memory is the only error of its own. */
static int refuse(struct plugin *one, struct err *e)
{
    if (e->code == ERR_NO_MEMORY)
        return e->code;
    diag_warn("plugins", "%s is refused: %s", one->file, e->text);
    if (one->handle != NULL)
        dlclose(one->handle);
    one->handle = NULL;
    one->refused = mem_strdup(e->text);
    return one->refused == NULL ? err_nomem(e) : ERR_OK;
}

struct names {
    char **items;
    size_t count;
};

static int collect(void *arg, const char *name, struct err *e)
{
    struct names *names = arg;
    size_t n = strlen(name);
    if (n <= 3 || strcmp(name + n - 3, ".so") != 0)
        return ERR_OK;
    char **items = mem_realloc_array(names->items, names->count + 1, sizeof(*items));
    if (items == NULL)
        return err_nomem(e);
    names->items = items;
    items[names->count] = mem_strdup(name);
    return items[names->count++] == NULL ? err_nomem(e) : ERR_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int load_dir(struct plugins *p, const char *dir, struct err *e)
{
    struct names names = {0};
    int rc = io_list(dir, collect, &names, e);
    if (rc == ERR_OK && names.count > 0)
        qsort(names.items, names.count, sizeof(*names.items), compare);
    for (size_t i = 0; rc == ERR_OK && i < names.count; i++) {
        struct plugin *one = add_plugin(p, dir, names.items[i]);
        rc = one == NULL ? err_nomem(e) : load(p, one, e);
        if (rc != ERR_OK && one != NULL)
            rc = refuse(one, e);
    }
    if (rc != ERR_OK &&
        rc != ERR_NO_MEMORY) { /* a directory that cannot be read is listed, with the reason */
        struct plugin *one = add_plugin(p, dir, NULL);
        rc = one == NULL ? err_nomem(e) : refuse(one, e);
    }
    for (size_t i = 0; i < names.count; i++)
        mem_free(names.items[i]);
    mem_free(names.items);
    return rc;
}

int plugins_open(const char *const *dirs, size_t n, struct plugins **out, struct err *e)
{
    *out = NULL;
    struct plugins *p = mem_calloc(1, sizeof(*p));
    if (p == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++) {
        if (load_dir(p, dirs[i], e) != ERR_OK) {
            plugins_close(p);
            return e->code;
        }
    }
    *out = p;
    return ERR_OK;
}

void plugins_close(struct plugins *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].handle != NULL)
            dlclose(p->items[i].handle);
        mem_free(p->items[i].file);
        mem_free(p->items[i].refused);
    }
    mem_free(p->items);
    mem_free(p);
}

size_t plugins_count(const struct plugins *p)
{
    return p->count;
}

struct plugin_info plugins_at(const struct plugins *p, size_t i)
{
    const struct plugin *one = &p->items[i];
    struct plugin_info info = {.file = one->file, .refused = one->refused};
    if (one->desc != NULL) {
        info.name = one->desc->name;
        info.version = one->desc->version;
        info.built_for = one->desc->built_for;
        info.connectors = one->desc->connectors;
        info.connector_count = one->desc->connector_count;
    }
    return info;
}

/* A Kafka Connect class is named in full, or by its last part with or without "Connector". */
static bool alias_fits(const char *alias, const char *type)
{
    if (strcmp(alias, type) == 0)
        return true;
    const char *dot = strrchr(alias, '.');
    const char *simple = dot == NULL ? alias : dot + 1;
    size_t n = strlen(simple), suffix = strlen("Connector");
    if (strcmp(simple, type) == 0)
        return true;
    return n > suffix && strcmp(simple + n - suffix, "Connector") == 0 && strlen(type) == n - suffix &&
           memcmp(simple, type, n - suffix) == 0;
}

static const struct leat_connector *connector_at(void *arg, size_t i)
{
    const struct plugins *p = arg;
    for (size_t n = 0; n < p->count; n++) {
        const struct leat_plugin *desc = p->items[n].desc;
        if (desc == NULL)
            continue;
        if (i < desc->connector_count)
            return desc->connectors[i];
        i -= desc->connector_count;
    }
    return NULL;
}

static const struct leat_connector *find_connector(void *arg, enum leat_kind kind, const char *type)
{
    const struct leat_connector *c;
    for (size_t i = 0; (c = connector_at(arg, i)) != NULL; i++) {
        if (c->kind == kind && strcmp(c->type, type) == 0)
            return c;
    }
    for (size_t i = 0; (c = connector_at(arg, i)) != NULL; i++) {
        for (size_t k = 0; c->kind == kind && c->aliases != NULL && c->aliases[k] != NULL; k++) {
            if (alias_fits(c->aliases[k], type))
                return c;
        }
    }
    return NULL;
}

struct connector_catalog plugins_catalog(struct plugins *p)
{
    return (struct connector_catalog){p, find_connector, connector_at};
}
