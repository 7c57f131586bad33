/*
 * kit/template: file and object names. Parsed once, then formatted without allocation beyond the given
 * buffer.
 *
 *   ${topic} ${partition} ${partition:3}  ${start_offset} ${start_offset:10}  (number: pad with zeros to that
 * width)
 *   ${encoded_partition}                  the partitioner's directory
 *   ${yyyy} ${MM} ${dd} ${HH} ${mm} ${ss} ${timestamp:PATTERN}   time of the file's first record, Joda
 * letters
 *   ${connector} ${extension}
 *   $$ a dollar. Aiven's {{topic}} {{partition:padding=true}} {{start_offset:padding=true}}
 * {{timestamp:unit=yyyy}} too.
 *
 * Task thread only (a template is immutable after parsing: any thread may format with its own buffer).
 */
#ifndef LEAT_KIT_TEMPLATE_H
#define LEAT_KIT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "kit/zone.h"

enum template_var {
    TEMPLATE_TEXT,
    TEMPLATE_TOPIC,
    TEMPLATE_PARTITION,
    TEMPLATE_START_OFFSET,
    TEMPLATE_ENCODED_PARTITION,
    TEMPLATE_TIME,
    TEMPLATE_CONNECTOR,
    TEMPLATE_EXTENSION,
};

struct template_values {
    const char *topic;
    int32_t partition;
    int64_t start_offset;
    const char *encoded_partition;
    int64_t time_ms; /* of the first record */
    const char *connector;
    const char *extension; /* with its dot */
};

struct template;
/* `zone` (NULL: UTC) must outlive it. ERR_INVALID_CONFIG shows what is wrong where. */
int template_parse(const char *text, const struct zone *zone, struct template **out, struct err *e);
void template_free(struct template *t);
bool template_has(const struct template *t, enum template_var var);
int template_format(const struct template *t, const struct template_values *v, struct buf *out,
                    struct err *e);

/*
 * Confluent's layout: <prefix>/<topic>/<encoded>/<topic>+<partition>+<offset padded>. `prefix` NULL or ""
 * drops its segment. No extension.
 */
struct layout {
    const char *prefix;                       /* topics.dir */
    const char *directory_delim, *file_delim; /* NULL: "/" and "+" */
    int zero_pad;                             /* filename.offset.zero.pad.width; < 0: 10 */
};
int layout_format(const struct layout *l, const struct template_values *v, struct buf *out, struct err *e);

#endif
