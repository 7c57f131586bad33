/*
 * time: points in time as people type them.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/cli.h"

static int64_t not_negative(int64_t ms)
{
    return ms < 0 ? 0 : ms; /* negative timestamps mean other things to Kafka */
}

/* "-15m": before now. */
static bool parse_relative(const char *text, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end;
    if (!isdigit((unsigned char)text[1]))
        return false;
    long long n = strtoll(text + 1, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].unit) == 0 && n <= 100000000000) {
            *ms = not_negative(clock_wall_ms() - n * units[i].ms);
            return true;
        }
    return false;
}

/* ".123", "Z", ".5Z" or nothing: what may follow a full time. */
static bool parse_tail(const char *text, int64_t *ms)
{
    *ms = 0;
    if (*text == '.') {
        int64_t unit = 100;
        if (!isdigit((unsigned char)*++text))
            return false;
        for (; isdigit((unsigned char)*text); text++, unit /= 10)
            *ms += (*text - '0') * unit;
    }
    return *text == '\0' || strcmp(text, "Z") == 0;
}

/* strptime takes February the 30th; timegm would make it March. */
static bool to_ms(struct tm *tm, int64_t *ms)
{
    struct tm given = *tm;
    *ms = (int64_t)timegm(tm) * 1000;
    return tm->tm_mday == given.tm_mday && tm->tm_mon == given.tm_mon && tm->tm_sec == given.tm_sec;
}

bool cli_parse_time(const char *text, int64_t *ms)
{
    static const struct {
        const char *format;
        bool tail;
    } formats[] = {{"%Y-%m-%dT%H:%M:%S", true}, {"%Y-%m-%dT%H:%M", false}, {"%Y-%m-%d", false}};
    if (text[0] == '-')
        return parse_relative(text, ms);
    if (text[0] == '@') {
        char *end;
        errno = 0;
        *ms = strtoll(text + 1, &end, 10);
        return isdigit((unsigned char)text[1]) && *end == '\0' && !errno;
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct tm tm = {0};
        int64_t tail = 0;
        const char *end = strptime(text, formats[i].format, &tm);
        if (!end || !(formats[i].tail ? parse_tail(end, &tail) : *end == '\0'))
            continue;
        bool valid = to_ms(&tm, ms);
        *ms = not_negative(*ms + tail);
        return valid;
    }
    return false;
}
