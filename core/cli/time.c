/*
 * time: points in time as people type them.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/cli.h"

/* "-15m": before now. */
static bool parse_relative(const char *text, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end;
    long long n = strtoll(text + 1, &end, 10);
    if (!isdigit((unsigned char)text[1]) || n > 1000000000)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].unit) == 0) {
            *ms = clock_wall_ms() - n * units[i].ms;
            return true;
        }
    return false;
}

bool cli_parse_time(const char *text, int64_t *ms)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
                                          "%Y-%m-%d"};
    if (text[0] == '-')
        return parse_relative(text, ms);
    if (text[0] == '@') {
        char *end;
        *ms = strtoll(text + 1, &end, 10);
        return end != text + 1 && *end == '\0' && *ms >= 0;
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, formats[i], &tm);
        if (end && *end == '\0') {
            *ms = (int64_t)timegm(&tm) * 1000;
            return true;
        }
    }
    return false;
}
