/*
 * librdkafka from C as a driver; clients/README.md tells what each command does. The header is Debian's (2.0.2).
 */
#include <errno.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIMIT_MS = 300000, TEXT = 512 };

static const char *address;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void check(rd_kafka_resp_err_t error, const char *what)
{
    if (error)
        die("%s: %s", what, rd_kafka_err2str(error));
}

static void check_object(rd_kafka_error_t *error, const char *what)
{
    if (error)
        die("%s: %s", what, rd_kafka_error_string(error));
}

static void say(json_t *what)
{
    char *line = json_dumps(what, JSON_COMPACT | JSON_ENCODE_ANY);
    puts(line);
    fflush(stdout);
    free(line);
    json_decref(what);
}

static rd_kafka_conf_t *settings(const char *const *pairs)
{
    char text[TEXT];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", address, text, sizeof text) != RD_KAFKA_CONF_OK)
        die("%s", text);
    for (; *pairs; pairs += 2)
        if (rd_kafka_conf_set(conf, pairs[0], pairs[1], text, sizeof text) != RD_KAFKA_CONF_OK)
            die("%s", text);
    return conf;
}

static rd_kafka_t *start(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[TEXT];
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
    if (!rk)
        die("%s", text);
    return rk;
}

/* Producing */

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    (void)opaque;
    check(m->err, "a record");
}

static void write_record(rd_kafka_t *rk, const char *topic, json_t *r)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    json_t *key = json_object_get(r, "key"), *value = json_object_get(r, "value"), *h;
    size_t i;
    json_array_foreach(json_object_get(r, "headers"), i, h)
    {
        json_t *v = json_array_get(h, 1);
        check(rd_kafka_header_add(headers, json_string_value(json_array_get(h, 0)), -1, json_string_value(v),
                                  (ssize_t)json_string_length(v)),
              "a header");
    }
    check(rd_kafka_producev(
              rk, RD_KAFKA_V_TOPIC(topic),
              RD_KAFKA_V_PARTITION((int32_t)json_integer_value(json_object_get(r, "partition"))),
              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
              RD_KAFKA_V_KEY(json_string_value(key), json_string_length(key)),
              RD_KAFKA_V_VALUE((void *)(intptr_t)json_string_value(value), json_string_length(value)),
              RD_KAFKA_V_TIMESTAMP(json_integer_value(json_object_get(r, "timestamp"))),
              RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
          "produce");
}

static void write_all(const char *name, char **codecs)
{
    json_t *records = json_array(), *r;
    char *line = NULL;
    size_t size = 0, i;
    while (getline(&line, &size, stdin) > 0)
        json_array_append_new(records, json_loads(line, 0, NULL));
    free(line);
    for (; *codecs; codecs++) {
        char topic[TEXT];
        snprintf(topic, sizeof topic, "%s-%s", name, *codecs);
        rd_kafka_conf_t *conf =
            settings((const char *[]){"compression.type", *codecs, "enable.idempotence", "true", NULL});
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
        rd_kafka_t *rk = start(RD_KAFKA_PRODUCER, conf);
        json_array_foreach(records, i, r) write_record(rk, topic, r);
        check(rd_kafka_flush(rk, LIMIT_MS), "flush");
        rd_kafka_destroy(rk);
    }
    json_decref(records);
}

/* Consuming */

static json_t *text(const void *bytes, size_t length)
{
    return bytes ? json_stringn(bytes, length) : json_null();
}

static void show(const rd_kafka_message_t *m)
{
    json_t *headers = json_array();
    rd_kafka_headers_t *from;
    const char *name;
    const void *value;
    size_t length;
    if (rd_kafka_message_headers(m, &from) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (size_t i = 0;
             rd_kafka_header_get_all(from, i, &name, &value, &length) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            json_array_append_new(headers, json_pack("[so]", name, text(value, length)));
    say(json_pack("{ss,si,sI,so,so,so,sI}", "topic", rd_kafka_topic_name(m->rkt), "partition",
                  (int)m->partition, "offset", (json_int_t)m->offset, "key", text(m->key, m->key_len),
                  "value", text(m->payload, m->len), "headers", headers, "timestamp",
                  (json_int_t)rd_kafka_message_timestamp(m, NULL)));
}

static int partitions_of(rd_kafka_t *rk, const char *topic)
{
    const struct rd_kafka_metadata *found;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    check(rd_kafka_metadata(rk, 0, handle, &found, LIMIT_MS), "metadata");
    int n = found->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(found);
    rd_kafka_topic_destroy(handle);
    return n;
}

static void read_all(int count, char **topics)
{
    rd_kafka_t *rk =
        start(RD_KAFKA_CONSUMER,
              settings((const char *[]){"group.id", "none", "auto.offset.reset", "earliest", NULL}));
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(16);
    for (; *topics; topics++)
        for (int p = partitions_of(rk, *topics) - 1; p >= 0; p--)
            rd_kafka_topic_partition_list_add(all, *topics, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    check(rd_kafka_assign(rk, all), "assign");
    for (; count > 0; count--) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, LIMIT_MS);
        if (!m)
            die("nothing came");
        check(m->err, "poll");
        show(m);
        rd_kafka_message_destroy(m);
    }
    rd_kafka_topic_partition_list_destroy(all);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static void rebalanced(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions,
                       void *opaque)
{
    (void)opaque;
    int gained = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    check(rd_kafka_assign(rk, gained ? partitions : NULL), "assign");
    if (!gained)
        return;
    json_t *mine = json_array();
    rd_kafka_topic_partition_list_sort(partitions, NULL, NULL);
    for (int i = 0; i < partitions->cnt; i++)
        json_array_append_new(mine, json_integer(partitions->elems[i].partition));
    say(json_pack("{so}", "assigned", mine));
}

static int told_to_stop(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&in, 1, 0) > 0;
}

static void group(const char *name, const char *topic)
{
    rd_kafka_conf_t *conf =
        settings((const char *[]){"group.id", name, "auto.offset.reset", "earliest", "enable.auto.commit",
                                  "false", "heartbeat.interval.ms", "500", NULL});
    rd_kafka_conf_set_rebalance_cb(conf, rebalanced);
    rd_kafka_t *rk = start(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    check(rd_kafka_subscribe(rk, topics), "subscribe");
    while (!told_to_stop()) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 50);
        if (m && !m->err) {
            check(rd_kafka_commit_message(rk, m, 0), "commit");
            show(m);
        }
        if (m)
            rd_kafka_message_destroy(m);
    }
    rd_kafka_topic_partition_list_destroy(topics);
    check(rd_kafka_consumer_close(rk), "close");
    rd_kafka_destroy(rk);
    say(json_pack("{sb}", "closed", 1));
}

/* Transactions */

static void transaction(rd_kafka_t *rk, const char *out, const char *what, int count,
                        rd_kafka_consumer_group_metadata_t *with, const char *source, int64_t offset,
                        int commit)
{
    check_object(rd_kafka_begin_transaction(rk), "begin");
    for (int i = 0; i < count; i++) {
        char value[TEXT];
        int n = count > 1 ? snprintf(value, sizeof value, "%s %d", what, i)
                          : snprintf(value, sizeof value, "%s", what);
        check(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(out), RD_KAFKA_V_PARTITION(0),
                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(value, (size_t)n),
                                RD_KAFKA_V_END),
              "produce");
    }
    check(rd_kafka_flush(rk, LIMIT_MS), "flush"); /* what was not sent would not have to be aborted */
    if (offset >= 0) {
        rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(offsets, source, 0)->offset = offset;
        check_object(rd_kafka_send_offsets_to_transaction(rk, offsets, with, LIMIT_MS), "offsets");
        rd_kafka_topic_partition_list_destroy(offsets);
    }
    check_object(
        commit ? rd_kafka_commit_transaction(rk, LIMIT_MS) : rd_kafka_abort_transaction(rk, LIMIT_MS), "end");
}

static void txn(const char *out, const char *name, const char *source)
{
    char id[TEXT];
    snprintf(id, sizeof id, "librdkafka-%s", out);
    rd_kafka_t *rk = start(RD_KAFKA_PRODUCER, settings((const char *[]){"transactional.id", id, NULL}));
    rd_kafka_consumer_group_metadata_t *with = rd_kafka_consumer_group_metadata_new(name);
    check_object(rd_kafka_init_transactions(rk, LIMIT_MS), "init");
    transaction(rk, out, "aborted", 10, with, source, -1, 0);
    transaction(rk, out, "kept", 10, with, source, 5, 1);
    transaction(rk, out, "aborted again", 10, with, source, 9, 0);
    transaction(rk, out, "kept too", 1, with, source, -1, 1);
    rd_kafka_consumer_group_metadata_destroy(with);
    rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        die("rdkafka COMMAND ADDRESS ARGUMENT...");
    address = argv[2];
    if (!strcmp(argv[1], "write"))
        write_all(argv[3], argv + 4);
    else if (!strcmp(argv[1], "read"))
        read_all((int)strtol(argv[3], NULL, 10), argv + 4);
    else if (!strcmp(argv[1], "group") && argc >= 5)
        group(argv[3], argv[4]);
    else if (!strcmp(argv[1], "txn") && argc >= 6)
        txn(argv[3], argv[4], argv[5]);
    else
        die("no command %s", argv[1]);
    return 0;
}
