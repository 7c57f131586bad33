/*
 * s3_object: what becomes of one file in the store: a plain put, or a multipart upload that is invisible until it is
 * completed. One thread at a time: the uploader's, or the task's when the uploader is stopped.
 */
#ifndef LEAT_S3_OBJECT_H
#define LEAT_S3_OBJECT_H

#include "s3_target.h"

struct s3_object {
    const struct s3_target_config *config;
    char *key;
    char *topic, *directory, *extension;
    const char *topic_id;        /* of the target's topics */
    struct template_values name; /* for another key; of the strings above */
    char *upload_id;             /* NULL: none was begun, or it is completed */
    char (*etags)[S3_ETAG_SIZE];
    size_t parts;
    int64_t uploaded; /* bytes in the uploaded parts */
};

/* `o` is zero. After an error object_free too. */
int object_init(struct s3_object *o, const struct s3_target_config *c, const struct filer_file *file,
                struct err *e);
void object_free(struct s3_object *o);

/* Uploads the next part and empties it. `conditional`: as of a name that nobody has. */
int object_part(struct s3_object *o, struct buf *part, bool conditional, struct err *e);
/* Makes what was uploaded visible. */
int object_complete(struct s3_object *o, bool conditional, struct err *e);
/* All of it in one request. */
int object_put(struct s3_object *o, const struct buf *whole, bool conditional, struct err *e);
/* Aborts what was begun and not completed. */
int object_abort(struct s3_object *o, struct err *e);

#endif
