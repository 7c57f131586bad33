/*
 * s3_plugin: what the shared object exports: the option table (Confluent's S3 sink's names and defaults where
 * it has the option) and the connector.
 */
#include "kit/options.h"
#include "s3_settings.h"
#include "s3_sink.h"

static const struct leat_option s3_options[] = {
    {.name = "s3.bucket.name",
     .type = LEAT_STRING,
     .flags = LEAT_REQUIRED,
     .importance = LEAT_HIGH,
     .doc = "The bucket. It must exist.",
     .example = "my-logs"},
    {.name = "s3.region",
     .type = LEAT_STRING,
     .default_value = "us-west-2",
     .importance = LEAT_HIGH,
     .doc = "The bucket's region; part of every signature. Stores that are not AWS mostly want `us-east-1`.",
     .example = "eu-central-1"},
    {.name = "store.url",
     .type = LEAT_STRING,
     .importance = LEAT_HIGH,
     .doc = "Endpoint of another store that speaks S3. Without it, or empty, AWS's of the region.",
     .example = "https://minio.example.org:9000"},
    {.name = "s3.path.style.access.enabled",
     .type = LEAT_BOOL,
     .default_value = "true",
     .importance = LEAT_MEDIUM,
     .doc = "True: `https://endpoint/bucket/key`. False: `https://bucket.endpoint/key`, which some stores "
            "want."},
    {.name = "aws.access.key.id",
     .type = LEAT_STRING,
     .importance = LEAT_HIGH,
     .doc = "Access key. Without it and the secret key the environment's AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and "
            "AWS_SESSION_TOKEN count, then the profile in `~/.aws/credentials`.",
     .example = "AKIAIOSFODNN7EXAMPLE"},
    {.name = "aws.secret.access.key",
     .type = LEAT_STRING,
     .flags = LEAT_SECRET,
     .importance = LEAT_HIGH,
     .doc = "Secret key that belongs to the access key.",
     .example = "${env:S3_SECRET}"},
    {.name = "aws.session.token",
     .type = LEAT_STRING,
     .flags = LEAT_SECRET,
     .importance = LEAT_LOW,
     .doc = "Session token of temporary credentials."},
    {.name = "aws.profile",
     .type = LEAT_STRING,
     .importance = LEAT_LOW,
     .doc = "Profile of the credentials file (`~/.aws/credentials`, or what AWS_SHARED_CREDENTIALS_FILE "
            "names) instead "
            "of AWS_PROFILE or `default`; goes before keys in the environment.",
     .example = "production"},

    {.name = "topics.dir",
     .type = LEAT_STRING,
     .default_value = "topics",
     .importance = LEAT_HIGH,
     .doc = "First directory of every object's name; empty for none."},
    {.name = "directory.delim",
     .type = LEAT_STRING,
     .default_value = "/",
     .importance = LEAT_MEDIUM,
     .doc = "Stands between the directories in object names."},
    {.name = "file.delim",
     .type = LEAT_STRING,
     .default_value = "+",
     .importance = LEAT_MEDIUM,
     .doc = "Stands between topic, partition and offset in object names."},
    {.name = "filename.offset.zero.pad.width",
     .type = LEAT_INT,
     .default_value = "10",
     .min = 0,
     .max = 20,
     .importance = LEAT_LOW,
     .doc = "Digits of the offset in object names."},

    KIT_OPTIONS_FORMAT("format.class"),
    KIT_OPTIONS_COMPRESSION("s3.compression.type", "s3.compression.level", "none"),
    KIT_OPTIONS_PARTITIONER,
    KIT_OPTIONS_ROTATION(LEAT_REQUIRED, NULL, "0", "-1"),

    {.name = "tombstone.encoded.partition",
     .type = LEAT_STRING,
     .default_value = "tombstone",
     .importance = LEAT_LOW,
     .doc = "Directory of the `.keys` files that `behavior.on.null.values: write` makes of records without "
            "value."},
    {.name = "flush.on.stop",
     .type = LEAT_BOOL,
     .default_value = "false",
     .importance = LEAT_MEDIUM,
     .doc = "True: a clean stop completes the open files, so that all that was read is in the bucket. False, "
            "as in Kafka "
            "Connect: they are dropped and written anew after the next start, so that objects never get "
            "smaller than "
            "their rotation says."},
    {.name = "enable.conditional.writes",
     .type = LEAT_BOOL,
     .default_value = "true",
     .importance = LEAT_MEDIUM,
     .doc = "With rotation or directories by the wall clock a replay may make other objects of the same "
            "name. True: an "
            "object that is there is not replaced (If-None-Match), the new one takes the next free name. "
            "Stores that do "
            "not know this replace. Without effect where names and contents follow from the records alone."},
    {.name = "max.files.scan.limit",
     .type = LEAT_INT,
     .default_value = "100",
     .min = 1,
     .max = 100000,
     .importance = LEAT_LOW,
     .doc = "How many following offsets are tried for a free name then."},

    {.name = "s3.part.size",
     .type = LEAT_SIZE,
     .default_value = "26214400",
     .min = S3_PART_MIN,
     .max = 1 << 30,
     .importance = LEAT_HIGH,
     .doc =
         "An object of at most this size is put in one request, a larger one in parts of this size. Half of "
         "buffer.memory.bytes is taken instead where that is less. Every open file has a buffer that grows "
         "up "
         "to it."},
    {.name = "buffer.memory.bytes",
     .type = LEAT_SIZE,
     .default_value = "16MiB",
     .min = S3_PART_MIN,
     .max = INT64_C(1) << 40,
     .importance = LEAT_MEDIUM,
     .doc =
         "Limit of all part buffers of a task together. At it the fullest is uploaded early, as a smaller "
         "part, but S3 "
         "takes no parts below 5 MiB: many open files (see partitioner.max.open.files) may need 5 MiB each."},
    {.name = "s3.part.retries",
     .type = LEAT_INT,
     .default_value = "3",
     .min = 0,
     .max = 100,
     .importance = LEAT_MEDIUM,
     .doc = "How often a request is repeated after 5xx, throttling, time-outs, resets and half answers. Then "
            "the task "
            "starts anew from what is stored."},
    {.name = "s3.retry.backoff.ms",
     .type = LEAT_DURATION,
     .default_value = "200",
     .min = 0,
     .max = 86400000,
     .importance = LEAT_LOW,
     .doc = "Wait before a repetition: random up to this, doubled each time, 60 s at most."},
    {.name = "s3.connect.timeout.ms",
     .type = LEAT_DURATION,
     .default_value = "10s",
     .min = 100,
     .max = 3600000,
     .importance = LEAT_LOW,
     .doc = "Limit for finding and connecting to the store."},
    {.name = "s3.stall.timeout.ms",
     .type = LEAT_DURATION,
     .default_value = "60s",
     .min = 1000,
     .max = 3600000,
     .importance = LEAT_LOW,
     .doc = "A request during which no byte moves for so long is given up and repeated. Whole seconds."},
    {.name = "s3.http.send.expect.continue",
     .type = LEAT_BOOL,
     .default_value = "true",
     .importance = LEAT_LOW,
     .doc = "Asks before sending more than 1 MiB (Expect: 100-continue), so that a refusal comes before the "
            "data."},
    {.name = "s3.proxy.url",
     .type = LEAT_STRING,
     .importance = LEAT_LOW,
     .doc = "HTTP proxy. Without it http_proxy, https_proxy and no_proxy of the environment count.",
     .example = "http://proxy.example.org:3128"},
    {.name = "s3.proxy.user", .type = LEAT_STRING, .importance = LEAT_LOW, .doc = "User for the proxy."},
    {.name = "s3.proxy.password",
     .type = LEAT_STRING,
     .flags = LEAT_SECRET,
     .importance = LEAT_LOW,
     .doc = "Password for the proxy."},
    {.name = "ssl.ca.location",
     .type = LEAT_STRING,
     .importance = LEAT_LOW,
     .doc = "File with the CA certificates (PEM) that the store's certificate must come from, instead of the "
            "system's.",
     .example = "/etc/ssl/private-ca.pem"},
    {.name = "s3.ssea.name",
     .type = LEAT_STRING,
     .importance = LEAT_LOW,
     .doc = "Server-side encryption: `AES256` or `aws:kms`.",
     .example = "AES256"},
    {.name = "s3.sse.kms.key.id",
     .type = LEAT_STRING,
     .importance = LEAT_LOW,
     .doc = "Key for `aws:kms`; without it the account's default key."},
    {.name = "s3.acl.canned",
     .type = LEAT_STRING,
     .importance = LEAT_LOW,
     .doc = "Canned access list of new objects.",
     .example = "bucket-owner-full-control"},

    {.name = "store.kafka.keys",
     .type = LEAT_BOOL,
     .default_value = "false",
     .importance = LEAT_LOW,
     .doc = "Key files are not there yet: only `false` is possible."},
    {.name = "store.kafka.headers",
     .type = LEAT_BOOL,
     .default_value = "false",
     .importance = LEAT_LOW,
     .doc = "Header files are not there yet: only `false` is possible."},
    {.name = "s3.object.tagging",
     .type = LEAT_BOOL,
     .default_value = "false",
     .importance = LEAT_LOW,
     .doc = "Tags on objects are not there yet: only `false` is possible."},
    {.name = "s3.schema.partition.affix.type",
     .type = LEAT_CHOICE,
     .default_value = "NONE",
     .choices = "NONE",
     .importance = LEAT_LOW,
     .doc = "Directories by schema name are not there yet: only `NONE` is possible."},
    {.name = "storage.class",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "Confluent's name of this very store (`io.confluent.connect.s3.storage.S3Storage`)."},
    {.name = "schema.compatibility",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "JSON and raw files hold records of any schema, so that a change of schema needs no new file."},
    {.name = "schema.generator.class",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "Of Confluent's Hive integration."},
    {.name = "s3.credentials.provider.class",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "A Java class. See aws.access.key.id for where credentials come from here."},
    {.name = "keys.format.class",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "Belongs to store.kafka.keys."},
    {.name = "headers.format.class",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "Belongs to store.kafka.headers."},
    {.name = "avro.codec",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "Of Avro files, which are not there yet."},
    {.name = "parquet.codec",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "Of Parquet files, which are not there yet."},
    {.name = "json.decimal.format",
     .type = LEAT_STRING,
     .flags = LEAT_ACCEPTED,
     .importance = LEAT_LOW,
     .doc = "Decimals are written as BASE64, Connect's default."},
};

static const char *const s3_aliases[] = {"io.confluent.connect.s3.S3SinkConnector", NULL};

static const struct leat_connector s3_connector = {
    .struct_size = sizeof(struct leat_connector),
    .kind = LEAT_SINK,
    .type = "s3",
    .aliases = s3_aliases,
    .summary = "Writes records as objects to S3 and stores that speak its protocol.",
    .doc = "Objects are named `<topics.dir>/<topic>/<partition>/<topic>+<partition>+<offset><ext>` as by "
           "Confluent's S3 "
           "sink, and complete when they appear. When one is complete is said by flush.size, rotate.size, "
           "rotate.interval.ms and rotate.schedule.interval.ms.\n\n"
           "A record is in exactly one object, over crashes too, as long as rotation and directories follow "
           "from the "
           "records: with the default, field or a time-based partitioner by `Record` or `RecordField` time, "
           "and without "
           "rotate.schedule.interval.ms. Else a record may be in two objects after a crash.\n\n"
           "Formats are JSON lines and raw bytes, with gzip or zstd. Avro and Parquet are refused.",
    .example = "type: s3\n"
               "s3.bucket.name: my-logs\n"
               "s3.region: eu-central-1\n"
               "s3.compression.type: gzip\n"
               "flush.size: 100000\n",
    .options = s3_options,
    .option_count = sizeof s3_options / sizeof *s3_options,
    .exact = true,
    .not_exact = s3_not_exact,
    .outlet = s3_sink_outlet,
    .validate = s3_sink_validate,
    .check = s3_sink_check,
    .sink = &s3_sink_ops,
};

static const struct leat_connector *const connectors[] = {&s3_connector};

LEAT_EXPORT const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {
    LEAT_PLUGIN_HEADER,       .name = "s3",         .version = LEAT_VERSION, .built_for = LEAT_VERSION,
    .connectors = connectors, .connector_count = 1,
};
