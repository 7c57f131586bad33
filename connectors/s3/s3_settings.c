/*
 * s3_settings: from the host's checked options to what the parts of the sink want. See s3_settings.h.
 */
#include "s3_settings.h"

#include <string.h>

#include "kit/options.h"

/* Options of Confluent's that would change what is written: refused rather than ignored. */
static int refuse_unsupported(const struct leat_host *h, const struct leat_config *c, struct err *e)
{
    static const char *const names[] = {"store.kafka.keys", "store.kafka.headers", "s3.object.tagging"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (h->get_bool(c, names[i]))
            return err_set(e, ERR_INVALID_CONFIG, "%s: not supported, leave it false", names[i]);
    return ERR_OK;
}

static int check_credentials(const struct s3_creds_options *o, struct err *e)
{
    if (!o->access_key != !o->secret_key)
        return err_set(e, ERR_INVALID_CONFIG, "%s: missing, as %s is set",
                       o->access_key ? "aws.secret.access.key" : "aws.access.key.id",
                       o->access_key ? "aws.access.key.id" : "aws.secret.access.key");
    if (o->session_token && !o->access_key)
        return err_set(e, ERR_INVALID_CONFIG,
                       "aws.session.token: needs aws.access.key.id and aws.secret.access.key");
    return ERR_OK;
}

static int read_object_headers(const struct leat_host *h, const struct leat_config *c, struct s3_settings *s,
                               struct err *e)
{
    const char *sse = h->get_str(c, "s3.ssea.name"), *kms = h->get_str(c, "s3.sse.kms.key.id");
    const char *acl = h->get_str(c, "s3.acl.canned");
    size_t n = 0;

    if (sse && strcmp(sse, "AES256") != 0 && strcmp(sse, "aws:kms") != 0)
        return err_set(e, ERR_INVALID_CONFIG, "s3.ssea.name: AES256 or aws:kms, not %s", sse);
    if (kms && (!sse || strcmp(sse, "aws:kms") != 0))
        return err_set(e, ERR_INVALID_CONFIG, "s3.sse.kms.key.id: needs s3.ssea.name: aws:kms");
    if (sse)
        s->object_headers[n++] = (struct sigv4_pair){"x-amz-server-side-encryption", sse};
    if (kms)
        s->object_headers[n++] = (struct sigv4_pair){"x-amz-server-side-encryption-aws-kms-key-id", kms};
    if (acl)
        s->object_headers[n++] = (struct sigv4_pair){"x-amz-acl", acl};
    s->s3.object_headers = s->object_headers;
    s->s3.object_header_count = n;
    return ERR_OK;
}

static void read_connection(const struct leat_host *h, const struct leat_config *c, struct s3_config *s)
{
    s->bucket = h->get_str(c, "s3.bucket.name");
    s->region = h->get_str(c, "s3.region");
    s->store_url = h->get_str(c, "store.url");
    s->path_style = h->get_bool(c, "s3.path.style.access.enabled");
    s->retry.retries = (int)h->get_int(c, "s3.part.retries");
    s->retry.backoff_ms = h->get_int(c, "s3.retry.backoff.ms");
    s->http.connect_ms = h->get_int(c, "s3.connect.timeout.ms");
    s->http.stall_ms = h->get_int(c, "s3.stall.timeout.ms");
    s->http.expect_continue = h->get_bool(c, "s3.http.send.expect.continue");
    s->http.proxy_url = h->get_str(c, "s3.proxy.url");
    s->http.proxy_user = h->get_str(c, "s3.proxy.user");
    s->http.proxy_password = h->get_str(c, "s3.proxy.password");
    s->http.ca_file = h->get_str(c, "ssl.ca.location");
}

static int check_names(const struct layout *l, struct err *e)
{
    if (!l->directory_delim || !*l->directory_delim)
        return err_set(e, ERR_INVALID_CONFIG, "directory.delim: must not be empty");
    if (!l->file_delim || !*l->file_delim)
        return err_set(e, ERR_INVALID_CONFIG, "file.delim: must not be empty");
    if (l->prefix && l->prefix[0] == '/')
        return err_set(e, ERR_INVALID_CONFIG, "topics.dir: must not begin with a slash");
    return ERR_OK;
}

int s3_settings_read(const struct leat_host *h, const struct leat_config *c, struct s3_settings *s,
                     struct err *e)
{
    static const struct kit_option_names names = {"format.class", "s3.compression.type",
                                                  "s3.compression.level"};

    memset(s, 0, sizeof *s);
    if (refuse_unsupported(h, c, e))
        return e->code;
    read_connection(h, c, &s->s3);
    s->creds.access_key = h->get_str(c, "aws.access.key.id");
    s->creds.secret_key = h->get_str(c, "aws.secret.access.key");
    s->creds.session_token = h->get_str(c, "aws.session.token");
    s->creds.profile = h->get_str(c, "aws.profile");
    s->layout.prefix = h->get_str(c, "topics.dir");
    s->layout.directory_delim = h->get_str(c, "directory.delim");
    s->layout.file_delim = h->get_str(c, "file.delim");
    s->layout.zero_pad = (int)h->get_int(c, "filename.offset.zero.pad.width");
    s->part_size = (size_t)h->get_int(c, "s3.part.size");
    s->memory_max = (size_t)h->get_int(c, "buffer.memory.bytes");
    s->conditional = h->get_bool(c, "enable.conditional.writes");
    s->scan_limit = (int)h->get_int(c, "max.files.scan.limit");
    if (check_credentials(&s->creds, e) || check_names(&s->layout, e) || read_object_headers(h, c, s, e) ||
        kit_options_read(h, c, &names, &s->filer, e))
        return e->code;
    s->filer.tombstone_partition = h->get_str(c, "tombstone.encoded.partition");
    s->filer.complete_on_stop = h->get_bool(c, "flush.on.stop");
    return ERR_OK;
}

const char *s3_not_exact(const struct leat_host *h, const struct leat_config *c)
{
    struct s3_settings s;
    struct err e;
    const struct filer_config *f = &s.filer;

    if (s3_settings_read(h, c, &s, &e))
        return NULL;
    if (f->rotation.schedule_ms > 0)
        return "rotate.schedule.interval.ms completes objects by the wall clock; after a crash records may "
               "be in two "
               "objects";
    if (partitioner_goes_by_clock(&f->partitioner))
        return "timestamp.extractor Wallclock names directories by the wall clock; after a crash records may "
               "be in "
               "two objects";
    return NULL;
}
