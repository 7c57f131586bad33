/*
 * fake_config: see fake_config.h.
 */
#include "tests/lib/fake_config.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/testkit.h"

static const struct leat_option *option_of(const struct leat_config *c, const char *name)
{
    for (size_t i = 0; i < c->option_count; i++)
        if (strcmp(c->options[i].name, name) == 0)
            return &c->options[i];
    for (size_t i = 0; i < c->option_count; i++)
        if (strchr(c->options[i].name, '*') && fnmatch(c->options[i].name, name, 0) == 0)
            return &c->options[i];
    fail_msg("no option '%s' in the table", name);
    return NULL;
}

/* Those given that no row has by name, sorted; one whose form no row has fails the test. */
bool fake_next_option(const struct leat_config *c, size_t *cursor, const char **name, const char **value)
{
    const struct fake_pair *found[FAKE_PAIRS_MAX];
    size_t n = 0;
    for (const struct fake_pair *p = c->pairs; p->name; p++) {
        bool row = false, form = false;
        for (size_t i = 0; i < c->option_count; i++) {
            row |= strcmp(c->options[i].name, p->name) == 0;
            form |= strchr(c->options[i].name, '*') && fnmatch(c->options[i].name, p->name, 0) == 0;
        }
        if (!row && !form)
            fail_msg("no option '%s' in the table", p->name);
        size_t at = n;
        for (; !row && at > 0 && strcmp(found[at - 1]->name, p->name) > 0; at--)
            found[at] = found[at - 1];
        if (!row) {
            found[at] = p;
            n++;
        }
    }
    if (*cursor >= n)
        return false;
    *name = found[*cursor]->name;
    *value = found[(*cursor)++]->value;
    return true;
}

static size_t place_of(const struct leat_config *c, const char *name)
{
    size_t i = 0;
    while (c->pairs[i].name && strcmp(c->pairs[i].name, name) != 0)
        i++;
    return i;
}

void fake_config_init(struct leat_config *c, const struct leat_connector *connector)
{
    memset(c, 0, sizeof(*c));
    c->options = connector->options;
    c->option_count = connector->option_count;
}

void fake_config_set(struct leat_config *c, const char *name, const char *value)
{
    size_t i = place_of(c, name);
    assert_true(i < FAKE_PAIRS_MAX);
    free(c->copies[i]);
    c->copies[i] = strdup(value);
    assert_non_null(c->copies[i]);
    c->pairs[i] = (struct fake_pair){name, c->copies[i]};
    for (size_t k = 0; k < FAKE_LISTS_MAX; k++)
        if (c->lists[k].name && strcmp(c->lists[k].name, name) == 0)
            c->lists[k].name = NULL;
}

void fake_config_free(struct leat_config *c)
{
    for (size_t i = 0; i < FAKE_PAIRS_MAX; i++)
        free(c->copies[i]);
    memset(c->copies, 0, sizeof(c->copies));
    memset(c->pairs, 0, sizeof(c->pairs));
}

const char *fake_get_str(const struct leat_config *c, const char *name)
{
    const struct leat_option *o = option_of(c, name);
    size_t i = place_of(c, name);
    return c->pairs[i].name ? c->pairs[i].value : o->default_value;
}

static int64_t choice_of(const char *choices, const char *value)
{
    int64_t i = 0;
    for (const char *p = choices; p; i++) {
        size_t n = strcspn(p, "|");
        if (strlen(value) == n && memcmp(p, value, n) == 0)
            return i;
        p = p[n] ? p + n + 1 : NULL;
    }
    fail_msg("'%s' is none of %s", value, choices);
    return -1;
}

int64_t fake_get_int(const struct leat_config *c, const char *name)
{
    static const struct {
        const char *name;
        int64_t factor;
    } units[] = {{"", 1},         {"ms", 1},        {"s", 1000},      {"m", 60000},    {"h", 3600000},
                 {"d", 86400000}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    const struct leat_option *o = option_of(c, name);
    const char *text = fake_get_str(c, name);
    if (!text)
        return 0;
    if (o->type == LEAT_CHOICE)
        return choice_of(o->choices, text);
    char *unit;
    int64_t v = strtoll(text, &unit, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(units[i].name, unit) == 0)
            return v * units[i].factor;
    fail_msg("%s: '%s' has an unknown unit", name, text);
    return 0;
}

double fake_get_double(const struct leat_config *c, const char *name)
{
    const char *text = fake_get_str(c, name);
    return text ? strtod(text, NULL) : 0;
}

bool fake_get_bool(const struct leat_config *c, const char *name)
{
    const char *text = fake_get_str(c, name);
    return text && strcmp(text, "true") == 0;
}

/* Split at commas where it is asked for first; the items live as long as the options. */
size_t fake_get_list(const struct leat_config *c, const char *name, const char *const **items)
{
    struct fake_items *l = ((struct leat_config *)(uintptr_t)c)->lists, *free_one = NULL;
    const char *text = fake_get_str(c, name);
    for (size_t k = 0; k < FAKE_LISTS_MAX; k++, l++) {
        if (l->name && strcmp(l->name, name) == 0) {
            *items = l->items;
            return l->n;
        }
        if (!l->name && !free_one)
            free_one = l;
    }
    assert_non_null(free_one);
    l = free_one;
    l->name = name;
    l->n = 0;
    *items = l->items;
    if (!text || !*text)
        return 0;
    assert_true(strlen(text) < sizeof(l->text));
    snprintf(l->text, sizeof(l->text), "%s", text);
    char *rest = l->text;
    for (char *item; (item = strsep(&rest, ",")) != NULL;) {
        assert_true(l->n < FAKE_ITEMS_MAX);
        l->items[l->n++] = item;
    }
    return l->n;
}

bool fake_is_set(const struct leat_config *c, const char *name)
{
    option_of(c, name);
    return c->pairs[place_of(c, name)].name != NULL;
}
