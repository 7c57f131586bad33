/*
 * sites: lets the simulated disk know which line of the store asks for a sync. In the variant that is built for it
 * (make POWER=1) this file comes before every source of core/storage and core/broker and wraps what base/io offers that
 * syncs. Each use is listed in the section power_sites, so that one that no schedule reaches is known, too.
 */
#ifndef LEAT_TESTS_POWER_SITES_H
#define LEAT_TESTS_POWER_SITES_H

#include "base/io.h"

struct power_site {
    const char *file, *function;
    int line;
};

/* Where the call into base/io that runs now stands; NULL: in none that this file knows. */
extern _Thread_local const struct power_site *power_site;

#define POWER_AT(call)                                                                                       \
    ({                                                                                                       \
        static const struct power_site site_ = {__FILE__, __func__, __LINE__};                               \
        static const struct power_site *const listed_ __attribute__((section("power_sites"), used)) =        \
            &site_;                                                                                          \
        power_site = &site_;                                                                                 \
        int result_ = (call);                                                                                \
        power_site = NULL;                                                                                   \
        result_;                                                                                             \
    })

#define io_sync(...) POWER_AT(io_sync(__VA_ARGS__))
#define io_sync_data(...) POWER_AT(io_sync_data(__VA_ARGS__))
#define io_sync_fs_of(...) POWER_AT(io_sync_fs_of(__VA_ARGS__))
#define io_sync_dir(...) POWER_AT(io_sync_dir(__VA_ARGS__))
#define io_sync_parent(...) POWER_AT(io_sync_parent(__VA_ARGS__))
#define io_mkdirs_synced(...) POWER_AT(io_mkdirs_synced(__VA_ARGS__))
#define io_replace_file(...) POWER_AT(io_replace_file(__VA_ARGS__))

/* Not listed: only what is opened with O_DSYNC syncs, and that shows when it is written through. */
#define io_open(...)                                                                                         \
    ({                                                                                                       \
        static const struct power_site site_ = {__FILE__, __func__, __LINE__};                               \
        power_site = &site_;                                                                                 \
        int result_ = io_open(__VA_ARGS__);                                                                  \
        power_site = NULL;                                                                                   \
        result_;                                                                                             \
    })

#endif
