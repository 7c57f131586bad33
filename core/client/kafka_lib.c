/*
 * kafka_lib: see kafka_lib.h.
 */
#include "client/kafka_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define LIBRARY "librdkafka.so.1"

struct rdk rdk;

static struct err outcome; /* of the only attempt */

static const char *const names[] = {
#define X(name) "rd_kafka_" #name,
    RDK_FUNCTIONS(X)
#undef X
};

static void *fill(void *library, const char **missing)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *function = dlsym(library, names[i]);
        if (!function) {
            *missing = names[i];
            return NULL;
        }
        memcpy((char *)&rdk + i * sizeof function, &function, sizeof function); /* POSIX: of one size */
    }
    return library;
}

static void load(void)
{
    const char *missing = NULL;
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *why = dlerror();
        err_set(&outcome, ERR_PLUGIN,
                "a Kafka cluster is reached through librdkafka (package librdkafka1): %s",
                why ? why : LIBRARY);
    } else if (!fill(library, &missing)) {
        err_set(&outcome, ERR_PLUGIN, "%s is too old: it has no %s; version 2.0 or later is needed", LIBRARY,
                missing);
        dlclose(library);
    }
}

int rdk_load(struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (outcome.code)
        *e = outcome;
    return outcome.code;
}
