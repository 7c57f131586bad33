/*
 * bench_kafka_e2e: librdkafka from end to end: one thread produces at an even rate, another consumes the same partition; how long each record
 * took from its produce call to its consumer. linger.ms=0, acks=all, else librdkafka's defaults.
 *
 * Usage: bench_kafka_e2e ADDRESS TOPIC RECORDS_A_SECOND BYTES SECONDS
 * Prints one JSON object: records, and percentiles in microseconds of those after the first fifth.
 */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

enum { SLOWEST_US = 60000000, LATE_S = 62, NS = 1000000000, READY_NS = 100000000 };

static struct {
    const char *address, *topic;
    _Atomic(int64_t) count_from, end; /* clock_mono_ns */
    long records, bytes;
    long received, counted;
    uint32_t *slow; /* by microseconds */
    rd_kafka_t *consumer;
} s;

static void must(bool well, const char *what)
{
    if (well)
        return;
    fprintf(stderr, "bench_kafka_e2e: %s\n", what);
    exit(1);
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *const (*settings)[2], size_t n)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    must(rd_kafka_conf_set(conf, "bootstrap.servers", s.address, text, sizeof text) == RD_KAFKA_CONF_OK,
         text);
    for (size_t i = 0; i < n; i++)
        must(rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) == RD_KAFKA_CONF_OK,
             text);
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
    must(rk != NULL, text);
    return rk;
}

static void *consume(void *arg)
{
    (void)arg;
    while (s.received < s.records && clock_mono_ns() < s.end + (int64_t)LATE_S * NS) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s.consumer, 100);
        int64_t sent, now = clock_mono_ns();
        if (m == NULL)
            continue;
        must(m->err == 0 && m->len >= sizeof sent, rd_kafka_message_errstr(m));
        memcpy(&sent, m->payload, sizeof sent);
        int64_t us = (now - sent) / 1000;
        s.received++;
        if (sent >= s.count_from) {
            s.slow[us < SLOWEST_US ? us : SLOWEST_US]++;
            s.counted++;
        }
        rd_kafka_message_destroy(m);
    }
    return NULL;
}

static void begin_consumer(void)
{
    static const char *const settings[][2] = {{"group.id", "bench"}, {"enable.auto.commit", "false"}};
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    s.consumer = client(RD_KAFKA_CONSUMER, settings, 2);
    rd_kafka_poll_set_consumer(s.consumer);
    rd_kafka_topic_partition_list_add(list, s.topic, 0)->offset = 0;
    must(rd_kafka_assign(s.consumer, list) == 0, "assign");
    rd_kafka_topic_partition_list_destroy(list);
}

static void produce(long rate)
{
    static const char *const settings[][2] = {{"linger.ms", "0"}, {"acks", "all"}};
    rd_kafka_t *producer = client(RD_KAFKA_PRODUCER, settings, 2);
    uint8_t *value = mem_calloc(1, (size_t)s.bytes);
    int64_t start = clock_mono_ns() + READY_NS;
    s.end = start + s.records / rate * NS;
    s.count_from = start + (s.end - start) / 5;
    for (long i = 0; i < s.records; i++) {
        int64_t due = start + i * (NS / rate), now = clock_mono_ns();
        if (now < due) {
            struct timespec t = {due / NS, due % NS};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        }
        now = clock_mono_ns();
        memcpy(value, &now, sizeof now);
        must(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(s.topic), RD_KAFKA_V_PARTITION(0),
                               RD_KAFKA_V_VALUE(value, (size_t)s.bytes),
                               RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END) == 0,
             "produce");
        if (i % 64 == 0)
            rd_kafka_poll(producer, 0);
    }
    /* A server that cannot keep up is behind then, and its figures say how far. */
    must(rd_kafka_flush(producer, 60000) == 0, "records were not taken within 60 s of the last one");
    rd_kafka_destroy(producer);
    mem_free(value);
}

static long percentile(double part)
{
    double at = 0;
    long us = 0;
    while (us < SLOWEST_US && (at += s.slow[us]) <= (double)s.counted * part)
        us++;
    return us;
}

int main(int argc, char **argv)
{
    pthread_t t;
    must(argc == 6, "usage: bench_kafka_e2e ADDRESS TOPIC RECORDS_A_SECOND BYTES SECONDS");
    s.address = argv[1];
    s.topic = argv[2];
    long rate = strtol(argv[3], NULL, 10);
    s.bytes = strtol(argv[4], NULL, 10);
    s.records = rate * strtol(argv[5], NULL, 10);
    must(rate > 0 && s.records > 0 && s.bytes >= (long)sizeof(int64_t), "numbers");
    s.slow = mem_calloc(SLOWEST_US + 1, sizeof *s.slow);
    s.end = INT64_MAX - (int64_t)LATE_S * NS;
    begin_consumer();
    must(pthread_create(&t, NULL, consume, NULL) == 0, "thread");
    produce(rate);
    pthread_join(t, NULL);
    must(s.received == s.records, "records are missing");
    printf("{\"records\": %ld, \"p50\": %ld, \"p99\": %ld, \"p999\": %ld}\n", s.received, percentile(0.5),
           percentile(0.99), percentile(0.999));
    rd_kafka_consumer_close(s.consumer);
    rd_kafka_destroy(s.consumer);
    return 0;
}
