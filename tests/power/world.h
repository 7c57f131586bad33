/*
 * world: one schedule: a store on a simulated disk, the model of it, and the numbers that decide what comes next.
 */
#ifndef LEAT_TESTS_POWER_WORLD_H
#define LEAT_TESTS_POWER_WORLD_H

#include "base/buf.h"
#include "broker/broker.h"
#include "tests/power/compaction.h"
#include "tests/power/mixes.h"
#include "tests/power/rng.h"
#include "tests/power/simcalls.h"

struct world {
    uint64_t seed;
    struct rng rng;
    struct mix mix;
    struct model model;
    struct broker *b; /* NULL: not open */
    struct err e;
    bool trace;
    bool timeouts; /* of transactions pass */
    bool faults;   /* calls may fail by themselves */
    bool faulty;   /* they did in this life or one before */
    bool loose;    /* some did: what is unsure may stand between what is sure */
    int shunned;   /* topic to which nothing is written, as a log of it is out of service; -1: none */
    struct buf in, scratch, out;
};

/* Says what is wrong and how to see it again, and ends the process. */
_Noreturn void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_say(struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* when tracing */

/*
 * True if the power is cut or, with faults, the call failed: then its outcome is unsure, and this life of the store ends. An
 * error that nothing explains ends the test.
 */
bool world_gone(struct world *w, int rc, const char *what);

/* Retention runs by itself; what it may have deleted by now. To be called before whatever changes that. */
void world_allow_retention(struct world *w);

const char *world_topic_name(int topic);
const char *world_group_name(int group);
const char *world_id_name(int id);

/* ---- read.c */

/*
 * Everything that a reader gets of a partition from its start, with every byte of every record compared with what its
 * number says. False: the power is cut.
 */
bool read_partition(struct world *w, int topic, int32_t partition, enum isolation isolation,
                    struct found_list *out);
/* Did the log's start move since? Retention runs by itself. */
bool start_moved(struct world *w, const char *topic, int32_t partition, int64_t start);
void found_free(struct found_list *l);

/* ---- damage.c: did the store say that a refused append could not be taken back? Until it is to be forgotten. */
bool told_of_leftovers(bool forget);
/* The first error that the store told of, but for those of calls that failed as the power was off; NULL: none. */
const char *told_of_error(void);
void forget_errors(void);

/* ---- check.c */

/* The store was opened after a loss of power, or after a clean stop: compares it with the model, which goes on from there. */
bool check_recovered(struct world *w);
/* Nothing is under way: everything is as the model says. */
bool check_all(struct world *w);

/* ---- settings.c: a topic's settings as the store takes them */

enum { SETTINGS_MAX = 16 };
struct settings_list {
    struct topic_config_entry list[SETTINGS_MAX];
    char text[SETTINGS_MAX][24];
    size_t n;
};
void settings_choose(struct world *w, struct model_settings *s);
void settings_list(const struct model_settings *s, struct settings_list *out);
/* What turns `from` into `to`. */
void settings_change(const struct model_settings *from, const struct model_settings *to,
                     struct settings_list *out);

/* ---- mixes.c and run.c */

/* One operation of the schedule. False: the power is cut. */
bool op_any(struct world *w);
/* Every transactional id gets a new producer, which ends what was open. */
bool op_init_producers(struct world *w);
bool op_open(struct world *w);
bool op_close(struct world *w);

#endif
