/*
 * A member of a consumer group as a client has it: what it owns, what it was told, and its steps.
 */
#ifndef LEAT_TESTS_UNIT_GROUP_CLIENT_H
#define LEAT_TESTS_UNIT_GROUP_CLIENT_H

#include "tests/unit/group/hub.h"

/* ---- a member, as a client has it ---- */

struct client {
    char id[64];
    const char *instance, *regex, *assignor;
    struct msg_string names[TOPICS_MAX];
    int32_t name_count; /* -1: none are told */
    int32_t rebalance_ms;
    int32_t epoch;
    struct tp_set owned;
    struct tp_set wanted; /* what it was last told */
    int16_t error;
    char why[200];
    bool told;
    int32_t interval_ms;
};

static inline void subscribe(struct client *m, const char *a, const char *b)
{
    m->name_count = 0;
    if (a != NULL)
        m->names[m->name_count++] = text(a);
    if (b != NULL)
        m->names[m->name_count++] = text(b);
}

static inline struct client client_of(const char *id, const char *a, const char *b)
{
    struct client m = {.rebalance_ms = 100000};
    snprintf(m.id, sizeof m.id, "%s", id);
    subscribe(&m, a, b);
    return m;
}

static inline struct consumer_heartbeat question_of(const struct client *m, bool full)
{
    full = full || m->epoch == 0;
    return (struct consumer_heartbeat){.group = text("g"),
                                       .member = text(m->id),
                                       .instance = text(m->instance),
                                       .rack = MSG_NULL_STRING,
                                       .client_id = text("client"),
                                       .host = "/here",
                                       .epoch = m->epoch,
                                       .rebalance_ms = full ? m->rebalance_ms : -1,
                                       .topics = m->names,
                                       .topic_count = full ? m->name_count : -1,
                                       .regex = full ? text(m->regex) : MSG_NULL_STRING,
                                       .assignor = full ? text(m->assignor) : MSG_NULL_STRING,
                                       .owned = m->owned.list,
                                       .owned_count = m->owned.n,
                                       .own_id = true};
}

/* Sends; what comes back is taken in unless it is `lost`. What the client owns stays as it is. */
static inline void send(struct client *m, const struct consumer_heartbeat *q, bool lost)
{
    struct arena a;
    struct consumer_beat b;
    arena_init(&a, 1 << 20, NULL);
    heartbeat(q, &a, &b);
    if (!lost) {
        m->error = b.error;
        m->told = b.told;
        snprintf(m->why, sizeof m->why, "%.*s", b.why.n > 0 ? b.why.n : 0, b.why.n > 0 ? b.why.p : "");
        if (b.error == 0) {
            m->epoch = b.epoch;
            m->interval_ms = b.interval_ms;
            memmove(m->id, b.member.p, (size_t)b.member.n); /* it may be the question's, which is this */
            m->id[b.member.n] = '\0';
        }
        if (b.error == 0 && b.told) {
            tp_set_free(&m->wanted);
            assert_true(tp_set_copy(&b.assigned, &m->wanted));
        }
    }
    arena_free(&a);
}

static inline int16_t beat(struct client *m)
{
    struct consumer_heartbeat q = question_of(m, false);
    send(m, &q, false);
    return m->error;
}

static inline int16_t beat_full(struct client *m)
{
    struct consumer_heartbeat q = question_of(m, true);
    send(m, &q, false);
    return m->error;
}

static inline int16_t leave(struct client *m, int32_t how)
{
    m->epoch = how;
    return beat(m);
}

/* It gives back what it was told to, */
static inline void revoke(struct client *m)
{
    struct tp_set less;
    assert_true(tp_set_pick(&m->owned, &m->wanted, true, &less));
    tp_set_free(&m->owned);
    m->owned = less;
}

/* and takes what it got. */
static inline void take(struct client *m)
{
    tp_set_free(&m->owned);
    assert_true(tp_set_copy(&m->wanted, &m->owned));
}

static inline void forget(struct client *m)
{
    tp_set_free(&m->owned);
    tp_set_free(&m->wanted);
}

static inline void turn(struct client *m)
{
    assert_int_equal(beat(m), 0);
    take(m);
}

static struct consumer_view view;
static struct arena view_arena;

static inline const char *state_now(void)
{
    static char word[32];
    arena_free(&view_arena);
    arena_init(&view_arena, 1 << 20, NULL);
    int16_t error = consumer_view(all, text("g"), &view_arena, &view);
    snprintf(word, sizeof word, "%.*s", error == 0 ? view.state.n : 4, error == 0 ? view.state.p : "none");
    return word;
}

static inline void no_view(void)
{
    arena_free(&view_arena);
    memset(&view_arena, 0, sizeof view_arena);
}

#endif
