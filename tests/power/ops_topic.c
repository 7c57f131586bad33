/*
 * ops_topic: topics come, change and go; records are deleted.
 */
#include <string.h>

#include "tests/power/cleaned.h"
#include "tests/power/ops.h"

static bool choose_topic(struct world *w, bool there, int *topic)
{
    for (int tries = 0; tries < 20; tries++) {
        *topic = (int)rng_below(&w->rng, (uint64_t)w->mix.topics);
        if ((w->model.topics[*topic].presence == PRESENT) == there)
            return true;
    }
    return false;
}

static void say_settings(struct world *w, const struct settings_list *s)
{
    for (size_t i = 0; i < s->n; i++)
        world_say(w, "  %s=%s", s->list[i].name, s->list[i].value ? s->list[i].value : "(default)");
}

bool op_create_topic(struct world *w)
{
    int topic;
    struct settings_list s;
    struct uuid id;
    if (!choose_topic(w, false, &topic))
        return true;
    struct model_topic *t = &w->model.topics[topic];
    model_topic_clear(&w->model, topic);
    settings_choose(w, &t->settings);
    model_note_settings(t, &t->settings);
    t->partitions = t->partitions_max = (int32_t)rng_between(&w->rng, 1, MODEL_PARTITIONS - 1);
    t->presence = COMING;
    settings_list(&t->settings, &s);
    world_say(w, "create %s with %d partitions", world_topic_name(topic), t->partitions);
    say_settings(w, &s);
    int rc = broker_create_topic(w->b, world_topic_name(topic), t->partitions, s.list, s.n, &id, &w->e);
    if (world_gone(w, rc, "creating a topic"))
        return false;
    t->presence = PRESENT;
    t->id_known = true;
    memcpy(t->id, id.b, sizeof t->id);
    return true;
}

bool op_delete_topic(struct world *w)
{
    int topic;
    /* Offsets of open transactions for the topic would come back with their commit: the store does not forget those. */
    if (!choose_topic(w, true, &topic) || has_pending_offset(w, -1, topic))
        return true;
    world_say(w, "delete %s", world_topic_name(topic));
    w->model.topics[topic].presence = GOING;
    for (int g = 0; g < MODEL_GROUPS; g++)
        w->model.offsets[g][topic].maybe = -1;
    int rc = broker_delete_topic(w->b, world_topic_name(topic), &w->e);
    if (world_gone(w, rc, "deleting a topic"))
        return false;
    model_topic_clear(&w->model, topic);
    for (int g = 0; g < MODEL_GROUPS; g++)
        w->model.offsets[g][topic] = (struct model_offset){-1, -2, -1};
    return true;
}

bool op_alter_topic(struct world *w)
{
    int topic;
    struct settings_list s;
    if (!choose_topic(w, true, &topic) || topic == w->shunned)
        return true;
    struct model_topic *t = &w->model.topics[topic];
    settings_choose(w, &t->next);
    if (!rng_once_in(&w->rng, 3))
        t->next.page_cache = t->settings.page_cache;
    settings_change(&t->settings, &t->next, &s);
    t->changing = true;
    model_note_settings(t, &t->next);
    cleaned_alter(t, sim_clock_ms());
    world_say(w, "alter %s", world_topic_name(topic));
    say_settings(w, &s);
    int rc = broker_alter_topic(w->b, world_topic_name(topic), s.list, s.n, &w->e);
    if (world_gone(w, rc, "altering a topic"))
        return false;
    world_allow_retention(w); /* by the old settings, too: time has passed */
    for (int p = 0; t->settings.page_cache != t->next.page_cache && p < MODEL_PARTITIONS; p++)
        t->parts[p].synced = model_end(&t->parts[p]);
    t->settings = t->next;
    t->changing = false;
    return true;
}

bool op_add_partitions(struct world *w)
{
    int topic;
    if (!choose_topic(w, true, &topic) || topic == w->shunned ||
        w->model.topics[topic].partitions == MODEL_PARTITIONS)
        return true;
    struct model_topic *t = &w->model.topics[topic];
    t->partitions_max = t->partitions + 1;
    world_say(w, "%s gets partition %d", world_topic_name(topic), t->partitions);
    int rc = broker_add_partitions(w->b, world_topic_name(topic), t->partitions_max, &w->e);
    if (world_gone(w, rc, "adding a partition"))
        return false;
    t->partitions = t->partitions_max;
    return true;
}

bool op_delete_records(struct world *w)
{
    struct target at;
    int64_t low;
    if (!choose_target(w, false, &at) || w->model.topics[at.topic].settings.compact_only)
        return true; /* nothing can be deleted there */
    struct model_partition *p = target_partition(w, &at);
    const struct model_settings *s = &w->model.topics[at.topic].settings;
    if (s->compact && s->compact_only)
        return true; /* refused, as by Kafka */
    if (model_has_floats(&w->model, at.topic, at.partition, sim_clock_ms()))
        return true; /* where the log ends is not known */
    int64_t end = model_end(p);
    bool all = rng_once_in(&w->rng, 3);
    int64_t before = all ? end : rng_between(&w->rng, 0, end);
    world_say(w, "delete records of %s-%d before %lld", world_topic_name(at.topic), at.partition,
              (long long)before);
    /* Retention may have been there before; then nothing is done. */
    bool flushes = before > p->start_min && s->retention_bytes < 0 && s->retention_ms < 0 &&
                   p->start_max == p->start_min;
    if (before > p->start_max)
        p->start_max = before;
    int rc =
        broker_delete_records(w->b, world_topic_name(at.topic), at.partition, all ? -1 : before, &low, &w->e);
    if (world_gone(w, rc, "deleting records"))
        return false;
    world_allow_retention(w); /* time has passed */
    if (low < before || low > p->start_max)
        world_fail(w, "%s-%d: records before %lld were to be deleted, the log starts at %lld",
                   world_topic_name(at.topic), at.partition, (long long)before, (long long)low);
    if (before > p->start_min)
        p->start_min = before;
    if (flushes)
        p->synced = end;
    return true;
}
