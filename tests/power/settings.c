/*
 * settings: topics' settings of a schedule. Segments are small: they are full when their index is, and every batch has an
 * entry there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/topic.h"
#include "tests/power/world.h"

enum { INTERNAL_SEGMENT_BATCHES = 6 };

static const char *const ratios[] = {"0", "0.01", "0.1", "0.5"};

/* Times are short beside the clock, which most operations do not move and some by seconds. */
static void choose_compaction(struct world *w, struct model_settings *s)
{
    s->compact = true;
    s->compact_only = !rng_once_in(&w->rng, 3);
    s->segment_entries = (int32_t)rng_between(&w->rng, 1, 6);
    s->dirty_ratio = (int)rng_below(&w->rng, sizeof ratios / sizeof ratios[0]);
    s->delete_retention_ms = rng_once_in(&w->rng, 2) ? 0 : rng_between(&w->rng, 1, 6000);
    if (rng_once_in(&w->rng, 4))
        s->min_lag_ms = rng_between(&w->rng, 1, 3000);
    if (rng_once_in(&w->rng, 4))
        s->max_lag_ms = s->min_lag_ms + rng_between(&w->rng, 1, 3000);
}

/* Nothing is synced but by the way, segments are short, and what is removed goes at once; or else topics come and go. */
static void choose_short_tails(struct world *w, struct model_settings *s)
{
    *s = (struct model_settings){.flush_ms = -1, .retention_bytes = -1, .retention_ms = -1};
    s->page_cache = true;
    s->append_time = rng_once_in(&w->rng, 5);
    s->segment_entries = (int32_t)rng_between(&w->rng, 1, 3);
    s->delete_delay_ms = w->mix.weight[OP_REPLACE_TOPIC] && rng_once_in(&w->rng, 2) ? -1 : 0;
}

void settings_choose(struct world *w, struct model_settings *s)
{
    *s = (struct model_settings){
        .flush_ms = -1, .retention_bytes = -1, .retention_ms = -1, .delete_delay_ms = -1};
    s->page_cache = rng_once_in(&w->rng, 3);
    s->append_time = rng_once_in(&w->rng, 5);
    if (w->mix.short_segments || !rng_once_in(&w->rng, 4))
        s->segment_entries = (int32_t)rng_between(&w->rng, 1, w->mix.short_segments ? 3 : 12);
    if (rng_once_in(&w->rng, 4))
        s->segment_ms = rng_between(&w->rng, 1, 3000);
    if (rng_once_in(&w->rng, 3))
        s->retention_bytes = rng_between(&w->rng, 0, 8000);
    if (rng_once_in(&w->rng, 6))
        s->retention_ms = rng_between(&w->rng, 1, 20000);
    if (rng_once_in(&w->rng, 3))
        s->flush_messages = rng_between(&w->rng, 1, 6);
    if (rng_once_in(&w->rng, 3))
        s->flush_ms = rng_between(&w->rng, 0, 2000);
    if (rng_once_in(&w->rng, 3))
        s->delete_delay_ms = rng_between(&w->rng, 0, 2000);
    if (w->mix.compacted || rng_once_in(&w->rng, 3))
        choose_compaction(w, s);
    if (w->mix.page_cache)
        choose_short_tails(w, s);
    if (w->mix.journaled)
        s->page_cache = false;
}

static void add(struct settings_list *out, const char *name, bool set, const char *text, int64_t number)
{
    struct topic_config_entry *e = &out->list[out->n];
    char *own = out->text[out->n++];
    snprintf(own, sizeof out->text[0], "%lld", (long long)number);
    *e = (struct topic_config_entry){name, !set ? NULL : text ? text : own};
}

/* Every setting that a schedule knows; NULL: at its default. */
static void list_all(const struct model_settings *s, struct settings_list *out)
{
    out->n = 0;
    add(out, "durability", s->page_cache, "page-cache", 0);
    add(out, "message.timestamp.type", s->append_time, "LogAppendTime", 0);
    add(out, "index.interval.bytes", s->segment_entries > 0, "0", 0);
    add(out, "segment.index.bytes", s->segment_entries > 0, NULL, 8 * s->segment_entries);
    add(out, "segment.ms", s->segment_ms > 0, NULL, s->segment_ms);
    add(out, "file.delete.delay.ms", s->delete_delay_ms >= 0, NULL, s->delete_delay_ms);
    add(out, "retention.bytes", s->retention_bytes >= 0, NULL, s->retention_bytes);
    add(out, "retention.ms", true, NULL, s->retention_ms);
    add(out, "flush.messages", s->flush_messages > 0, NULL, s->flush_messages);
    add(out, "flush.ms", s->flush_ms >= 0, NULL, s->flush_ms);
    add(out, "cleanup.policy", s->compact, s->compact_only ? "compact" : "compact,delete", 0);
    add(out, "min.cleanable.dirty.ratio", s->compact, ratios[s->dirty_ratio], 0);
    add(out, "delete.retention.ms", s->compact, NULL, s->delete_retention_ms);
    add(out, "min.compaction.lag.ms", s->min_lag_ms > 0, NULL, s->min_lag_ms);
    add(out, "max.compaction.lag.ms", s->max_lag_ms > 0, NULL, s->max_lag_ms);
}

void settings_list(const struct model_settings *s, struct settings_list *out)
{
    struct settings_list all;
    list_all(s, &all);
    out->n = 0;
    for (size_t i = 0; i < all.n; i++)
        if (all.list[i].value)
            add(out, all.list[i].name, true, all.list[i].value == all.text[i] ? NULL : all.list[i].value,
                all.list[i].value == all.text[i] ? strtoll(all.text[i], NULL, 10) : 0);
}

void settings_change(const struct model_settings *from, const struct model_settings *to,
                     struct settings_list *out)
{
    struct settings_list before;
    list_all(from, &before);
    list_all(to, out);
    size_t kept = 0;
    for (size_t i = 0; i < out->n; i++) {
        const char *a = before.list[i].value, *b = out->list[i].value;
        if (a == b || (a && b && strcmp(a, b) == 0))
            continue;
        memcpy(out->text[kept], out->text[i], sizeof out->text[0]);
        out->list[kept] = out->list[i];
        if (b == out->text[i])
            out->list[kept].value = out->text[kept];
        kept++;
    }
    out->n = kept;
}

/* Internal topics cannot be told to have small segments: the linker puts this before the store's own function. */
int __real_topic_settings_make(const struct topic_defaults *defaults, const struct topic_config_entry *config,
                               size_t n, bool internal, struct topic_settings **out, struct err *e);
int __wrap_topic_settings_make(const struct topic_defaults *defaults, const struct topic_config_entry *config,
                               size_t n, bool internal, struct topic_settings **out, struct err *e);
int __wrap_topic_settings_make(const struct topic_defaults *defaults, const struct topic_config_entry *config,
                               size_t n, bool internal, struct topic_settings **out, struct err *e)
{
    int rc = __real_topic_settings_make(defaults, config, n, internal, out, e);
    if (rc == ERR_OK && internal) {
        (*out)->log.segment_index_bytes = 8 * INTERNAL_SEGMENT_BATCHES;
        (*out)->log.index_interval_bytes = 0;
    }
    return rc;
}
