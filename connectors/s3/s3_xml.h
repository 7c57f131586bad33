/*
 * s3_xml: reads the XML answers of object stores. A pull scanner over bytes that are already in memory,
 * tolerant of what S3-like servers do (prefixes, attributes, comments, CDATA, leading white space that keeps
 * a connection alive), strict about what must never pass: a document that ends early, names that do not
 * match, document type declarations, depth and lengths beyond the caps. Any thread.
 */
#ifndef LEAT_S3_XML_H
#define LEAT_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define XML_DEPTH_MAX 16
#define XML_TEXT_MAX 4096 /* of one element, after decoding; an S3 key has at most 1024 bytes */
#define XML_NAME_MAX 64

enum xml_event { XML_OPEN, XML_CLOSE, XML_END };

struct xml {
    const char *p;
    const char *end;
    int depth;
    bool self_closing; /* the CLOSE of <a/> is still to be given */
    bool closing;      /* CLOSE was given; the next call leaves the element */
    bool done;         /* the root was closed */
    char names[XML_DEPTH_MAX][XML_NAME_MAX];
    char text[XML_TEXT_MAX]; /* of the element that CLOSE ends, if it has no children; else of its last piece
                              */
    size_t text_len;
};

void xml_init(struct xml *x, const void *data, size_t n);

/*
 * The next event. OPEN: depth counts the new element, xml_name() is its name. CLOSE: depth still counts it,
 * its text is in `text`. END: the root was closed and only white space and comments follow. ERR_CORRUPT
 * otherwise.
 */
int xml_next(struct xml *x, enum xml_event *event, struct err *e);

/* Local name of the element at `level` (1: root) of those open. */
const char *xml_name(const struct xml *x, int level);

#endif
