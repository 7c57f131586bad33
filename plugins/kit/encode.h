/*
 * kit/encode: records to the bytes of a file: JSON lines, raw bytes with a separator, CSV (RFC 4180).
 *
 *   json  one document a line. JSON text is compacted, text becomes a JSON string, bytes a base64 JSON
 * string, a typed value what Connect's JsonConverter writes with schemas off. raw   value bytes and the
 * separator. Typed strings and bytes as they are, other typed values as JSON. csv   columns of the record
 * (key, value, topic, partition, offset, timestamp) or of its value (value.<field>).
 *
 * The bytes of a record depend on the record and the configuration only. Task thread only.
 */
#ifndef LEAT_KIT_ENCODE_H
#define LEAT_KIT_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "kit/field.h"
#include "leat/plugin.h"

/* In the order of the choices of option `format`, see kit/options.h. */
enum encode_format { ENCODE_JSON, ENCODE_RAW, ENCODE_CSV };
/* In the order of the choices of option `behavior.on.null.values`. */
enum encode_nulls { ENCODE_NULLS_FAIL, ENCODE_NULLS_IGNORE, ENCODE_NULLS_WRITE };

#define ENCODE_RECORD_MAX (256u << 20) /* the most that one record may become */

struct encode_config {
    enum encode_format format;
    enum encode_nulls nulls;
    const char
        *separator; /* raw: escapes \n \r \t \0 \\ \xHH are understood; borrowed until encoder_new returns */
    const char *const *csv_columns; /* copied */
    size_t csv_column_count;
    bool csv_header; /* a line with the columns' names opens each file */
    bool csv_base64; /* key and value columns in base64, as Aiven's sinks write them */
};

struct encoder;
/* `view` must outlive the encoder. ERR_INVALID_CONFIG: a column that does not exist, a bad escape. */
int encoder_new(const struct encode_config *c, const struct record_view *view, struct encoder **out,
                struct err *e);
void encoder_free(struct encoder *x);

/* Appends what each file begins with (the CSV header line; else nothing). */
int encoder_begin(struct encoder *x, struct buf *out, struct err *e);

/*
 * Appends the record. ERR_END: its null value is ignored, nothing was appended. ERR_INVALID_RECORD: it cannot
 * be written (bad JSON, null with `fail`); the text names the record; nothing was appended.
 */
int encoder_record(struct encoder *x, const struct leat_record *r, struct buf *out, struct err *e);
/* Appends the record's key as the value of a record would be (Confluent's keys files); null is an error. */
int encoder_key(struct encoder *x, const struct leat_record *r, struct buf *out, struct err *e);

/* ".json", ".bin" or what `extension` says for raw, ".csv". */
const char *encode_extension(enum encode_format format);

#endif
