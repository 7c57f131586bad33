/*
 * plugin_dir: finds what the tests of connect need of the build: the test plugins, built beside the test program.
 */
#ifndef LEAT_TESTS_CONNECT_PLUGIN_DIR_H
#define LEAT_TESTS_CONNECT_PLUGIN_DIR_H

#include <limits.h>
#include <unistd.h>

#include "tests/lib/testkit.h"

/* "<build>/test-plugins", of the program "<build>/tests/unit/connect/test_x". */
static inline const char *plugin_dir(void)
{
    static char path[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    assert_true(n > 0);
    path[n] = 0;
    for (int i = 0; i < 4; i++)
        *strrchr(path, '/') = 0;
    snprintf(path + strlen(path), sizeof(path) - strlen(path), "/test-plugins");
    return path;
}

#endif
