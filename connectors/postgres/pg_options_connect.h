/*
 * pg_options_connect: option rows: where the database is and how it is reached. Names and defaults are Debezium's where it has them.
 */
#ifndef LEAT_PG_OPTIONS_CONNECT_H
#define LEAT_PG_OPTIONS_CONNECT_H

#include "leat/plugin.h"

#define PG_OPTIONS_CONNECT                                                                                   \
    {.name = "database.hostname",                                                                            \
     .type = LEAT_LIST,                                                                                      \
     .flags = LEAT_REQUIRED,                                                                                 \
     .importance = LEAT_HIGH,                                                                                \
     .doc = "Host, or directory of the Unix socket. Of several the first that answers and can write "        \
            "is taken: a failover is followed.",                                                             \
     .example = "db1.example.org,db2.example.org"},                                                          \
        {.name = "database.port",                                                                            \
         .type = LEAT_LIST,                                                                                  \
         .default_value = "5432",                                                                            \
         .importance = LEAT_HIGH,                                                                            \
         .doc = "Port: one for all hosts, or one each."},                                                    \
        {.name = "database.user",                                                                            \
         .type = LEAT_STRING,                                                                                \
         .flags = LEAT_REQUIRED,                                                                             \
         .importance = LEAT_HIGH,                                                                            \
         .doc = "A role that may replicate (ALTER ROLE x REPLICATION) and read the captured tables.",        \
         .example = "leat"},                                                                                 \
        {.name = "database.password",                                                                        \
         .type = LEAT_STRING,                                                                                \
         .flags = LEAT_SECRET,                                                                               \
         .importance = LEAT_HIGH,                                                                            \
         .doc = "Its password, if it needs one.",                                                            \
         .example = "${env:PG_PASSWORD}"},                                                                   \
        {.name = "database.dbname",                                                                          \
         .type = LEAT_STRING,                                                                                \
         .flags = LEAT_REQUIRED,                                                                             \
         .importance = LEAT_HIGH,                                                                            \
         .doc = "The database. Slots and publications are of one database.",                                 \
         .example = "shop"},                                                                                 \
        {.name = "database.sslmode",                                                                         \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "prefer",                                                                          \
         .choices = "disable|allow|prefer|require|verify-ca|verify-full",                                    \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Whether the connection is encrypted, and what is checked of the certificate of the "        \
                "server, as libpq has it."},                                                                 \
        {.name = "database.sslcert",                                                                         \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "File with the certificate of this client (PEM)."},                                          \
        {.name = "database.sslkey",                                                                          \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "File with the key that belongs to it (PEM, or DER as the JDBC driver has it), readable by " \
                "its owner alone."},                                                                         \
        {.name = "database.sslpassword",                                                                     \
         .type = LEAT_STRING,                                                                                \
         .flags = LEAT_SECRET,                                                                               \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "Password of the key file."},                                                                \
        {.name = "database.sslrootcert",                                                                     \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc = "File with the certificates that the one of the server must come from."},                    \
        {.name = "database.sslfactory",                                                                      \
         .type = LEAT_STRING,                                                                                \
         .flags = LEAT_ACCEPTED,                                                                             \
         .importance = LEAT_LOW,                                                                             \
         .doc = "A Java class; sslmode and sslrootcert say what is checked."},                               \
        {.name = "database.tcpKeepAlive",                                                                    \
         .type = LEAT_BOOL,                                                                                  \
         .default_value = "true",                                                                            \
         .importance = LEAT_LOW,                                                                             \
         .doc = "TCP keep-alive: a peer that is gone is noticed within a minute."},                          \
        {.name = "database.target.session.attrs",                                                            \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "auto",                                                                            \
         .choices = "auto|any|read-write|read-only|primary|standby|prefer-standby",                          \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Which of the hosts will do, as target_session_attrs of libpq. `auto`: of several one "      \
                "that can write, a single one whatever it is."},                                             \
        {.name = "database.connect.timeout.ms",                                                              \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "10s",                                                                             \
         .min = 1,                                                                                           \
         .max = 3600000,                                                                                     \
         .importance = LEAT_LOW,                                                                             \
         .doc = "How long one host may take to answer before the next is tried."},                           \
        {.name = "database.query.timeout.ms",                                                                \
         .type = LEAT_DURATION,                                                                              \
         .default_value = "10m",                                                                             \
         .min = 0,                                                                                           \
         .max = 86400000,                                                                                    \
         .importance = LEAT_LOW,                                                                             \
         .doc = "How long a statement may take, apart from those of snapshots; 0: no limit."},               \
        {.name = "database.initial.statements",                                                              \
         .type = LEAT_STRING,                                                                                \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Statements run on each new connection, separated by semicolons; for settings of the "       \
                "session.",                                                                                  \
         .example = "SET lock_timeout = '5s'"},                                                              \
    {                                                                                                        \
        .name = "connection.validation.timeout.ms", .type = LEAT_DURATION, .default_value = "1m",            \
        .flags = LEAT_ACCEPTED, .importance = LEAT_LOW,                                                      \
        .doc = "database.connect.timeout.ms says how long connecting may take."                              \
    }

#endif
