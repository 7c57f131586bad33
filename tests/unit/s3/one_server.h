/*
 * one_server: one store for all tests of a program, emptied before each.
 */
#ifndef LEAT_TESTS_S3_ONE_SERVER_H
#define LEAT_TESTS_S3_ONE_SERVER_H

#include "tests/unit/s3/s3_test.h"

#define P0 "topics/t/partition=0/"

static struct server server;

static int start(void **state)
{
    (void)state;
    server_start(&server);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_stop(&server);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    server_reset(&server);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, clean)

#endif
