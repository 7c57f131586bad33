/*
 * What rotation does to names: x.log becomes x.log.1, x.log-20260101, x-20260101.log, x.log.1.gz, x.log.old. Only a
 * hint: it says which files are worth comparing, and which must stay in one task.
 */
#include <ctype.h>
#include <string.h>

#include "connectors/file/source.h"

const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *const packed[] = {".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z"};
static const char *const kept[] = {".old", ".bak", ".prev", ".orig", "~"};

static bool cut_end(char *s, size_t *n, const char *const *ends, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t l = strlen(ends[i]);
        if (*n > l && memcmp(s + *n - l, ends[i], l) == 0) {
            s[ *n -= l] = '\0';
            return true;
        }
    }
    return false;
}

/* Start of a number or date that ends at `end` and begins with a separator; `end` if there is none. */
static size_t number_start(const char *s, size_t end)
{
    size_t at = end, digits = 0, best = end;
    while (at > 0 && (isdigit((unsigned char)s[at - 1]) || strchr(".-_:TZ+", s[at - 1]))) {
        at--;
        if (isdigit((unsigned char)s[at]))
            digits++;
        else if (strchr(".-_", s[at]) && isdigit((unsigned char)s[at + 1]) && at > 0 &&
                 (digits >= 6 || s[at] == '.'))
            best = at;
    }
    return best;
}

static size_t digits_in(const char *s, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += isdigit((unsigned char)s[i]) != 0;
    return n;
}

/* x-20260101.log: a date before a short extension. */
static bool cut_dated(char *s, size_t *n)
{
    char *dot = memrchr(s, '.', *n);
    if (!dot || dot == s || !isalpha((unsigned char)dot[1]) || (size_t)(s + *n - dot) > 6)
        return false;
    size_t end = (size_t)(dot - s);
    size_t from = number_start(s, end);
    if (from == end || from == 0 || digits_in(s, from, end) < 8)
        return false;
    memmove(s + from, dot, *n - end + 1);
    *n -= end - from;
    return true;
}

bool name_live(const char *name, char *out)
{
    size_t n = strlen(name);
    memcpy(out, name, n + 1);
    bool rotated = cut_end(out, &n, packed, sizeof(packed) / sizeof(packed[0]));
    for (;;) {
        size_t from = number_start(out, n);
        if (from < n && from > 0)
            out[n = from] = '\0';
        else if (!cut_end(out, &n, kept, sizeof(kept) / sizeof(kept[0])))
            break;
        rotated = true;
    }
    return cut_dated(out, &n) || rotated;
}

bool name_is_gzip(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".gz") == 0;
}
