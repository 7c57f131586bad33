/*
 * schema: a message file (core/protocol/README.md has the grammar) as it was read. Of the build's generator
 * only: it runs once, on files of ours, and ends the program with file, line and column at the first mistake.
 */
#ifndef LEAT_PROTOCOL_GEN_SCHEMA_H
#define LEAT_PROTOCOL_GEN_SCHEMA_H

#include <stdbool.h>

#define VERSION_MAX 99 /* "+": and all later ones */

struct group;

struct field {
    char name[64];
    char type[64]; /* without the [] */
    bool array;
    int since, until;
    int null_since; /* VERSION_MAX + 1: never */
    int tag;        /* -1: none */
    bool init_null;
    long long init;
    const struct group *of; /* of a struct, or of an array of them */
    struct field *next;
};

/* A struct: its fields in the order of the wire. */
struct group {
    char name[64];    /* as in the file; of a message the word that opened it */
    char c_name[256]; /* "fetch_request_topic" */
    struct field *fields;
    struct group *next; /* an inner one stands before those that use it */
};

/* request, response or body */
struct message {
    char c_name[96]; /* "fetch_request" */
    char name[96];   /* "FetchRequest" */
    struct group *groups;
    const struct group *top;
};

struct file {
    const char *path;
    bool api; /* else: data within other messages' bytes */
    int key;
    char name[64];   /* "Fetch" */
    char c_name[96]; /* "fetch" */
    int since, until;
    int flexible; /* VERSION_MAX + 1: never */
    struct message messages[2];
    int count;
};

/* Reads and checks the file. Does not return on a mistake. */
void schema_read(const char *path, struct file *f);

/* "TopicId" as "topic_id". */
void schema_snake(const char *camel, char *out, unsigned long size);

#endif
