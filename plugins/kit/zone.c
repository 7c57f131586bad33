/*
 * kit/zone: TZif files (RFC 8536) and the POSIX rule (POSIX.1-2017, TZ) that continues them. Any thread.
 */
#include "kit/zone.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#define ZONE_FILE_MAX (1u << 20)
#define DAY_S INT64_C(86400)

/* When a rule's daylight time begins or ends. */
struct rule_date {
    enum { RULE_MONTH, RULE_JULIAN, RULE_DAY } kind; /* Mm.w.d, Jn (no leap day), n */
    int month, week, day;
    int32_t seconds; /* local wall time; may be negative or beyond a day */
};

struct rule {
    int32_t standard, daylight; /* offsets */
    bool has_daylight;
    struct rule_date begin, end; /* of daylight time */
};

struct zone {
    size_t count;
    int64_t *at;     /* transitions, rising, UTC */
    int32_t *offset; /* offset[i] holds from at[i] */
    int32_t first;   /* before at[0] */
    bool has_rule;   /* holds from the last transition on */
    struct rule rule;
};

/* ---- calendar
 * ----------------------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t civil_days(int64_t year, int month, int day)
{
    /* Years from March, so that the leap day ends them; eras of 400 years. */
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400), of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void civil_from_ms(int64_t local_ms, struct civil *out)
{
    int64_t days = floor_div(local_ms, DAY_S * 1000);
    int64_t rest = local_ms - days * DAY_S * 1000;
    int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    out->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    out->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    out->year = yoe + era * 400 + (out->month <= 2);
    out->hour = (int)(rest / 3600000);
    out->minute = (int)(rest / 60000 % 60);
    out->second = (int)(rest / 1000 % 60);
    out->ms = (int)(rest % 1000);
    out->day_of_year = (int)(days - civil_days(out->year, 1, 1)) + 1;
    out->weekday = (int)(((days + 3) % 7 + 7) % 7) + 1;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* ---- the POSIX rule
 * ----------------------------------------------------------------------------------------- */

static bool rule_number(const char **s, int max, int *out)
{
    int v = 0, digits = 0;
    while (**s >= '0' && **s <= '9' && digits < 4) {
        v = v * 10 + (**s - '0');
        (*s)++;
        digits++;
    }
    *out = v;
    return digits > 0 && v <= max;
}

static bool rule_name(const char **s)
{
    const char *start = *s;
    if (**s == '<') {
        const char *close = strchr(*s, '>');
        if (!close)
            return false;
        *s = close + 1;
        return true;
    }
    while ((**s >= 'a' && **s <= 'z') || (**s >= 'A' && **s <= 'Z'))
        (*s)++;
    return *s - start >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool rule_time(const char **s, int32_t *out)
{
    int sign = **s == '-' ? -1 : 1, h, m = 0, sec = 0;
    if (**s == '-' || **s == '+')
        (*s)++;
    if (!rule_number(s, 167, &h))
        return false;
    if (**s == ':') {
        (*s)++;
        if (!rule_number(s, 59, &m))
            return false;
        if (**s == ':') {
            (*s)++;
            if (!rule_number(s, 59, &sec))
                return false;
        }
    }
    *out = sign * (h * 3600 + m * 60 + sec);
    return true;
}

static bool rule_date(const char **s, struct rule_date *d)
{
    if (*(*s)++ != ',')
        return false;
    if (**s == 'M') {
        d->kind = RULE_MONTH;
        (*s)++;
        if (!rule_number(s, 12, &d->month) || d->month < 1 || *(*s)++ != '.')
            return false;
        if (!rule_number(s, 5, &d->week) || d->week < 1 || *(*s)++ != '.' || !rule_number(s, 6, &d->day))
            return false;
    } else {
        d->kind = **s == 'J' ? RULE_JULIAN : RULE_DAY;
        *s += **s == 'J';
        if (!rule_number(s, 365, &d->day) || (d->kind == RULE_JULIAN && d->day < 1))
            return false;
    }
    d->seconds = 2 * 3600;
    if (**s != '/')
        return true;
    (*s)++;
    return rule_time(s, &d->seconds);
}

static bool rule_parse(const char *s, struct rule *r)
{
    int32_t west;
    memset(r, 0, sizeof(*r));
    if (!rule_name(&s) || !rule_time(&s, &west))
        return false;
    r->standard = r->daylight = -west;
    if (*s == '\0')
        return true;
    r->has_daylight = true;
    r->daylight += 3600;
    if (!rule_name(&s))
        return false;
    if (*s != ',') {
        if (!rule_time(&s, &west))
            return false;
        r->daylight = -west;
    }
    return rule_date(&s, &r->begin) && rule_date(&s, &r->end) && *s == '\0';
}

/* Local seconds since 1970 of the rule's date in the year. */
static int64_t rule_local(const struct rule_date *d, int64_t year)
{
    int64_t days;
    if (d->kind == RULE_MONTH) {
        int64_t first = civil_days(year, d->month, 1);
        int64_t next = d->month == 12 ? civil_days(year + 1, 1, 1) : civil_days(year, d->month + 1, 1);
        int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 0 Sunday, as in the rule */
        days = first + (d->day - weekday + 7) % 7 + (d->week - 1) * 7;
        if (days >= next)
            days -= 7;
    } else {
        days = civil_days(year, 1, 1) + d->day;
        if (d->kind == RULE_JULIAN)
            days += -1 + (is_leap(year) && d->day >= 60);
    }
    return days * DAY_S + d->seconds;
}

static int32_t rule_offset(const struct rule *r, int64_t utc_s)
{
    if (!r->has_daylight)
        return r->standard;
    struct civil c;
    civil_from_ms((utc_s + r->standard) * 1000, &c);
    int64_t begin = rule_local(&r->begin, c.year) - r->standard;
    int64_t end = rule_local(&r->end, c.year) - r->daylight;
    bool daylight = begin < end ? utc_s >= begin && utc_s < end : utc_s >= begin || utc_s < end;
    return daylight ? r->daylight : r->standard;
}

/* ---- TZif
 * --------------------------------------------------------------------------------------------------- */

struct tzif_header {
    uint8_t version;
    uint32_t isut, isstd, leap, times, types, chars;
};

static int corrupt(struct err *e)
{
    return err_set(e, ERR_CORRUPT, "not a valid time zone file");
}

static int tzif_header(struct slice *s, struct tzif_header *h, struct err *e)
{
    const uint8_t *p;
    int rc = slice_bytes(s, 44, &p, e);
    if (rc != ERR_OK)
        return rc;
    if (memcmp(p, "TZif", 4) != 0)
        return corrupt(e);
    h->version = p[4];
    uint32_t *const counts[] = {&h->isut, &h->isstd, &h->leap, &h->times, &h->types, &h->chars};
    for (int i = 0; i < 6; i++) {
        *counts[i] = be32(p + 20 + 4 * i);
        if (*counts[i] > ZONE_FILE_MAX)
            return corrupt(e);
    }
    return ERR_OK;
}

static size_t tzif_body(const struct tzif_header *h, size_t time_size)
{
    return h->times * (time_size + 1) + h->types * (size_t)6 + h->chars + h->leap * (time_size + 4) +
           h->isstd + h->isut;
}

static int tzif_transitions(struct zone *z, const struct tzif_header *h, const uint8_t *p, size_t time_size,
                            struct err *e)
{
    const uint8_t *index = p + h->times * time_size, *types = index + h->times;
    if (h->types == 0)
        return corrupt(e);
    z->at = mem_alloc((h->times + 1) * sizeof(*z->at));
    z->offset = mem_alloc((h->times + 1) * sizeof(*z->offset));
    if (!z->at || !z->offset)
        return err_nomem(e);
    z->first = (int32_t)be32(types);
    for (uint32_t i = 0; i < h->times; i++) {
        z->at[i] = time_size == 8 ? (int64_t)be64(p + 8 * i) : (int32_t)be32(p + 4 * i);
        if (index[i] >= h->types || (i && z->at[i] <= z->at[i - 1]))
            return corrupt(e);
        z->offset[i] = (int32_t)be32(types + 6 * index[i]);
        if (z->offset[i] < -DAY_S * 2 || z->offset[i] > DAY_S * 2)
            return corrupt(e);
    }
    if (z->first < -DAY_S * 2 || z->first > DAY_S * 2)
        return corrupt(e);
    z->count = h->times;
    return ERR_OK;
}

static int tzif_footer(struct zone *z, struct slice *s, struct err *e)
{
    size_t n = slice_left(s);
    const uint8_t *p;
    int rc = slice_bytes(s, n, &p, e);
    if (rc != ERR_OK)
        return rc;
    const uint8_t *close = n > 1 && p[0] == '\n' ? memchr(p + 1, '\n', n - 1) : NULL;
    char text[128];
    if (!close || (size_t)(close - p) > sizeof(text))
        return corrupt(e);
    size_t len = (size_t)(close - p) - 1;
    memcpy(text, p + 1, len);
    text[len] = '\0';
    z->has_rule = len > 0;
    return !z->has_rule || rule_parse(text, &z->rule) ? ERR_OK : corrupt(e);
}

static int tzif_parse(struct zone *z, const void *data, size_t n, struct err *e)
{
    struct slice s = slice_of(data, n);
    struct tzif_header h;
    const uint8_t *p;
    size_t time_size = 4;
    int rc = tzif_header(&s, &h, e);
    if (rc == ERR_OK && h.version >= '2') { /* the first part is for old readers */
        time_size = 8;
        rc = slice_bytes(&s, tzif_body(&h, 4), &p, e);
        if (rc == ERR_OK)
            rc = tzif_header(&s, &h, e);
    }
    if (rc == ERR_OK)
        rc = slice_bytes(&s, tzif_body(&h, time_size), &p, e);
    if (rc == ERR_OK)
        rc = tzif_transitions(z, &h, p, time_size, e);
    if (rc == ERR_OK && time_size == 8)
        rc = tzif_footer(z, &s, e);
    return rc;
}

int zone_parse(const void *data, size_t n, struct zone **out, struct err *e)
{
    *out = NULL;
    struct zone *z = mem_calloc(1, sizeof(*z));
    if (!z)
        return err_nomem(e);
    int rc = tzif_parse(z, data, n, e);
    if (rc != ERR_OK) {
        zone_free(z);
        return rc == ERR_TRUNCATED ? corrupt(e) : rc;
    }
    *out = z;
    return ERR_OK;
}

void zone_free(struct zone *z)
{
    if (!z)
        return;
    mem_free(z->at);
    mem_free(z->offset);
    mem_free(z);
}

/* ---- finding
 * ------------------------------------------------------------------------------------------------ */

/* "UTC", "Z", "GMT", "+hh:mm", "-hh:mm", "UTC+hh:mm" */
static bool fixed_offset(const char *name, int32_t *offset)
{
    if (strncmp(name, "UTC", 3) == 0 || strncmp(name, "GMT", 3) == 0)
        name += 3;
    else if (strcmp(name, "Z") == 0)
        name++;
    else if (*name != '+' && *name != '-')
        return false;
    *offset = 0;
    if (*name == '\0')
        return true;
    const char *s = name;
    return (*s == '+' || *s == '-') && rule_time(&s, offset) && *s == '\0' && abs(*offset) <= 18 * 3600;
}

/* No way out of the directory, nothing hidden. */
static bool name_is_safe(const char *name)
{
    for (const char *p = name; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!plain && (!strchr("_+-/", *p) || p == name))
            return false;
    }
    return *name != '\0' && strlen(name) < 256;
}

int zone_load(const char *name, struct zone **out, struct err *e)
{
    *out = NULL;
    int32_t offset;
    if (fixed_offset(name, &offset)) {
        struct zone *z = mem_calloc(1, sizeof(*z));
        if (!z)
            return err_nomem(e);
        z->first = offset;
        *out = z;
        return ERR_OK;
    }
    if (!name_is_safe(name))
        return err_set(e, ERR_INVALID_CONFIG, "'%s' is not a time zone", name);
    const char *dir = getenv("TZDIR");
    char *path = mem_printf("%s/%s", dir && *dir ? dir : "/usr/share/zoneinfo", name);
    if (!path)
        return err_nomem(e);
    char *data;
    size_t n;
    int rc = io_read_file(path, ZONE_FILE_MAX, &data, &n, e);
    if (rc == ERR_NOT_FOUND)
        rc = err_set(e, ERR_INVALID_CONFIG, "unknown time zone '%s': there is no %s (package tzdata)", name,
                     path);
    else if (rc == ERR_OK) {
        rc = zone_parse(data, n, out, e);
        mem_free(data);
        if (rc != ERR_OK)
            err_wrap(e, "%s", path);
    }
    mem_free(path);
    return rc;
}

int32_t zone_offset(const struct zone *z, int64_t utc_s)
{
    if (z->count == 0 || utc_s < z->at[0])
        return z->count == 0 && z->has_rule ? rule_offset(&z->rule, utc_s) : z->first;
    if (utc_s >= z->at[z->count - 1])
        return z->has_rule ? rule_offset(&z->rule, utc_s) : z->offset[z->count - 1];
    size_t low = 0, high = z->count - 1; /* at[low] <= utc_s < at[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (utc_s >= z->at[middle])
            low = middle;
        else
            high = middle;
    }
    return z->offset[low];
}

int64_t zone_to_utc_ms(const struct zone *z, int64_t local_ms)
{
    /* Offsets well before and well after; at most one change lies between. */
    int64_t local_s = floor_div(local_ms, 1000);
    int64_t before = zone_offset(z, local_s - DAY_S), after = zone_offset(z, local_s + DAY_S);
    if (zone_offset(z, local_s - before) == before || zone_offset(z, local_s - after) != after)
        return local_ms - before * 1000; /* earlier reading, or inside a gap */
    return local_ms - after * 1000;
}
