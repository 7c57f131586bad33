/*
 * simsyncs: the list of syncs: which place in the store syncs which kind of file. One of them may be left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/power/simstate.h"

static struct sim_sync syncs[SIM_SYNCS_MAX];
static size_t sync_count;

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* What a path is, without the names that differ from one run to the other. */
static void kind_of(const char *path, bool dir, char *out, size_t size)
{
    const char *last = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    bool metadata = strstr(path, "__cluster_metadata-0") != NULL;
    char name[96];
    snprintf(name, sizeof name, "%.90s", last);
    if (ends_with(name, ".tmp"))
        name[strlen(name) - 4] = '\0';
    if (dir && strcmp(name, "logs") != 0 && strcmp(name, "journal") != 0)
        snprintf(out, size, "%s directory", metadata ? "metadata" : strrchr(name, '-') ? "log" : "data");
    else if (dir)
        snprintf(out, size, "directory %s", name);
    else
        snprintf(out, size, "%s%s", metadata ? "metadata " : "",
                 *name >= '0' && *name <= '9' ? strchr(name, '.') : name);
}

bool sim_note_sync(const struct power_site *site, const char *path, bool dir)
{
    char kind[96];
    size_t i = 0;
    if (!site) {
        fprintf(stderr, "a sync of %s by a call of base/io that tests/power/sites.h does not know\n", path);
        abort();
    }
    kind_of(path, dir, kind, sizeof kind);
    while (i < sync_count && (syncs[i].site != site || strcmp(syncs[i].kind, kind) != 0))
        i++;
    if (i == SIM_SYNCS_MAX)
        abort();
    if (i == sync_count) {
        sync_count++;
        syncs[i].site = site;
        snprintf(syncs[i].kind, sizeof syncs[i].kind, "%s", kind);
        snprintf(syncs[i].text, sizeof syncs[i].text, "%.60s:%d %.40s, %.60s", site->file, site->line,
                 site->function, kind);
    }
    syncs[i].calls++;
    return sim.o.leave_out != (int)i;
}

size_t sim_syncs(const struct sim_sync **list)
{
    *list = syncs;
    return sync_count;
}
