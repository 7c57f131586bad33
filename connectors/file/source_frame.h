/*
 * frame: where one record ends and the next begins in the bytes of a file. Pure: no I/O, no state but `mid`; spans point
 * into the caller's bytes. Used by one task's thread.
 */
#ifndef LEAT_FILE_SOURCE_FRAME_H
#define LEAT_FILE_SOURCE_FRAME_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define FRAME_BATCH 1024      /* spans of one call */
#define FRAME_REGEX_MAX 65536 /* of a line only so much is matched: regexec's memory grows with the text */

enum frame_mode { FRAME_LINE, FRAME_JSON, FRAME_RAW };
enum frame_over { FRAME_SPLIT, FRAME_TRUNCATE, FRAME_SKIP, FRAME_FAIL };
enum frame_bad { FRAME_BAD_FAIL, FRAME_BAD_SKIP, FRAME_BAD_STRING };

/* How to cut; set once. */
struct framing {
    enum frame_mode mode;
    enum frame_over over;
    enum frame_bad bad_json;
    size_t line_max;  /* bytes of a line without its end */
    size_t chunk_max; /* bytes of a record in raw mode */
    bool multiline;
    bool negate; /* a line that does not match is one that belongs to its neighbour */
    bool before; /* ... to the next line instead of to the previous one */
    size_t group_lines, group_bytes;
    regex_t pattern; /* when multiline */
};

struct span {
    const uint8_t *data;
    size_t len;
    size_t at; /* where it begins in the caller's bytes */
};

/* What is known about the end of the bytes given. */
enum frame_flush {
    FRAME_KEEP,  /* more may come: keep what is not ended */
    FRAME_GROUP, /* a group of whole lines is complete as it is; a line without its end is kept */
    FRAME_ALL,   /* nothing more will come */
};

struct frames {
    struct span spans[FRAME_BATCH];
    size_t count;
    size_t consumed;      /* bytes that need not be given again */
    size_t dropped_lines; /* shortened or skipped for being too long, or skipped as bad JSON */
    bool mid;             /* in and out: the bytes begin within a line that was too long */
    struct buf
        scratch; /* bytes of a span that is not a part of the caller's bytes; owner calls buf_init, buf_free */
};

/*
 * Cuts up to FRAME_BATCH records off the front of `data`. With consumed == 0 and count == 0 nothing could be decided:
 * give more bytes (at most frame_need) or flush. ERR_TOO_LARGE and ERR_INVALID_RECORD, where `over` and `bad_json` say
 * so, are of the line that begins at data; what lies before it was given by the calls before.
 */
int frame_split(const struct framing *f, const uint8_t *data, size_t n, enum frame_flush flush,
                struct frames *out, struct err *e);

/* With so many bytes at hand frame_split always gets on. */
size_t frame_need(const struct framing *f);

#endif
