/*
 * security: what a broker answers that has no authorizer, no SASL on its listeners, no users and no client quotas. From memory; any thread.
 */
#include <string.h>

#include "server/apis.h"
#include "server/names.h"

static struct msg_string constant(const char *text)
{
    return msg_text(text, strlen(text));
}

/* ---- ACLs (KIP-140): there is no authorizer ---- */

static const char no_authorizer[] = "No Authorizer is configured on the broker";

/* Kafka does not take a request with values that it does not know for one; 0 is its UNKNOWN in each of these. */
static bool is_unknown(int8_t resource, int8_t pattern, int8_t operation, int8_t permission)
{
    return resource == 0 || pattern == 0 || operation == 0 || permission == 0;
}

static void refuse_unknown(struct request *c)
{
    struct err e;
    request_close(c, (err_set(&e, ERR_INVALID, "%s with unknown elements", c->header.api->name), &e));
}

void api_describe_acls(struct request *c)
{
    const struct msg_describe_acls_request *q = c->asked;
    struct msg_describe_acls_response r;
    if (is_unknown(q->resource_type_filter, q->pattern_type_filter, q->operation, q->permission_type)) {
        refuse_unknown(c);
        return;
    }
    msg_init(&msg_schema_describe_acls_response, &r);
    r.error_code = KAFKA_SECURITY_DISABLED;
    r.error_message = constant(no_authorizer);
    request_reply(c, &r);
}

void api_create_acls(struct request *c)
{
    const struct msg_create_acls_request *q = c->asked;
    struct msg_create_acls_response r;
    for (int32_t i = 0; i < q->creations.count; i++) {
        const struct msg_create_acls_request_acl_creation *one = &q->creations.items[i];
        if (is_unknown(one->resource_type, one->resource_pattern_type, one->operation,
                       one->permission_type)) {
            refuse_unknown(c);
            return;
        }
    }
    msg_init(&msg_schema_create_acls_response, &r);
    r.results.items = request_alloc(c, (size_t)q->creations.count, sizeof *r.results.items);
    if (r.results.items == NULL)
        return;
    r.results.count = q->creations.count;
    for (int32_t i = 0; i < r.results.count; i++)
        r.results.items[i] = (struct msg_create_acls_response_acl_creation_result){KAFKA_SECURITY_DISABLED,
                                                                                   constant(no_authorizer)};
    request_reply(c, &r);
}

void api_delete_acls(struct request *c)
{
    const struct msg_delete_acls_request *q = c->asked;
    struct msg_delete_acls_response r;
    for (int32_t i = 0; i < q->filters.count; i++) {
        const struct msg_delete_acls_request_filter *one = &q->filters.items[i];
        if (is_unknown(one->resource_type_filter, one->pattern_type_filter, one->operation,
                       one->permission_type)) {
            refuse_unknown(c);
            return;
        }
    }
    msg_init(&msg_schema_delete_acls_response, &r);
    r.filter_results.items = request_alloc(c, (size_t)q->filters.count, sizeof *r.filter_results.items);
    if (r.filter_results.items == NULL)
        return;
    r.filter_results.count = q->filters.count;
    for (int32_t i = 0; i < r.filter_results.count; i++)
        r.filter_results.items[i] = (struct msg_delete_acls_response_filter_result){
            .error_code = KAFKA_SECURITY_DISABLED, .error_message = constant(no_authorizer)};
    request_reply(c, &r);
}

/* ---- SASL (KIP-43, KIP-152): the listeners are without ---- */

void api_sasl_handshake(struct request *c)
{
    struct msg_sasl_handshake_response r;
    msg_init(&msg_schema_sasl_handshake_response, &r);
    r.error_code = KAFKA_ILLEGAL_SASL_STATE;
    request_reply(c, &r);
}

void api_sasl_authenticate(struct request *c)
{
    struct msg_sasl_authenticate_response r;
    msg_init(&msg_schema_sasl_authenticate_response, &r);
    r.error_code = KAFKA_ILLEGAL_SASL_STATE;
    r.error_message = constant("SaslAuthenticate request received after successful authentication");
    request_reply(c, &r);
}

/* ---- quotas of clients and SCRAM's users (KIP-546, KIP-554): there are none ---- */

static bool is_quota_entity(struct msg_string type)
{
    static const char *const types[] = {"user", "client-id", "ip"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (type.n == (int32_t)strlen(types[i]) && memcmp(type.p, types[i], (size_t)type.n) == 0)
            return true;
    return false;
}

void api_describe_client_quotas(struct request *c)
{
    const struct msg_describe_client_quotas_request *q = c->asked;
    struct msg_describe_client_quotas_response r;
    msg_init(&msg_schema_describe_client_quotas_response, &r);
    r.error_message = MSG_NULL_STRING;
    r.entries.count = 0;
    for (int32_t i = 0; i < q->components.count; i++)
        if (!is_quota_entity(q->components.items[i].entity_type)) {
            r.error_code = err_kafka(ERR_UNSUPPORTED);
            r.error_message = constant("Unsupported entity type");
            r.entries.count = -1;
        }
    request_reply(c, &r);
}

void api_describe_user_scram_credentials(struct request *c)
{
    const struct msg_describe_user_scram_credentials_request *q = c->asked;
    struct msg_describe_user_scram_credentials_response r;
    struct names names = {NULL};
    struct err e;
    int32_t n = q->users.count > 0 ? q->users.count : 0;
    msg_init(&msg_schema_describe_user_scram_credentials_response, &r);
    r.error_message = MSG_NULL_STRING;
    r.results.items = request_try_alloc(c, (size_t)n, sizeof *r.results.items);
    bool good = r.results.items != NULL;
    for (int32_t i = 0; good && i < n; i++) {
        struct msg_string user = q->users.items[i].name;
        int32_t place = names_place(&names, user.p, user.n > 0 ? (size_t)user.n : 0, r.results.count);
        good = place >= 0;
        if (!good)
            break;
        bool again = place < r.results.count;
        r.results.items[place] = (struct msg_describe_user_scram_credentials_response_result){
            .user = user,
            .error_code = again ? KAFKA_DUPLICATE_RESOURCE : KAFKA_RESOURCE_NOT_FOUND,
            .error_message = constant(again ? "Cannot describe SCRAM credentials for the same user twice"
                                            : "Attempt to describe a user credential that does not exist")};
        r.results.count += !again;
    }
    names_free(&names);
    if (good)
        request_reply(c, &r);
    else
        request_close(c, (err_nomem(&e), &e));
}
