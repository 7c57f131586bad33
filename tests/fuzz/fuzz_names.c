/*
 * Fuzzes what operators write into names and records into time fields: templates, patterns, times. The first byte picks.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kit/partitioner.h"
#include "kit/template.h"

static void format_template(const char *text)
{
    static const struct template_values v = {.topic = "t",
                                             .encoded_partition = "p=1",
                                             .connector = "c",
                                             .extension = ".json",
                                             .time_ms = 1763665263004};
    struct err e;
    struct template *t;
    struct buf b;
    if (template_parse(text, NULL, &t, &e) != ERR_OK)
        return;
    buf_init(&b, 1 << 20);
    if (template_format(t, &v, &b, &e) != ERR_OK)
        abort();
    buf_free(&b);
    template_free(t);
}

/* A pattern that passes the check can be formatted. */
static void format_pattern(const char *text)
{
    struct err e;
    struct buf b;
    if (joda_check(text, &e) != ERR_OK)
        return;
    buf_init(&b, 1 << 20);
    if (joda_format(&b, text, -1763665263004, NULL, &e) != ERR_OK)
        abort();
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int64_t ms;
    struct err e;
    struct zone *z;
    if (n == 0 || n > 4096)
        return 0;
    char *text = malloc(n);
    memcpy(text, data + 1, n - 1);
    text[n - 1] = '\0';
    switch (data[0] % 4) {
    case 0:
        format_template(text);
        break;
    case 1:
        format_pattern(text);
        break;
    case 2:
        time_parse((const char *)data + 1, n - 1, &ms);
        break;
    default:
        if (zone_load(text, &z, &e) == ERR_OK)
            zone_free(z);
        break;
    }
    free(text);
    return 0;
}
