/*
 * batches: making what a schedule appends, and telling the model of it.
 */
#include <string.h>

#include "base/mem.h"
#include "tests/power/ops.h"

void batch_choose(struct world *w, const struct target *at, struct entry *e)
{
    bool keyed = w->model.topics[at->topic].settings.compact;
    *e = (struct entry){
        .sure = UNSURE,
        .base = -1,
        .count = rng_once_in(&w->rng, 3) ? (int32_t)rng_between(&w->rng, 2, ENTRY_RECORDS_MAX) : 1,
        .first = w->model.records | (keyed ? RECORD_KEYED : 0),
        .timestamp = sim_clock_ms() + rng_between(&w->rng, -4000, 500),
        .unit = -1,
        .txn = -1,
        .producer = -1,
        .sequence = -1,
        .tried_ms = sim_clock_ms(),
    };
    w->model.records += (uint64_t)e->count;
}

/* A tombstone has its number in a header. */
static int add_record(struct world *w, struct batch_builder *builder, int64_t timestamp, uint64_t number)
{
    static uint8_t value[RECORD_VALUE_MAX];
    char key[RECORD_KEY_MAX];
    size_t key_len = record_key(number, key), len = record_value(number, value);
    const struct record_header header = {"number", 6, value, 8};
    bool tombstone = record_is_tombstone(number);
    return batch_builder_add(builder, timestamp, key_len ? key : NULL, key_len, tombstone ? NULL : value, len,
                             &header, tombstone, &w->e);
}

uint8_t *batch_make(struct world *w, const struct entry *e, int16_t epoch, size_t *n)
{
    static const enum codec codecs[] = {CODEC_NONE, CODEC_NONE, CODEC_LZ4, CODEC_ZSTD};
    struct rng about = {e->first};
    struct batch_options o = {.codec = codecs[rng_below(&about, 4)], .level = CODEC_LEVEL_DEFAULT};
    struct batch_producer p = {e->producer, epoch, e->sequence, e->txn >= 0};
    struct batch_builder *builder = batch_builder_new(&o, &w->e);
    uint8_t *data = NULL;
    int rc = builder ? ERR_OK : w->e.code;
    for (int32_t i = 0; !rc && i < e->count; i++)
        rc = add_record(w, builder, e->timestamp + i, e->first + (uint64_t)i);
    if (!rc)
        rc = batch_builder_finish(builder, e->producer < 0 ? &BATCH_NO_PRODUCER : &p, &data, n, &w->e);
    uint8_t *copy = rc ? NULL : mem_dup(data, *n);
    if (!copy)
        world_fail(w, "making a batch: %s", w->e.text);
    batch_builder_free(builder);
    return copy;
}

int32_t next_sequence(const struct model_partition *p, int64_t producer)
{
    for (size_t i = p->n; i-- > 0;)
        if (p->list[i].producer == producer && p->list[i].kind == ENTRY_DATA)
            return p->list[i].sequence + p->list[i].count;
    return 0;
}

bool choose_target(struct world *w, bool synced, struct target *out)
{
    for (int tries = 0; tries < 20; tries++) {
        out->topic = (int)rng_below(&w->rng, (uint64_t)w->mix.topics);
        const struct model_topic *t = &w->model.topics[out->topic];
        if (t->presence != PRESENT || (synced && t->once_page_cache) || out->topic == w->shunned)
            continue;
        out->partition = (int32_t)rng_below(&w->rng, (uint64_t)t->partitions);
        return true;
    }
    return false;
}

struct model_partition *target_partition(struct world *w, const struct target *t)
{
    return &w->model.topics[t->topic].parts[t->partition];
}

/* The entry that was told of before the call. */
static struct entry *find_tried(struct model_partition *p, uint64_t first)
{
    for (size_t i = p->n; i-- > 0;)
        if (p->list[i].kind == ENTRY_DATA && p->list[i].first == first)
            return &p->list[i];
    return NULL;
}

void model_acknowledge(struct world *w, const struct target *at, uint64_t first,
                       const struct log_appended *appended)
{
    struct model_partition *p = target_partition(w, at);
    struct entry *e = find_tried(p, first);
    if (!e)
        world_fail(w, "%s-%d: records %llu are not known", world_topic_name(at->topic), at->partition,
                   (unsigned long long)first);
    if (appended->duplicate)
        world_fail(w, "%s-%d: records %llu are taken for a duplicate", world_topic_name(at->topic),
                   at->partition, (unsigned long long)first);
    e->sure = SURE;
    e->base = appended->base_offset;
    e->bytes = (int64_t)appended->bytes;
    model_note_flush_messages(&w->model.topics[at->topic], p);
}

void model_try_marker(struct world *w, const struct target *at, enum entry_kind kind, int32_t txn,
                      int32_t unit, enum certainty sure)
{
    struct entry e = {.kind = kind,
                      .sure = sure,
                      .base = -1,
                      .count = 1,
                      .bytes = 78,
                      .timestamp = sim_clock_ms(),
                      .tried_ms = sim_clock_ms(),
                      .unit = unit,
                      .txn = txn,
                      .producer = w->model.txns[txn].producer};
    model_append(target_partition(w, at), &e);
}

void model_take_back(struct world *w, const struct target *at, uint64_t first)
{
    struct model_partition *p = target_partition(w, at);
    model_drop_entry(p, (size_t)(find_tried(p, first) - p->list));
}

void model_may_come_back(struct world *w, const struct target *at, uint64_t first)
{
    if (w->model.topics[at->topic].once_page_cache)
        find_tried(target_partition(w, at), first)->sure = OPTIONAL;
}

void model_take_back_unit(struct world *w, int32_t unit)
{
    for (int t = 0; t < MODEL_TOPICS; t++)
        for (int p = 0; p < MODEL_PARTITIONS; p++) {
            struct model_partition *part = &w->model.topics[t].parts[p];
            for (size_t i = part->n; i-- > 0;)
                if (part->list[i].unit == unit && part->list[i].kind != ENTRY_DATA)
                    model_drop_entry(part, i);
        }
}

void model_acknowledge_unit(struct world *w, int32_t unit)
{
    for (int t = 0; t < MODEL_TOPICS; t++)
        for (int p = 0; p < MODEL_PARTITIONS; p++) {
            struct model_partition *part = &w->model.topics[t].parts[p];
            bool known = !model_has_floats(&w->model, t, p, sim_clock_ms());
            int64_t next = 0;
            for (size_t i = 0; i < part->n; i++) {
                struct entry *e = &part->list[i];
                if (e->unit == unit && e->sure == UNSURE) {
                    e->sure = SURE;
                    e->base = known ? next : -1;
                }
                if (e->base >= 0)
                    next = e->base + e->count;
            }
        }
}
