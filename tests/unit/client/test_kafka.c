/*
 * The client of a Kafka cluster over librdkafka's mock of one, which gives the errors that a real one gives now and then only.
 */
#include "tests/lib/testkit.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <pthread.h>
#include <unistd.h>

#include "client/client.h"

enum { LIST_OFFSETS = 2, OFFSET_FETCH = 9 }; /* Kafka's api keys */

struct fixture {
    rd_kafka_t *rk; /* the mock lives in a handle */
    rd_kafka_mock_cluster_t *cluster;
    struct client *c;
    struct err e;
};

static int setup(void **state)
{
    char why[256];
    struct fixture *f = calloc(1, sizeof *f);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL); /* that it knows no cluster */
    f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    assert_non_null(f->rk);
    f->cluster = rd_kafka_mock_cluster_new(f->rk, 1);
    assert_non_null(f->cluster);
    struct client_kafka_options o = {.bootstrap_servers = rd_kafka_mock_cluster_bootstraps(f->cluster)};
    f->c = client_kafka(&o, &f->e);
    if (!f->c)
        fail_msg("%s", f->e.text);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    client_close(f->c);
    rd_kafka_mock_cluster_destroy(f->cluster);
    rd_kafka_destroy(f->rk);
    free(f);
    return 0;
}

/* A broker that has just started, or is not the coordinator any more: it is asked again. It was a crash inside of librdkafka. */
static void test_offsets_from_a_coordinator_that_is_none(void **state)
{
    struct fixture *f = *state;
    static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
                                                RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
                                                RD_KAFKA_RESP_ERR_NOT_COORDINATOR};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct group_info g;
        rd_kafka_mock_push_request_errors(f->cluster, OFFSET_FETCH, 1, codes[i]);
        assert_code(client_group(f->c, "g", &g, &f->e), ERR_UNKNOWN_GROUP, &f->e);
    }
}

/* A broker that has just made a topic, and does not lead it yet. */
static void test_offsets_of_a_topic_that_was_just_made(void **state)
{
    struct fixture *f = *state;
    static const rd_kafka_resp_err_t codes[] = {
        RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART};
    assert_int_equal(rd_kafka_mock_topic_create(f->cluster, "t", 1, 1), 0);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        int64_t offset = -1, ts;
        rd_kafka_mock_push_request_errors(f->cluster, LIST_OFFSETS, 2, codes[i], codes[i]);
        assert_code(client_list_offset(f->c, "t", 0, -2, READ_UNCOMMITTED, &offset, &ts, &f->e), ERR_OK,
                    &f->e);
        assert_int_equal(offset, 0);
    }
}

/* That it is gone is told at once. */
static void test_offsets_of_a_topic_that_was_just_deleted(void **state)
{
    struct fixture *f = *state;
    int64_t offset, ts;
    assert_int_equal(rd_kafka_mock_topic_create(f->cluster, "t", 1, 1), 0);
    assert_code(client_list_offset(f->c, "t", 0, -2, READ_UNCOMMITTED, &offset, &ts, &f->e), ERR_OK, &f->e);
    rd_kafka_mock_topic_set_error(f->cluster, "t", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    rd_kafka_mock_push_request_errors(f->cluster, LIST_OFFSETS, 1, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    assert_code(client_list_offset(f->c, "t", 0, -2, READ_UNCOMMITTED, &offset, &ts, &f->e),
                ERR_UNKNOWN_TOPIC, &f->e);
}

static void *make_it(void *arg)
{
    struct fixture *f = arg;
    usleep(200000);
    rd_kafka_mock_topic_set_error(f->cluster, "t", RD_KAFKA_RESP_ERR_NO_ERROR);
    return NULL;
}

/* As brokers before KRaft say it of the topic itself. */
static void test_a_topic_that_is_being_made(void **state)
{
    struct fixture *f = *state;
    struct topic_brief t;
    pthread_t maker;
    assert_int_equal(rd_kafka_mock_topic_create(f->cluster, "t", 1, 1), 0);
    rd_kafka_mock_topic_set_error(f->cluster, "t", RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
    assert_int_equal(pthread_create(&maker, NULL, make_it, f), 0);
    int rc = client_topic_brief(f->c, "t", &t, &f->e);
    pthread_join(maker, NULL);
    assert_code(rc, ERR_OK, &f->e);
    assert_int_equal(t.partitions, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_offsets_from_a_coordinator_that_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offsets_of_a_topic_that_was_just_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offsets_of_a_topic_that_was_just_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_topic_that_is_being_made, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
