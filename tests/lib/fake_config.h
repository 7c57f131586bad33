/*
 * fake_config: options of one connector as text, for hosts of unit tests: leat_host's get_* over a connector's option table.
 * Without memory of ours, as tests make that fail. One thread.
 */
#ifndef LEAT_TESTS_FAKE_CONFIG_H
#define LEAT_TESTS_FAKE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/plugin.h"

#define FAKE_PAIRS_MAX 64
#define FAKE_LISTS_MAX 24
#define FAKE_ITEMS_MAX 16

struct fake_pair {
    const char *name, *value;
};

/* `options`, `option_count` and `pairs` may be filled in directly. */
struct leat_config {
    const struct leat_option *options;
    size_t option_count;
    struct fake_pair pairs[FAKE_PAIRS_MAX + 1]; /* ended by a NULL name */
    char *copies[FAKE_PAIRS_MAX];               /* of values that fake_config_set gave */
    struct fake_items {                         /* lists that were asked for */
        const char *name;
        char text[4096];
        const char *items[FAKE_ITEMS_MAX];
        size_t n;
    } lists[FAKE_LISTS_MAX];
};

void fake_config_init(struct leat_config *c, const struct leat_connector *connector);
/* Copies the value; an earlier one of that name is replaced. */
void fake_config_set(struct leat_config *c, const char *name, const char *value);
void fake_config_free(struct leat_config *c);

/* As those of leat_host; a name that the table does not have, or a value that does not fit, fails the test. */
const char *fake_get_str(const struct leat_config *c, const char *name);
int64_t fake_get_int(const struct leat_config *c, const char *name);
double fake_get_double(const struct leat_config *c, const char *name);
bool fake_get_bool(const struct leat_config *c, const char *name);
size_t fake_get_list(const struct leat_config *c, const char *name, const char *const **items);
bool fake_is_set(const struct leat_config *c, const char *name);

bool fake_next_option(const struct leat_config *c, size_t *cursor, const char **name, const char **value);

#define FAKE_CONFIG_GETTERS                                                                                  \
    .get_str = fake_get_str, .get_int = fake_get_int, .get_double = fake_get_double,                         \
    .get_bool = fake_get_bool, .get_list = fake_get_list, .is_set = fake_is_set,                             \
    .next_option = fake_next_option

#endif
