/*
 * What administrators look at and ask for: partitions page by page, data directories, the quorum, features, and what there is none of:
 * ACLs, SASL, quotas, moves of replicas.
 */
#include "tests/unit/server/client.h"

static struct msg_string text(const char *s)
{
    return msg_text(s, strlen(s));
}

static bool same(struct msg_string a, const char *b)
{
    return a.n == (int32_t)strlen(b) && memcmp(a.p, b, strlen(b)) == 0;
}

/* ---- DescribeTopicPartitions ---- */

static struct msg_describe_topic_partitions_response *
describe(struct rig *r, const char *const *names, int32_t n, int32_t limit, const char *cursor, int32_t at)
{
    struct msg_describe_topic_partitions_request q;
    struct msg_describe_topic_partitions_request_topic_request topics[4];
    struct msg_describe_topic_partitions_request_cursor c = {text(cursor != NULL ? cursor : ""), at};
    msg_init(&msg_schema_describe_topic_partitions_request, &q);
    for (int32_t i = 0; i < n; i++)
        topics[i].name = text(names[i]);
    q.topics.items = topics;
    q.topics.count = n;
    q.response_partition_limit = limit;
    q.cursor = cursor != NULL ? &c : NULL;
    return ask(r, r->fd, MSG_KEY_describe_topic_partitions, 0, &q);
}

/* "name:first-last/error ..." and where it goes on. */
static void expect_page(const struct msg_describe_topic_partitions_response *a, const char *seen)
{
    char now[256] = "";
    for (int32_t i = 0; i < a->topics.count; i++) {
        const struct msg_describe_topic_partitions_response_topic *t = &a->topics.items[i];
        size_t at = strlen(now);
        int32_t n = t->partitions.count;
        snprintf(now + at, sizeof now - at, "%.*s:%d-%d/%d ", t->name.n, t->name.p,
                 n > 0 ? t->partitions.items[0].partition_index : -1,
                 n > 0 ? t->partitions.items[n - 1].partition_index : -1, t->error_code);
    }
    size_t at = strlen(now);
    if (a->next_cursor != NULL)
        snprintf(now + at, sizeof now - at, "then %.*s %d", a->next_cursor->topic_name.n,
                 a->next_cursor->topic_name.p, a->next_cursor->partition_index);
    assert_string_equal(now, seen);
}

static void test_partitions_page_by_page(void **state)
{
    struct rig *r = *state;
    make_topic(r, "a", 3);
    make_topic(r, "b", 2);
    expect_page(describe(r, NULL, 0, 2000, NULL, 0), "a:0-2/0 b:0-1/0 ");
    expect_page(describe(r, NULL, 0, 2, NULL, 0), "a:0-1/0 then a 2");
    expect_page(describe(r, NULL, 0, 2, "a", 2), "a:2-2/0 b:0-0/0 then b 1");
    expect_page(describe(r, NULL, 0, 2, "b", 1), "b:1-1/0 ");
    expect_page(describe(r, NULL, 0, 3, NULL, 0), "a:0-2/0 then b 0");
    expect_page(describe(r, NULL, 0, 0, NULL, 0), "a:0-0/0 then a 1"); /* one at least */
    static const char *const names[] = {"nope", "b", "not good", "b"};
    expect_page(describe(r, names, 4, 2000, NULL, 0), "b:0-1/0 nope:-1--1/3 not good:-1--1/17 ");
    struct msg_describe_topic_partitions_response *a = describe(r, names + 1, 1, 2000, NULL, 0);
    assert_int_equal(a->topics.items[0].partitions.items[1].leader_id, 1);
    assert_int_equal(a->topics.items[0].partitions.items[1].isr_nodes.count, 1);
    assert_false(uuid_is_zero(&a->topics.items[0].topic_id));
}

/* ---- data directories, quorum, features ---- */

static void test_log_dirs(void **state)
{
    struct rig *r = *state;
    struct msg_describe_log_dirs_request q;
    int32_t second[] = {1, 1, 9};
    struct msg_describe_log_dirs_request_describable_log_dir_topic topics[] = {
        {text("a"), {second, 3}}, {text("nope"), {second, 1}}, {text("a"), {second, 1}}};
    make_topic(r, "a", 2);
    struct msg_bytes batch = make_batch(r, "v", 1);
    ask(r, r->fd, MSG_KEY_produce, 9, make_produce(r, "a", 1, -1, batch));
    msg_init(&msg_schema_describe_log_dirs_request, &q);
    q.topics.count = -1;
    const struct msg_describe_log_dirs_response *a = ask(r, r->fd, MSG_KEY_describe_log_dirs, 5, &q);
    assert_int_equal(a->results.count, 1);
    assert_int_equal(a->results.items[0].error_code, 0);
    assert_true(a->results.items[0].total_bytes >= a->results.items[0].usable_bytes);
    assert_true(a->results.items[0].usable_bytes > 0);
    assert_int_equal(a->results.items[0].topics.count, 1);
    assert_int_equal(a->results.items[0].topics.items[0].partitions.count, 2);
    q.topics.items = topics;
    q.topics.count = 3;
    a = ask(r, r->fd, MSG_KEY_describe_log_dirs, 1, &q);
    assert_int_equal(a->results.items[0].topics.count, 1);
    assert_int_equal(a->results.items[0].topics.items[0].partitions.count, 1);
    assert_int_equal(a->results.items[0].topics.items[0].partitions.items[0].partition_size, batch.n);

    /* Nothing moves: where a partition is already it may go, elsewhere there is nothing. */
    struct msg_alter_replica_log_dirs_request move;
    struct msg_alter_replica_log_dirs_request_alter_replica_log_dir_topic t = {text("a"), {second, 3}};
    struct msg_alter_replica_log_dirs_request_alter_replica_log_dir dirs[] = {
        {a->results.items[0].log_dir, {&t, 1}}, {text("/nowhere"), {&t, 1}}};
    msg_init(&msg_schema_alter_replica_log_dirs_request, &move);
    move.dirs.items = dirs;
    move.dirs.count = 2;
    const struct msg_alter_replica_log_dirs_response *m =
        ask(r, r->fd, MSG_KEY_alter_replica_log_dirs, 2, &move);
    assert_int_equal(m->results.count, 2);
    assert_int_equal(m->results.items[0].partitions.items[0].error_code, 0);
    assert_int_equal(m->results.items[0].partitions.items[2].error_code, 3);
    assert_int_equal(m->results.items[1].partitions.items[0].error_code, 57);
}

static void test_quorum(void **state)
{
    struct rig *r = *state;
    struct msg_describe_quorum_request q;
    struct msg_describe_quorum_request_partition_data p = {0};
    struct msg_describe_quorum_request_topic_data t = {text("__cluster_metadata"), {&p, 1}};
    msg_init(&msg_schema_describe_quorum_request, &q);
    q.topics.items = &t;
    q.topics.count = 1;
    int64_t before = 0;
    for (int16_t version = 0; version <= 2; version++) {
        const struct msg_describe_quorum_response *a = ask(r, r->fd, MSG_KEY_describe_quorum, version, &q);
        assert_int_equal(a->error_code, 0);
        assert_int_equal(a->topics.items[0].partitions.items[0].leader_id, 1);
        assert_int_equal(a->topics.items[0].partitions.items[0].current_voters.count, 1);
        assert_int_equal(a->nodes.count, version == 2 ? 1 : 0);
        assert_true(version == 0 || a->topics.items[0].partitions.items[0].high_watermark > before);
        before = a->topics.items[0].partitions.items[0].high_watermark;
        make_topic(r, version == 0 ? "a" : version == 1 ? "b" : "c", 1);
    }
    t.topic_name = text("a");
    const struct msg_describe_quorum_response *a = ask(r, r->fd, MSG_KEY_describe_quorum, 2, &q);
    assert_int_equal(a->topics.items[0].partitions.items[0].error_code, 3);
}

static void test_features(void **state)
{
    struct rig *r = *state;
    struct msg_api_versions_request versions;
    msg_init(&msg_schema_api_versions_request, &versions);
    versions.client_software_name = versions.client_software_version = text("t");
    for (int16_t version = 3; version <= 4; version++) {
        const struct msg_api_versions_response *a = ask(r, r->fd, MSG_KEY_api_versions, version, &versions);
        assert_true(a->finalized_features.count >= 1 && a->finalized_features_epoch >= 0);
        assert_true(a->supported_features.count >= 1);
        for (int32_t i = 0; version == 3 && i < a->supported_features.count; i++)
            assert_true(a->supported_features.items[i].min_version > 0);
    }
    /* Who does not say properly who it is gets nothing. */
    static const char *const wrong[] = {"", "-x", "x.", "a b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        versions.client_software_name = text(wrong[i]);
        const struct msg_api_versions_response *no = ask(r, r->fd, MSG_KEY_api_versions, 3, &versions);
        assert_int_equal(no->error_code, 42);
        assert_int_equal(no->api_keys.count, 0);
    }
    struct msg_update_features_request q;
    struct msg_update_features_request_feature_update_key u[] = {
        {.feature = text("metadata.version"), .max_version_level = 30, .upgrade_type = 1},
        {.feature = text("metadata.version"), .max_version_level = 20, .upgrade_type = 1},
        {.feature = text("nonsense"), .max_version_level = 1, .upgrade_type = 1}};
    msg_init(&msg_schema_update_features_request, &q);
    q.feature_updates.items = u;
    q.feature_updates.count = 3;
    const struct msg_update_features_response *a;
    for (int16_t version = 0; version <= 2; version++) {
        a = ask(r, r->fd, MSG_KEY_update_features, version, &q);
        assert_int_equal(a->error_code, 95);
        assert_int_equal(a->results.count, 0);
    }
    q.feature_updates.count = 1;
    a = ask(r, r->fd, MSG_KEY_update_features, 2, &q);
    assert_int_equal(a->error_code, 0);
}

static void test_resources(void **state)
{
    struct rig *r = *state;
    struct msg_list_config_resources_request q;
    int8_t types[] = {2, 77};
    make_topic(r, "a", 1);
    msg_init(&msg_schema_list_config_resources_request, &q);
    const struct msg_list_config_resources_response *a = ask(r, r->fd, MSG_KEY_list_config_resources, 0, &q);
    assert_int_equal(a->config_resources.count, 0);
    a = ask(r, r->fd, MSG_KEY_list_config_resources, 1, &q);
    assert_int_equal(a->config_resources.count, 3);
    q.resource_types.items = types;
    q.resource_types.count = 1;
    a = ask(r, r->fd, MSG_KEY_list_config_resources, 1, &q);
    assert_int_equal(a->config_resources.count, 1);
    assert_true(same(a->config_resources.items[0].resource_name, "a"));
    q.resource_types.count = 2;
    a = ask(r, r->fd, MSG_KEY_list_config_resources, 1, &q);
    assert_int_equal(a->error_code, 35);
}

/* ---- what there is none of ---- */

static void test_no_security(void **state)
{
    struct rig *r = *state;
    struct msg_describe_acls_request acls;
    msg_init(&msg_schema_describe_acls_request, &acls);
    acls.resource_type_filter = acls.operation = acls.permission_type = 1; /* any */
    const struct msg_describe_acls_response *d = ask(r, r->fd, MSG_KEY_describe_acls, 3, &acls);
    assert_int_equal(d->error_code, 54);
    struct msg_create_acls_request create;
    struct msg_create_acls_request_acl_creation creation;
    msg_init(&msg_schema_create_acls_request, &create);
    msg_init(&msg_schema_create_acls_request_acl_creation, &creation);
    creation.resource_type = 2;
    creation.operation = creation.permission_type = 3;
    create.creations.items = &creation;
    create.creations.count = 1;
    const struct msg_create_acls_response *c = ask(r, r->fd, MSG_KEY_create_acls, 1, &create);
    assert_int_equal(c->results.items[0].error_code, 54);
    struct msg_delete_acls_request delete;
    struct msg_delete_acls_request_filter filter;
    msg_init(&msg_schema_delete_acls_request, &delete);
    msg_init(&msg_schema_delete_acls_request_filter, &filter);
    filter.resource_type_filter = filter.operation = filter.permission_type = 1;
    delete.filters.items = &filter;
    delete.filters.count = 1;
    const struct msg_delete_acls_response *x = ask(r, r->fd, MSG_KEY_delete_acls, 2, &delete);
    assert_int_equal(x->filter_results.items[0].error_code, 54);
    struct msg_sasl_handshake_request handshake = {text("PLAIN")};
    const struct msg_sasl_handshake_response *h = ask(r, r->fd, MSG_KEY_sasl_handshake, 1, &handshake);
    assert_int_equal(h->error_code, 34);
    assert_int_equal(h->mechanisms.count, 0);
    struct msg_sasl_authenticate_request authenticate = {{(const uint8_t *)"x", 1}};
    const struct msg_sasl_authenticate_response *s =
        ask(r, r->fd, MSG_KEY_sasl_authenticate, 2, &authenticate);
    assert_int_equal(s->error_code, 34);
    struct msg_describe_client_quotas_request quotas;
    msg_init(&msg_schema_describe_client_quotas_request, &quotas);
    const struct msg_describe_client_quotas_response *k =
        ask(r, r->fd, MSG_KEY_describe_client_quotas, 1, &quotas);
    assert_int_equal(k->error_code, 0);
    assert_int_equal(k->entries.count, 0);
    struct msg_describe_user_scram_credentials_request_user_name user = {text("u")};
    struct msg_describe_user_scram_credentials_request users = {{&user, 1}};
    const struct msg_describe_user_scram_credentials_response *u =
        ask(r, r->fd, MSG_KEY_describe_user_scram_credentials, 0, &users);
    assert_int_equal(u->results.items[0].error_code, 91);
}

static void test_no_moves(void **state)
{
    struct rig *r = *state;
    int32_t ones[] = {1, 1}, two[] = {2}, both[] = {0, 5};
    make_topic(r, "a", 1);
    struct msg_elect_leaders_request elect;
    struct msg_elect_leaders_request_topic_partitions of[] = {{text("a"), {both, 2}},
                                                              {text("nope"), {both, 1}}};
    msg_init(&msg_schema_elect_leaders_request, &elect);
    elect.topic_partitions.items = of;
    elect.topic_partitions.count = 2;
    const struct msg_elect_leaders_response *e = ask(r, r->fd, MSG_KEY_elect_leaders, 2, &elect);
    assert_int_equal(e->replica_election_results.items[0].partition_result.items[0].error_code, 84);
    assert_int_equal(e->replica_election_results.items[0].partition_result.items[1].error_code, 3);
    assert_int_equal(e->replica_election_results.items[1].partition_result.items[0].error_code, 3);
    elect.topic_partitions.count = -1;
    e = ask(r, r->fd, MSG_KEY_elect_leaders, 0, &elect);
    assert_int_equal(e->replica_election_results.count, 0);

    struct msg_alter_partition_reassignments_request_reassignable_partition p[] = {
        {0, {NULL, -1}}, {0, {ones, 1}}, {0, {ones, 2}}, {0, {two, 1}}, {0, {ones, 0}}, {5, {ones, 1}}};
    static const int16_t codes[] = {85, 0, 39, 39, 39, 3};
    struct msg_alter_partition_reassignments_request_reassignable_topic t = {text("a"), {p, 6}};
    struct msg_alter_partition_reassignments_request alter;
    msg_init(&msg_schema_alter_partition_reassignments_request, &alter);
    alter.topics.items = &t;
    alter.topics.count = 1;
    const struct msg_alter_partition_reassignments_response *a =
        ask(r, r->fd, MSG_KEY_alter_partition_reassignments, 1, &alter);
    for (int i = 0; i < 6; i++)
        assert_int_equal(a->responses.items[0].partitions.items[i].error_code, codes[i]);
    struct msg_list_partition_reassignments_request list;
    msg_init(&msg_schema_list_partition_reassignments_request, &list);
    const struct msg_list_partition_reassignments_response *l =
        ask(r, r->fd, MSG_KEY_list_partition_reassignments, 0, &list);
    assert_int_equal(l->error_code, 0);
    assert_int_equal(l->topics.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_partitions_page_by_page, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_log_dirs, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_quorum, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_features, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_resources, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_no_security, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_no_moves, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
