/*
 * positions_trim: keeps the topic of the source positions short, see positions.h. Interrupted anywhere it has lost
 * nothing: the new records say the same as the old ones, and those go only after the new ones are durable.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/hash.h"
#include "base/mem.h"
#include "connect/positions.h"

struct last_value {
    size_t n;
    uint8_t data[];
};

/* Null removes. */
static int keep_last(struct map *last, const struct record *r, struct err *e)
{
    mem_free(map_remove(last, r->key, (size_t)r->key_len));
    if (r->value == NULL)
        return ERR_OK;
    struct last_value *v = mem_alloc(sizeof(*v) + (size_t)r->value_len);
    if (v == NULL)
        return err_nomem(e);
    v->n = (size_t)r->value_len;
    memcpy(v->data, r->value, v->n);
    int rc = map_put(last, r->key, (size_t)r->key_len, v, e);
    if (rc != ERR_OK)
        mem_free(v);
    return rc;
}

/* The last value of each key before `end`, which is readable to its end. */
static int read_last(struct client *client, int32_t partition, int64_t end, struct map *last, struct err *e)
{
    struct consumer *c = consumer_open(client, &(struct consumer_options){.isolation = READ_COMMITTED}, e);
    if (c == NULL)
        return e->code;
    int rc = consumer_assign(c, POSITIONS_TOPIC, partition, CONSUMER_EARLIEST, e);
    while (rc == ERR_OK && consumer_position(c, POSITIONS_TOPIC, partition) < end) {
        struct consumed got;
        rc = consumer_poll(c, 0, &got, e);
        for (size_t i = 0; rc == ERR_OK && i < got.n; i++) {
            if (got.records[i].key != NULL)
                rc = keep_last(last, &got.records[i], e);
        }
    }
    consumer_close(c);
    return rc;
}

static int append_again(struct client *client, int32_t partition, const struct map *last, struct err *e)
{
    struct producer_options options = {.transactional_id = "leat-" POSITIONS_TOPIC,
                                       .codec_level = CODEC_LEVEL_DEFAULT};
    struct producer *p = producer_open(client, &options, e);
    if (p == NULL)
        return e->code;
    size_t pos = 0, n;
    const void *key;
    void *value;
    int64_t now = clock_wall_ms();
    int rc = ERR_OK;
    while (rc == ERR_OK && map_next(last, &pos, &key, &n, &value)) {
        const struct last_value *v = value;
        rc = producer_add(p, POSITIONS_TOPIC, partition, now, key, n, v->data, v->n, NULL, 0, e);
    }
    if (rc == ERR_OK && map_count(last) > 0)
        rc = producer_commit(p, e);
    producer_close(p);
    return rc;
}

static int trim_partition(struct client *client, const struct partition_info *info, struct err *e)
{
    /* Behind an open transaction there may be positions that cannot be read yet. */
    if (info->last_stable_offset < info->high_watermark)
        return ERR_OK;
    struct map *last = map_new();
    if (last == NULL)
        return err_nomem(e);
    int64_t low;
    int rc = read_last(client, info->partition, info->high_watermark, last, e);
    if (rc == ERR_OK)
        rc = append_again(client, info->partition, last, e);
    if (rc == ERR_OK)
        rc = client_delete_records(client, POSITIONS_TOPIC, info->partition, info->high_watermark, &low, e);
    if (rc == ERR_OK)
        diag_info("connect", "%s-%d: trimmed to %zu positions", POSITIONS_TOPIC, info->partition,
                  map_count(last));
    map_free(last, mem_free);
    return rc;
}

int positions_trim(struct client *c, int64_t records, struct err *e)
{
    struct topic_info topic;
    int rc = client_topic(c, POSITIONS_TOPIC, &topic, e);
    if (rc == ERR_UNKNOWN_TOPIC)
        return ERR_OK;
    if (rc != ERR_OK)
        return rc;
    for (int32_t i = 0; rc == ERR_OK && i < topic.partition_count; i++) {
        const struct partition_info *info = &topic.partitions[i];
        if (info->end_offset - info->log_start_offset > records)
            rc = trim_partition(c, info, e);
    }
    topic_info_free(&topic);
    return rc;
}
