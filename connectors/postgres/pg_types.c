/*
 * pg_types: the modes and what all columns share. See pg_types.h.
 */
#include "pg_types.h"

#include <string.h>

#include "base/mem.h"
#include "pg_decode.h"
#include "pg_modes.h"
#include "pg_query.h"

/* "hex:0a0b": bytes; else the text itself. */
static int set_placeholder(struct pg_types *t, const char *text, struct err *e)
{
    size_t n = strlen(text);
    bool hex = strncmp(text, "hex:", 4) == 0;
    if (!hex) {
        t->placeholder = mem_strdup(text);
        t->placeholder_len = n;
        return t->placeholder ? ERR_OK : err_nomem(e);
    }
    t->placeholder_len = (n - 4) / 2;
    t->placeholder = mem_alloc(t->placeholder_len + 1);
    if (!t->placeholder)
        return err_nomem(e);
    for (size_t i = 4; i < n; i++) {
        unsigned v = pg_hex_value[(uint8_t)text[i]];
        if (v > 15 || n % 2)
            return err_set(
                e, ERR_INVALID_CONFIG,
                "unavailable.value.placeholder: after hex: there must be pairs of hexadecimal digits");
        char *byte = &t->placeholder[(i - 4) / 2];
        *byte = (char)(i % 2 ? (unsigned)(uint8_t)*byte | v : v << 4);
    }
    t->placeholder[t->placeholder_len] = '\0';
    for (const uint8_t *p = (const uint8_t *)t->placeholder, *end = p + t->placeholder_len; p < end;) {
        size_t k = utf8_length(p, (size_t)(end - p));
        if (k == 0)
            return err_set(e, ERR_INVALID_CONFIG, "unavailable.value.placeholder: its bytes are no UTF-8");
        p += k;
    }
    return ERR_OK;
}

int pg_types_make(const struct pg_modes *modes, const char *placeholder, struct pg_types **out, struct err *e)
{
    struct pg_types *t = mem_calloc(1, sizeof(*t));
    *out = NULL;
    if (!t)
        return err_nomem(e);
    t->modes = *modes;
    int rc = set_placeholder(t, placeholder, e);
    if (rc != ERR_OK) {
        pg_types_free(t);
        return rc;
    }
    *out = t;
    return ERR_OK;
}

struct pg_types *pg_types_new(const struct leat_host *host, const struct leat_config *config, struct err *e)
{
    const struct pg_modes modes = {
        .decimal = (enum pg_decimal_mode)host->get_int(config, "decimal.handling.mode"),
        .time = (enum pg_time_mode)host->get_int(config, "time.precision.mode"),
        .interval = (enum pg_interval_mode)host->get_int(config, "interval.handling.mode"),
        .binary = (enum pg_binary_mode)host->get_int(config, "binary.handling.mode"),
        .hstore = (enum pg_hstore_mode)host->get_int(config, "hstore.handling.mode"),
        .money_digits = (int32_t)host->get_int(config, "money.fraction.digits"),
        .money_scale = 2,
        .include_unknown = host->get_bool(config, "include.unknown.datatypes"),
    };
    struct pg_types *t;
    pg_types_make(&modes, host->get_str(config, "unavailable.value.placeholder"), &t, e);
    return t;
}

/* One digit before the point, whatever the sign of the currency: 0.00. None of them is of a locale that has other digits. */
int pg_types_ask_money(struct pg_types *t, PGconn *as_set, struct err *e)
{
    PGresult *r = pg_query(as_set, e, "cannot ask how money is stored", "SELECT 0::money", 0, NULL);
    if (!r)
        return e->code;
    int32_t digits = 0;
    for (const char *p = PQgetvalue(r, 0, 0); *p; p++)
        digits += pg_is_digit((uint8_t)*p);
    int rc = ERR_OK;
    if (digits < 1 || digits > PG_MONEY_SCALE_MAX + 1)
        rc = err_set(e, ERR_REMOTE, "the server writes no money as '%s'", PQgetvalue(r, 0, 0));
    else
        t->modes.money_scale = digits - 1;
    PQclear(r);
    return rc;
}

void pg_types_free(struct pg_types *t)
{
    if (!t)
        return;
    pg_types_end_thread();
    mem_free(t->placeholder);
    mem_free(t);
}
