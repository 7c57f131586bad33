/*
 * s3_settings: the sink's options, as a table and as a struct. Strings are borrowed from the host's
 * configuration.
 */
#ifndef LEAT_S3_SETTINGS_H
#define LEAT_S3_SETTINGS_H

#include "kit/filer.h"
#include "kit/template.h"
#include "leat/plugin.h"
#include "s3_api.h"
#include "s3_creds.h"

#define S3_PART_MIN (5 << 20) /* S3's minimum of all parts but the last */
#define S3_OBJECT_HEADERS_MAX 4

struct s3_settings {
    struct s3_config s3; /* without credentials and callbacks */
    struct s3_creds_options creds;
    struct sigv4_pair object_headers[S3_OBJECT_HEADERS_MAX];
    struct layout layout;
    size_t part_size;
    size_t memory_max; /* of all part buffers together */
    bool conditional;  /* enable.conditional.writes */
    int scan_limit;    /* max.files.scan.limit */
    struct filer_config filer;
};

/* Reads and checks everything that can be checked without the outside. ERR_INVALID_CONFIG names the option.
 */
int s3_settings_read(const struct leat_host *h, const struct leat_config *c, struct s3_settings *out,
                     struct err *e);

/* As leat_connector has it: whether objects follow from the records, or from the clock. Options that cannot be read are told elsewhere. */
const char *s3_not_exact(const struct leat_host *h, const struct leat_config *c);

#endif
