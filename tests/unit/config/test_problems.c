/*
 * Configurations that are wrong: every problem with its exact place and words.
 */
#include "base/mem.h"
#include "tests/lib/testkit.h"
#include "tests/unit/config/catalog.h"

/* All problems, a line each. */
static char *problems_of(const char *text, size_t n)
{
    struct config *c;
    struct problems p;
    struct err e;
    struct buf out;
    problems_init(&p);
    buf_init(&out, 1 << 20);
    int rc = config_parse(text, n, "f", &catalog, &c, &p, &e);
    if (rc == ERR_OK)
        config_free(c);
    else if (rc != ERR_INVALID_CONFIG)
        print_message("%s\n", e.text);
    assert_true(rc == (p.count ? ERR_INVALID_CONFIG : ERR_OK));
    if (rc)
        assert_null(c);
    for (size_t i = 0; i < p.count; i++) {
        assert_int_equal(problem_print(&p.items[i], &out, &e), ERR_OK);
        assert_int_equal(buf_str(&out, "\n", &e), ERR_OK);
    }
    problems_free(&p);
    assert_int_equal(buf_u8(&out, 0, &e), ERR_OK);
    return (char *)out.data;
}

struct wrong {
    const char *text, *problems;
};

/* clang-format off */
static const struct wrong cases[] = {
    /* YAML itself */
    {"pipelines:\n"
     "\t- name: a\n",
     "f:2:1: a tab cannot indent in YAML; use spaces\n"},
    {"hub:\n"
     "  log.level: info\n"
     "   data.dir: x\n",
     "f:3:12: YAML: mapping values are not allowed in this context\n"},
    {"a: [1, 2\n",
     "f:2:1: YAML: did not find expected ',' or ']' (while parsing a flow sequence from line 1 on)\n"},
    {"a: *nothing\n",
     "f:1:4: YAML: found undefined alias\n"},
    {"a: \"\xff\"\n",
     "f:1:5: not UTF-8 text: invalid leading UTF-8 octet\n"},
    {"hub: {}\n"
     "---\n"
     "hub: {}\n",
     "f:2:1: a second YAML document; a file has one\n"},
    {"a: &x [*x]\n"
     "? [k]\n"
     ": v\n",
     "f:1:1: unknown key \"a\"\n"
     "f:2:3: a key must be plain text\n"},
    {"- a\n",
     "f:1:1: a mapping (key: value) is expected, not a list\n"},
    {"text\n",
     "f:1:1: a mapping (key: value) is expected, not a single value\n"},
    {"[[[[[[[[[[[[[[[[[[[[[[[",
     "f:1:17: nested more than 16 deep\n"},
    /* keys */
    {"hubb: {}\n",
     "f:1:1: unknown key \"hubb\"; did you mean \"hub\"?\n"},
    {"pipeline: []\n",
     "f:1:1: unknown key \"pipeline\"; did you mean \"pipelines\"?\n"},
    {"something: 1\n",
     "f:1:1: unknown key \"something\"\n"},
    {"hub: {log.levl: info, data_dir: x, zzzz: 1}\n",
     "f:1:7: hub: unknown key \"log.levl\"; did you mean \"log.level\"?\n"
     "f:1:23: hub: unknown key \"data_dir\"; did you mean \"data.dir\"?\n"
     "f:1:36: hub: unknown key \"zzzz\"\n"},
    {"hub:\n"
     "  log.level: info\n"
     "  log.level: debug\n",
     "f:3:3: hub: \"log.level\" is given twice; first in line 2\n"},
    {"hub: []\n",
     "f:1:6: hub: a mapping (key: value) is expected, not a list\n"},
    {"hub: 3\n"
     "hub: {}\n",
     "f:1:6: hub: a mapping (key: value) is expected, not a single value\n"
     "f:2:1: \"hub\" is given twice; first in line 1\n"},
    /* values of the hub */
    {"hub:\n"
     "  log.level: inf\n"
     "  log.format: xml\n"
     "  shutdown.timeout: 5x\n"
     "  journal.file.bytes: 1\n",
     "f:2:14: hub: \"log.level\": \"inf\" is not known; did you mean \"info\"?\n"
     "f:3:15: hub: \"log.format\": \"xml\" is none of text, json\n"
     "f:4:21: hub: \"shutdown.timeout\": \"5x\" is not a duration such as 500ms, 10s, 5m, 1h, 7d\n"
     "f:5:23: hub: \"journal.file.bytes\": \"1\" is out of range: 1MiB to 4GiB\n"},
    {"hub:\n"
     "  http.listen: 8083\n",
     "f:2:16: hub: \"http.listen\": \"8083\" is not an address and port such as 127.0.0.1:8083\n"},
    {"hub:\n"
     "  http.listen: ::1:8083\n",
     "f:2:16: hub: \"http.listen\": \"::1:8083\" is not an address and port such as 127.0.0.1:8083\n"},
    {"hub:\n"
     "  http.listen: localhost:99999\n",
     "f:2:16: hub: \"http.listen\": \"localhost:99999\" is not an address and port such as 127.0.0.1:8083\n"},
    {"hub:\n"
     "  listeners: nowhere\n",
     "f:2:14: hub: \"listeners\": \"nowhere\" is not an address and port such as PLAINTEXT://127.0.0.1:9092\n"},
    {"hub:\n"
     "  listeners: [\"PLAINTEXT://:9092\", \"unix:/tmp/l\", \"SSL://:9093\", \"unix:\"]\n",
     "f:2:51: hub: \"listeners\": \"SSL://:9093\" has another security protocol than PLAINTEXT, which is the only one that there is\n"
     "f:2:66: hub: \"listeners\": \"unix:\" names no socket\n"},
    {"hub:\n"
     "  advertised.listeners: unix:/tmp/l\n",
     "f:2:25: hub: \"advertised.listeners\": \"unix:/tmp/l\" is not an address and port such as PLAINTEXT://127.0.0.1:9092\n"},
    {"hub: {data.dir: '', shutdown.timeout: -1}\n",
     "f:1:17: hub: \"data.dir\": \"\" names no directory\n"
     "f:1:39: hub: \"shutdown.timeout\": \"-1\" is out of range: 1ms to 1d\n"},
    {"hub: {data.dir: , plugin.path: {a: b}, log.level: [info]}\n",
     "f:1:17: hub: \"data.dir\" has no value\n"
     "f:1:32: hub: \"plugin.path\" takes a list, not a mapping\n"
     "f:1:51: hub: \"log.level\" takes one value, not a list\n"},
    {"hub: {plugin.path: [a, [b], ~]}\n",
     "f:1:24: hub: \"plugin.path\" takes text in its list, not a list\n"
     "f:1:29: hub: \"plugin.path\" has no value\n"},
    {"hub: {data.dir: \"a\\0b\"}\n",
     "f:1:17: hub: \"data.dir\" holds a NUL character\n"},
    {"hub: {log.retention.ms: 0, log.retention.hours: 0, compression.gzip.level: 10}\n",
     "f:1:25: hub: \"log.retention.ms\": \"0\" is not possible: at least 1, or -1 to keep records for ever\n"
     "f:1:49: hub: \"log.retention.hours\": \"0\" is not possible: at least 1, or -1 to keep records for ever\n"
     "f:1:76: hub: \"compression.gzip.level\": \"10\" is out of range: -1 to 9\n"},
    {"hub: {compression.gzip.level: 0, log.local.retention.ms: 5}\n",
     "f:1:31: hub: \"compression.gzip.level\": \"0\" is refused (compression.gzip.level: 0 is not possible)\n"
     "f:1:34: hub: unknown key \"log.local.retention.ms\"; did you mean \"log.retention.ms\"?\n"},
    {"hub: {journal.file.bytes: 99999999999999999999, retention.check.interval: 9223372036854775807h}\n",
     "f:1:27: hub: \"journal.file.bytes\": \"99999999999999999999\" is not a size such as 4096, 64KiB, 5MiB, 1GiB\n"
     "f:1:75: hub: \"retention.check.interval\": \"9223372036854775807h\" is not a duration such as 500ms, 10s, 5m, 1h, 7d\n"},
    {"hub: {log.cleaner.threads: 3, log.cleaner.dedupe.buffer.size: 2MiB}\n",
     "f:1:28: hub: \"log.cleaner.threads\": \"3\" leaves less than 1 MiB of log.cleaner.dedupe.buffer.size for each\n"},
    {"hub: {log.cleaner.threads: -1}\n",
     "f:1:28: hub: \"log.cleaner.threads\": \"-1\" is out of range: 0 to 1000\n"},
    /* pipelines */
    {"pipelines: {}\n",
     "f:1:12: \"pipelines\": a list is expected, not a mapping\n"},
    {"pipelines: [1, {}]\n",
     "f:1:13: pipeline #1: a mapping (key: value) is expected, not a single value\n"
     "f:1:16: pipeline #2: \"name\" is missing\n"
     "f:1:16: pipeline #2: has neither \"source\" nor \"sinks\"\n"},
    {"pipelines:\n"
     "  - nam: a\n"
     "    source: {type: tail, paths: /x}\n",
     "f:2:5: pipeline #1: unknown key \"nam\"; did you mean \"name\"?\n"},
    {"pipelines:\n"
     "  - name: a b\n"
     "    source: {type: tail, paths: /x}\n"
     "  - name: ''\n"
     "    source: {type: tail, paths: /x}\n"
     "  - name: .a\n"
     "    source: {type: tail, paths: /x}\n",
     "f:2:11: pipeline \"a b\": its name has other characters than letters, digits, dot, dash and underscore\n"
     "f:4:11: pipeline \"\": its name is empty\n"
     "f:6:11: pipeline \".a\": its name does not begin with a letter or digit\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x}\n"
     "  - name: b\n"
     "    source: {type: tail, paths: /x}\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x}\n",
     "f:6:11: pipeline \"a\": a second pipeline of this name; the first is at f:2\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    compression: zip\n"
     "  - name: b\n"
     "    topics: [x]\n"
     "  - name: c\n"
     "  - name: d\n"
     "    sinks: [{type: 'null'}]\n"
     "    topics: []\n"
     "  - name: e\n"
     "    sorce: {}\n",
     "f:2:5: pipeline \"a\": has neither \"source\" nor \"sinks\"\n"
     "f:3:18: pipeline \"a\": \"compression\": \"zip\" is not known; did you mean \"gzip\"?\n"
     "f:4:5: pipeline \"b\": has neither \"source\" nor \"sinks\"\n"
     "f:6:5: pipeline \"c\": has neither \"source\" nor \"sinks\"\n"
     "f:7:5: pipeline \"d\": its sinks have nothing to read: neither \"source\" nor \"topics\"\n"
     "f:11:5: pipeline \"e\": unknown key \"sorce\"; did you mean \"source\"?\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x}\n"
     "    compression.type: gzip\n"
     "    source: {}\n",
     "f:4:5: pipeline \"a\": unknown key \"compression.type\"; did you mean \"compression\"?\n"
     "f:5:5: pipeline #1: \"source\" is given twice; first in line 3\n"},
    /* topics */
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x}\n"
     "    topic: a b\n",
     "f:4:12: pipeline \"a\": topic name \"a b\": only letters, digits, \".\", \"_\" and \"-\" can be used\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x}\n"
     "    topic: __consumer_offsets\n",
     "f:4:12: pipeline \"a\": the topic \"__consumer_offsets\" is Leat's own; a source cannot write it\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x}\n"
     "    topic: t\n"
     "    topics: [u, t]\n"
     "    sinks: [{type: \"null\"}]\n",
     "f:5:17: pipeline \"a\": the sinks would read topic \"t\" twice: it is the source's\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    topics: [u, u]\n"
     "    sinks: [{type: \"null\"}]\n",
     "f:3:17: pipeline \"a\": the sinks would read topic \"u\" twice\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x}\n"
     "    topic:\n"
     "      nam: x\n"
     "      partitions: 0\n"
     "      config:\n"
     "        retention.mss: 1\n"
     "        retention.ms: soon\n"
     "        durability: [a]\n",
     "f:5:7: pipeline \"a\": topic: unknown key \"nam\"; did you mean \"name\"?\n"
     "f:6:19: pipeline \"a\": topic: \"partitions\": \"0\" is out of range: 1 to 10000\n"
     "f:8:9: pipeline \"a\": topic: config: unknown topic setting \"retention.mss\"; did you mean \"retention.ms\"?\n"
     "f:9:23: pipeline \"a\": topic: config: retention.ms: \"soon\" is not a number in range\n"
     "f:10:21: pipeline \"a\": topic: config: \"durability\" takes one value, not a list\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x}\n"
     "    topic: [t]\n",
     "f:4:12: pipeline \"a\": \"topic\" takes one value, not a list\n"},
    /* connectors */
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tial, paths: /x}\n"
     "    sinks:\n"
     "      - type: tail\n"
     "      - type: kafka\n"
     "      - directory: /x\n",
     "f:3:20: pipeline \"a\": source: unknown source type \"tial\"; did you mean \"tail\"?\n"
     "f:5:15: pipeline \"a\": sink #1: \"tail\" is a source, not a sink\n"
     "f:6:15: pipeline \"a\": sink #2: unknown sink type \"kafka\"; there are: dir, null\n"
     "f:7:9: pipeline \"a\": sink #3: \"type\" is missing\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {connector.class: tail}\n"
     "    sinks: [{type: [dir]}]\n",
     "f:3:14: pipeline \"a\": source: unknown key \"connector.class\"; did you mean \"type\"?\n"
     "f:4:20: pipeline \"a\": sink #1: \"type\" takes one value, not a list\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: x\n"
     "    sinks: {type: dir}\n",
     "f:3:13: pipeline \"a\": source: a mapping (key: value) is expected, not a single value\n"
     "f:4:12: pipeline \"a\": \"sinks\": a list is expected, not a mapping\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source:\n"
     "    sinks:\n",
     "f:3:12: pipeline \"a\": source: \"type\" is missing\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x, pathz: /y, start: begining, line.max.bytes: 1, name: n}\n",
     "f:3:37: pipeline \"a\": source: unknown key \"pathz\"; did you mean \"paths\"?\n"
     "f:3:55: pipeline \"a\": source: \"start\": \"begining\" is not known; did you mean \"beginning\"?\n"
     "f:3:81: pipeline \"a\": source: \"line.max.bytes\": \"1\" is out of range: 16 to 64MiB\n"
     "f:3:84: pipeline \"a\": source: unknown key \"name\"\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, start: middle}\n",
     "f:3:13: pipeline \"a\": source: \"paths\" is missing\n"
     "f:3:33: pipeline \"a\": source: \"start\": \"middle\" is none of beginning, end\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    topics: x\n"
     "    sinks:\n"
     "      - type: dir\n"
     "        directory: /o\n"
     "        flush.size: 0\n"
     "        ratio: 1.5\n"
     "        sync: yes\n"
     "        password: [a]\n"
     "        pin: 123456\n"
     "        fields: 1\n"
     "        tasks.max: many\n",
     "f:7:21: pipeline \"a\": sink \"dir\": \"flush.size\": \"0\" is out of range: at least 1\n"
     "f:8:16: pipeline \"a\": sink \"dir\": \"ratio\": \"1.5\" is out of range: 0 to 1\n"
     "f:9:15: pipeline \"a\": sink \"dir\": \"sync\": \"yes\" is neither true nor false\n"
     "f:10:19: pipeline \"a\": sink \"dir\": \"password\" takes one value, not a list\n"
     "f:11:14: pipeline \"a\": sink \"dir\": \"pin\": *** is out of range: 0 to 9999\n"
     "f:13:20: pipeline \"a\": sink \"dir\": \"tasks.max\": \"many\" is not a whole number\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    topics: x\n"
     "    sinks:\n"
     "      - {type: dir, directory: /o}\n"
     "      - {type: dir, directory: /o}\n"
     "      - {type: dir, name: \"x y\", directory: /o}\n"
     "      - {type: dir, name: d, directory: /o, retry.backoff.ms: 2m}\n",
     "f:6:9: pipeline \"a\": sink \"dir\": a second sink of this name; the first is at f:5\n"
     "f:7:27: pipeline \"a\": sink \"x y\": its name has other characters than letters, digits, dot, dash and underscore\n"
     "f:8:63: pipeline \"a\": sink \"d\": \"retry.backoff.ms\" is more than \"retry.backoff.max.ms\"\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    topics: x\n"
     "    sinks: [{type: dir, name: b, directory: /o}]\n"
     "  - name: a-b\n"
     "    source: {type: tail, paths: /x}\n",
     "f:6:13: pipeline \"a-b\": source: is called \"a-b\" in the hub, and so is pipeline \"a\": sink \"b\" at f:4\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x, value.converter: jsn, key.converter: org.apache.kafka.connect.json.JsonConvertr}\n",
     "f:3:54: pipeline \"a\": source: \"value.converter\": \"jsn\" is not known; did you mean \"json\"?\n"
     "f:3:74: pipeline \"a\": source: \"key.converter\": \"org.apache.kafka.connect.json.JsonConvertr\" is not known; did you mean \"org.apache.kafka.connect.json.JsonConverter\"?\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /x, value.converter.schemas.enable: true}\n",
     "f:3:69: pipeline \"a\": source: \"value.converter.schemas.enable\" can only be false: JSON is without schemas here\n"},
    /* keys with variable parts */
    {"pipelines:\n"
     "  - name: a\n"
     "    source:\n"
     "      type: tail\n"
     "      paths: /x\n"
     "      mask.wiht.5.chars: a\n"
     "      mask.with.5.char: a\n"
     "      limit.a.b: 0\n"
     "      limits.a.b: 1\n"
     "      limit: 1\n"
     "      mask.with.6.chars: {a: b}\n"
     "      limit.c: [1]\n",
     "f:6:7: pipeline \"a\": source: unknown key \"mask.wiht.5.chars\"; did you mean \"mask.with.5.chars\"?\n"
     "f:7:7: pipeline \"a\": source: unknown key \"mask.with.5.char\"; did you mean \"mask.with.5.chars\"?\n"
     "f:8:18: pipeline \"a\": source: \"limit.a.b\": \"0\" is out of range: 1 to 9\n"
     "f:9:7: pipeline \"a\": source: unknown key \"limits.a.b\"; did you mean \"limit.a.b\"?\n"
     "f:10:7: pipeline \"a\": source: unknown key \"limit\"\n"
     "f:11:26: pipeline \"a\": source: \"mask.with.6.chars\" takes a list, not a mapping\n"
     "f:12:16: pipeline \"a\": source: \"limit.c\" takes one value, not a list\n"},
    /* topics that the source names */
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: db}\n"
     "    sinks: [{type: 'null'}]\n"
     "  - name: b\n"
     "    source: {type: db}\n"
     "    topics.regex: 'x('\n"
     "    sinks: [{type: 'null'}]\n"
     "  - name: c\n"
     "    source: {type: db}\n"
     "  - name: d\n"
     "    topics.regex: 'x.*'\n"
     "    sinks: [{type: 'null'}]\n",
     "f:2:5: pipeline \"a\": its source names its topics itself: \"topics.regex\" or \"topics\" must say which ones the sinks read\n"
     "f:7:19: pipeline \"b\": \"topics.regex\": is no regular expression: missing closing parenthesis at character 3\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source:\n"
     "      type: db\n"
     "      topic.creation.groups: [one, two]\n"
     "      topic.creation.one.include: 'a['\n"
     "      topic.creation.one.partitions: 0\n"
     "      topic.creation.three.partitions: 1\n"
     "      topic.creation.default.include: b\n"
     "      topic.creation.default.cleanup.polic: compact\n"
     "      topic.creation.default.retention.ms: soon\n",
     "f:5:30: pipeline \"a\": source: \"topic.creation.two.include\" is missing\n"
     "f:6:35: pipeline \"a\": source: \"topic.creation.one.include\": \"a[\" is no regular expression: missing terminating ] for character class at character 3\n"
     "f:7:38: pipeline \"a\": source: \"topic.creation.one.partitions\": is neither -1 nor 1 or more\n"
     "f:8:40: pipeline \"a\": source: \"topic.creation.three.partitions\": its group is not among \"topic.creation.groups\"\n"
     "f:9:39: pipeline \"a\": source: \"topic.creation.default.include\": the group default takes whatever no other takes\n"
     "f:10:45: pipeline \"a\": source: \"topic.creation.default.cleanup.polic\": unknown topic setting \"cleanup.polic\"; did you mean \"cleanup.policy\"?\n"
     "f:11:44: pipeline \"a\": source: \"topic.creation.default.retention.ms\": retention.ms: \"soon\" is not a number in range\n"},
    /* secrets */
    {"pipelines:\n"
     "  - name: a\n"
     "    topics: x\n"
     "    sinks:\n"
     "      - type: dir\n"
     "        directory: \"${env:LEAT_TEST_UNSET}\"\n"
     "        password: \"${file:/nonexistent/file}\"\n"
     "        flush.size: \"${env:LEAT_TEST_SECRET}\"\n"
     "        pin: \"${evn:X}\"\n"
     "        ratio: \"${env:X\"\n"
     "        fields: [\"${env:LEAT_TEST_UNSET}\", b]\n",
     "f:6:20: pipeline \"a\": sink \"dir\": \"directory\": the environment variable LEAT_TEST_UNSET is not set\n"
     "f:7:19: pipeline \"a\": sink \"dir\": \"password\": cannot open /nonexistent/file: No such file or directory\n"
     "f:8:21: pipeline \"a\": sink \"dir\": \"flush.size\": \"${env:LEAT_TEST_SECRET}\" is not a whole number\n"
     "f:9:14: pipeline \"a\": sink \"dir\": \"pin\": ${evn:...} is not known; did you mean ${env:...}?\n"
     "f:10:16: pipeline \"a\": sink \"dir\": \"ratio\": a ${ has no }\n"
     "f:11:18: pipeline \"a\": sink \"dir\": \"fields\": the environment variable LEAT_TEST_UNSET is not set\n"},
    {"pipelines:\n"
     "  - name: \"${env:LEAT_TEST_SECRET}\"\n"
     "    topic: \"${env:LEAT_TEST_SECRET} x\"\n"
     "    sinks:\n"
     "      - type: \"${env:LEAT_TEST_SECRET}\"\n"
     "      - type: dir\n"
     "        name: \"${env:LEAT_TEST_SECRET}!\"\n"
     "        directory: x\n",
     "f:3:12: pipeline \"${env:LEAT_TEST_SECRET}\": what was filled in is no topic name\n"
     "f:5:15: pipeline \"${env:LEAT_TEST_SECRET}\": sink #1: \"type\": what was filled in is not a known sink\n"
     "f:7:15: pipeline \"${env:LEAT_TEST_SECRET}\": sink \"${env:LEAT_TEST_SECRET}!\": its name has other characters than letters, digits, dot, dash and underscore\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    topics: x\n"
     "    topic:\n"
     "      name: x\n"
     "      config:\n"
     "        retention.ms: \"${env:LEAT_TEST_SECRET}\"\n"
     "    sinks:\n"
     "      - type: \"${env:LEAT_TEST_UNSET}\"\n",
     "f:3:13: pipeline \"a\": the sinks would read topic \"x\" twice\n"
     "f:7:23: pipeline \"a\": topic: config: \"retention.ms\": what was filled in is not valid\n"
     "f:9:15: pipeline \"a\": sink #1: \"type\": the environment variable LEAT_TEST_UNSET is not set\n"},
    /* loops */
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /a/*}\n"
     "    sinks: [{type: dir, directory: \"${env:LEAT_TEST_DIR}\"}]\n",
     "f:3:33: a loop: sink a-dir writes ***, source of pipeline a reads /a/* into topic a, which sink a-dir reads\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source:\n"
     "      type: tail\n"
     "      paths: [/q, \"/out/*.log\"]\n"
     "    sinks: [{type: dir, directory: /out/}]\n",
     "f:5:14: a loop: sink a-dir writes /out/, source of pipeline a reads /out/*.log into topic a, which sink a-dir reads\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /a/*}\n"
     "    sinks: [{type: dir, directory: /b}]\n"
     "  - name: b\n"
     "    source: {type: tail, paths: /b/x/*}\n"
     "    topic: tb\n"
     "  - name: c\n"
     "    topics: [tb]\n"
     "    sinks: [{type: dir, directory: \"/b/../a\"}]\n",
     "f:6:33: a loop: sink a-dir writes /b, source of pipeline b reads /b/x/* into topic tb, sink c-dir writes /b/../a, source of pipeline a reads /a/* into topic a, which sink a-dir reads\n"},
    {"pipelines:\n"
     "  - name: a\n"
     "    source: {type: tail, paths: /a/*}\n"
     "    topic: logs\n"
     "  - name: b\n"
     "    topics.regex: \"logs|x\"\n"
     "    sinks: [{type: dir, directory: /a}]\n"
     "  - name: c\n"
     "    topics.regex: \"log\"\n"
     "    sinks: [{type: dir, directory: /a}]\n",
     "f:3:33: a loop: sink b-dir writes /a, source of pipeline a reads /a/* into topic logs, which sink b-dir reads\n"},
};
/* clang-format on */

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *found = problems_of(cases[i].text, strlen(cases[i].text));
        if (getenv("SHOW"))
            printf("@@%zu\n%s", i, found);
        else
            assert_string_equal(found, cases[i].problems);
        mem_free(found);
    }
}

/* A problem is one line: what a server or a file name says may not break it; a place without column shows none. */
static void test_one_line(void **state)
{
    (void)state;
    struct problems p;
    struct err e;
    struct buf out;
    problems_init(&p);
    buf_init(&out, 4096);
    assert_int_equal(problems_add(&p, "f", 3, 0, "it says: %s", "GET\n/x\r\n\x1b[31m"), ERR_OK);
    assert_int_equal(problem_print(&p.items[0], &out, &e), ERR_OK);
    assert_int_equal(buf_u8(&out, 0, &e), ERR_OK);
    assert_string_equal((char *)out.data, "f:3: it says: GET /x   [31m");
    buf_free(&out);
    problems_free(&p);
}

int main(void)
{
    setenv("LEAT_TEST_SECRET", "hunter2", 1);
    setenv("LEAT_TEST_DIR", "/a", 1);
    unsetenv("LEAT_TEST_UNSET");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
