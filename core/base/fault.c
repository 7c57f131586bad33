/*
 * fault: counters that make the n-th pass through a point fail. Counting is atomic, so that threads may race
 * for the failing pass; which of them gets it is then chance, that exactly one does is not.
 */
#include "base/fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    _Atomic uint64_t passes;
    _Atomic uint64_t nth; /* 0: not armed */
    _Atomic int errnum;
    _Atomic bool sticky;
    _Atomic(const char *) part; /* of the path; NULL: all */
} points[FAULT_POINTS];

static _Atomic bool armed;

void fault_arm(enum fault_point point, uint64_t nth, int errnum, bool sticky)
{
    fault_arm_at(point, NULL, nth, errnum, sticky);
}

void fault_arm_at(enum fault_point point, const char *part, uint64_t nth, int errnum, bool sticky)
{
    atomic_store(&points[point].part, part);
    atomic_store(&points[point].passes, 0);
    atomic_store(&points[point].errnum, errnum);
    atomic_store(&points[point].sticky, sticky);
    atomic_store(&points[point].nth, nth);
    atomic_store(&armed, true);
}

void fault_disarm(void)
{
    atomic_store(&armed, false);
    for (int i = 0; i < FAULT_POINTS; i++)
        atomic_store(&points[i].nth, 0);
}

uint64_t fault_passes(enum fault_point point)
{
    return atomic_load(&points[point].passes);
}

int fault_check(enum fault_point point, const char *path)
{
    if (__builtin_expect(!atomic_load_explicit(&armed, memory_order_relaxed), 1))
        return 0;
    uint64_t nth = atomic_load(&points[point].nth);
    const char *part = atomic_load(&points[point].part);
    if (nth == 0 || (part && (!path || !strstr(path, part))))
        return 0;
    uint64_t pass = atomic_fetch_add(&points[point].passes, 1) + 1;
    if (pass == nth || (pass > nth && atomic_load(&points[point].sticky)))
        return atomic_load(&points[point].errnum);
    return 0;
}

static const char *const names[FAULT_POINTS] = {"alloc", "write", "sync", "read", "meta"};

static bool errno_parse(const char *s, int *errnum)
{
    static const struct {
        const char *name;
        int value;
    } known[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"ENOMEM", ENOMEM}, {"EACCES", EACCES}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(s, known[i].name) == 0) {
            *errnum = known[i].value;
            return true;
        }
    return false;
}

/* One "point:nth[:ERRNO][:sticky][:@part of the path]". The part is kept, as it is used until the end. */
static bool arm_from_text(char *item)
{
    char *save = NULL;
    const char *name = strtok_r(item, ":", &save);
    const char *nth = name ? strtok_r(NULL, ":", &save) : NULL;
    char *end;
    unsigned long long n = nth ? strtoull(nth, &end, 10) : 0;
    if (!nth || *end != '\0' || n == 0)
        return false;
    int errnum = EIO;
    bool sticky = false;
    static char parts[FAULT_POINTS][128];
    const char *part = NULL;
    for (const char *more = strtok_r(NULL, ":", &save); more; more = strtok_r(NULL, ":", &save)) {
        if (strcmp(more, "sticky") == 0)
            sticky = true;
        else if (*more == '@' && strlen(more) <= sizeof parts[0])
            part = more + 1;
        else if (!errno_parse(more, &errnum))
            return false;
    }
    for (int i = 0; i < FAULT_POINTS; i++)
        if (strcmp(name, names[i]) == 0) {
            if (part)
                snprintf(parts[i], sizeof parts[i], "%s", part);
            fault_arm_at((enum fault_point)i, part ? parts[i] : NULL, n, errnum, sticky);
            return true;
        }
    return false;
}

bool fault_from_env(void)
{
    const char *text = getenv("LEAT_FAULT");
    if (!text || !*text)
        return true;
    char copy[256];
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        goto malformed;
    char *save = NULL;
    for (char *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save))
        if (!arm_from_text(item))
            goto malformed;
    return true;
malformed:
    fprintf(stderr,
            "LEAT_FAULT: '%s' is not "
            "alloc|write|sync|read|meta:NTH[:EIO|ENOSPC|ENOMEM|EACCES][:sticky][:@PART_OF_PATH],...\n",
            text);
    return false;
}
