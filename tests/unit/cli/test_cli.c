/*
 * The command line's parts: options from tables, times, tables and figures, offsets, completion.
 */
#include "tests/lib/testkit.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/where.h"

/* ---- what is printed ---------------------------------------------------------------------------------------- */

struct capture {
    int fd, saved;
    char path[64];
    char *text;
};

static void capture_begin(struct capture *c, int fd)
{
    fflush(NULL);
    snprintf(c->path, sizeof c->path, "/tmp/leat-test-XXXXXX");
    int file = mkstemp(c->path);
    assert_true(file >= 0);
    c->fd = fd;
    c->saved = dup(fd);
    dup2(file, fd);
    close(file);
}

/* free(c->text) */
static void capture_end(struct capture *c)
{
    struct err e;
    char *text;
    size_t n;
    fflush(NULL);
    dup2(c->saved, c->fd);
    close(c->saved);
    assert_ok(io_read_file(c->path, 1 << 20, &text, &n, &e), &e);
    unlink(c->path);
    c->text = text;
}

/* ---- options ------------------------------------------------------------------------------------------------ */

static const struct cli_option options[] = {
    {"name", 'n', "NAME", "a name", NULL},
    {"many", 'm', "X", "repeatable", NULL},
    {"color", 0, "C", "a choice", "red green"},
    {"flag", 'f', NULL, "a flag", NULL},
};
static const struct cli_command command = {.name = "do it",
                                           .arguments = "A [B]",
                                           .min_args = 1,
                                           .max_args = 2,
                                           .options = options,
                                           .option_count = 4};

/* Parses words up to a NULL; what was said on stderr goes to `said` (mem_free) if that is not NULL. */
static int parse(struct cli *c, char **said, ...)
{
    static char *argv[300];
    int argc = 0;
    va_list ap;
    struct capture cap;
    argv[argc++] = (char *)(uintptr_t) "it";
    va_start(ap, said);
    for (char *word; (word = va_arg(ap, char *)) != NULL;)
        argv[argc++] = word;
    va_end(ap);
    argv[argc] = NULL;
    capture_begin(&cap, STDERR_FILENO);
    int rc = cli_parse(c, &command, argc, argv);
    capture_end(&cap);
    if (said)
        *said = cap.text;
    else
        mem_free(cap.text);
    return rc;
}

#define refused(part, ...)                                                                                   \
    do {                                                                                                     \
        char *said;                                                                                          \
        assert_int_equal(parse(&c, &said, __VA_ARGS__, NULL), EXIT_USAGE);                                   \
        if (strncmp(said, "leat: ", 6) != 0 || !strstr(said, part) || strchr(said, '\n')[1] != '\0')         \
            fail_msg("'%s' for '%s'", said, part);                                                           \
        mem_free(said);                                                                                      \
    } while (0)

static void parsing(void **state)
{
    (void)state;
    struct cli c;
    const char *const *values;
    assert_int_equal(
        parse(&c, NULL, "a", "--name", "x", "-fm1", "--many=2", "-m", "3", "b", "--color", "red", NULL), -1);
    assert_int_equal(c.arg_count, 2);
    assert_string_equal(c.args[0], "a");
    assert_string_equal(c.args[1], "b");
    assert_string_equal(cli_value(&c, "name"), "x");
    assert_true(cli_flag(&c, "flag"));
    assert_int_equal(cli_values(&c, "many", &values), 3);
    assert_string_equal(values[0], "1");
    assert_string_equal(values[2], "3");
    assert_null(cli_value(&c, "data-dir"));
    assert_false(cli_json(&c));
    assert_int_equal(parse(&c, NULL, "a", "--output", "json", "--name", "1", "--name", "2", NULL), -1);
    assert_true(cli_json(&c));
    assert_string_equal(cli_value(&c, "name"), "2");
    assert_int_equal(parse(&c, NULL, "--", "--name", NULL), -1);
    assert_string_equal(c.args[0], "--name");
}

static void parsing_refused(void **state)
{
    (void)state;
    struct cli c;
    refused("usage: leat do it A [B]", "--flag");
    refused("usage: leat do it A [B]", "a", "b", "c");
    refused("no option --nmae (did you mean --name?)", "a", "--nmae", "x");
    refused("no option --nmae (did you mean --name?)", "a", "--nmae=x");
    refused("no option --zzzzzz;", "--zzzzzz");
    refused("no option -x", "-x");
    refused("--name needs a value", "a", "--name");
    refused("-n needs a value", "a", "-n");
    refused("--flag takes no value", "a", "--flag=1");
    refused("--color: 'blue' is not one of: red green", "a", "--color", "blue");
    refused("--color: '' is not one of", "a", "--color", "");
    refused("--color: 're' is not one of", "a", "--color", "re");
    /* a scan that ended early leaves nothing for the next one */
    refused("no option -x", "-xf");
    assert_int_equal(parse(&c, NULL, "a", NULL), -1);
    assert_false(cli_flag(&c, "flag"));
}

static void too_many(void **state)
{
    (void)state;
    struct cli c;
    char *argv[2 * CLI_REPEAT_MAX + 4] = {(char *)(uintptr_t) "it", (char *)(uintptr_t) "a"};
    struct capture cap;
    for (int i = 0; i <= CLI_REPEAT_MAX; i++)
        argv[2 + i] = (char *)(uintptr_t) "-m1";
    assert_int_equal(cli_parse(&c, &command, 2 + CLI_REPEAT_MAX, argv), -1);
    capture_begin(&cap, STDERR_FILENO);
    int rc = cli_parse(&c, &command, 3 + CLI_REPEAT_MAX, argv);
    capture_end(&cap);
    assert_int_equal(rc, EXIT_USAGE);
    assert_non_null(strstr(cap.text, "--many"));
    mem_free(cap.text);
}

static void numbers(void **state)
{
    (void)state;
    struct cli c;
    int64_t v;
    assert_int_equal(parse(&c, NULL, "a", NULL), -1);
    assert_true(cli_number(&c, "name", 7, 0, 10, &v));
    assert_int_equal(v, 7);
    static const struct {
        const char *text;
        bool fine;
    } rows[] = {{"0", true}, {"10", true}, {"-1", false}, {"11", false},
                {"", false}, {"x", false}, {"1x", false}, {"99999999999999999999", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct capture cap;
        assert_int_equal(parse(&c, NULL, "a", "-n", rows[i].text, NULL), -1);
        capture_begin(&cap, STDERR_FILENO);
        bool fine = cli_number(&c, "name", 7, 0, 10, &v);
        capture_end(&cap);
        assert_int_equal(fine, rows[i].fine);
        assert_true(fine == (*cap.text == '\0'));
        mem_free(cap.text);
    }
}

/* Every row of the table: its options fit, its letters are its own, and its help names them and fits a screen. */
static void the_table(void **state)
{
    (void)state;
    size_t n, common_n;
    const struct cli_command *commands = cli_commands(&n);
    const struct cli_option *common = cli_common_options(&common_n);
    for (size_t i = 0; i < n; i++) {
        const struct cli_command *k = &commands[i];
        bool used[256] = {false};
        struct capture cap;
        assert_true(k->option_count + common_n <= CLI_OPTIONS_MAX);
        for (size_t o = 0; o < k->option_count + common_n; o++) {
            unsigned char letter =
                (unsigned char)(o < k->option_count ? k->options[o] : common[o - k->option_count]).letter;
            assert_false(letter && used[letter]);
            used[letter] = true;
        }
        capture_begin(&cap, STDOUT_FILENO);
        cli_help(k);
        capture_end(&cap);
        assert_non_null(strstr(cap.text, k->name));
        assert_non_null(strstr(cap.text, k->summary + 1));
        int lines = 0;
        char *save, *line;
        for (size_t o = 0; o < k->option_count; o++)
            assert_non_null(strstr(cap.text, k->options[o].doc));
        for (line = strtok_r(cap.text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), lines++)
            assert_in_range(strlen(line), 0, 125);
        assert_in_range(lines, 3, 40);
        mem_free(cap.text);
    }
}

/* ---- times -------------------------------------------------------------------------------------------------- */

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {{"1970-01-01", 0},
                {"2023-11-14T22:13:20Z", 1700000000000},
                {"2023-11-14T22:13:20", 1700000000000},
                {"2023-11-14T22:13:20.5Z", 1700000000500},
                {"2023-11-14T22:13:20.123456Z", 1700000000123},
                {"2023-11-14T22:13", 1699999980000},
                {"2024-02-29", 1709164800000},
                {"1969-12-31T23:59:59Z", 0},
                {"@1700000000000", 1700000000000},
                {"@0", 0}};
    int64_t ms;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!cli_parse_time(rows[i].text, &ms))
            fail_msg("'%s' was not understood", rows[i].text);
        assert_int_equal(ms, rows[i].ms);
    }
    static const char *const wrong[] = {"",
                                        "yesterday",
                                        "@",
                                        "@-1",
                                        "@1x",
                                        "@99999999999999999999",
                                        "-",
                                        "-m",
                                        "-5",
                                        "-5w",
                                        "--5m",
                                        "-5 m",
                                        "2023-02-30",
                                        "2023-13-01",
                                        "2023-11-14T",
                                        "2023-11-14T22:13:20.Z",
                                        "2023-11-14T22:13:20+01:00",
                                        "2023-11-14 x",
                                        "-999999999999999d"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (cli_parse_time(wrong[i], &ms))
            fail_msg("'%s' was understood as %lld", wrong[i], (long long)ms);
    static const struct {
        const char *text;
        int64_t ms;
    } ago[] = {{"-250ms", 250}, {"-3s", 3000}, {"-15m", 900000}, {"-2h", 7200000}, {"-1d", 86400000}};
    for (size_t i = 0; i < sizeof ago / sizeof ago[0]; i++) {
        int64_t before = clock_wall_ms() - ago[i].ms;
        assert_true(cli_parse_time(ago[i].text, &ms));
        assert_in_range(ms - before, 0, 60000);
    }
    assert_true(cli_parse_time("-99999999999d", &ms));
    assert_int_equal(ms, 0);
}

/* ---- output ------------------------------------------------------------------------------------------------- */

static void figures(void **state)
{
    (void)state;
    assert_string_equal(show_bytes(0), "0 B");
    assert_string_equal(show_bytes(1023), "1023 B");
    assert_string_equal(show_bytes(1024), "1.00 KiB");
    assert_string_equal(show_bytes(1536 * 1024.0), "1.50 MiB");
    assert_string_equal(show_bytes(1e18), "888 PiB");
    assert_string_equal(show_count(999), "999");
    assert_string_equal(show_count(0.5), "0.5");
    assert_string_equal(show_count(12345), "12.3k");
    assert_string_equal(show_count(999999), "1.00M");
    assert_string_equal(show_int(INT64_MIN), "-9223372036854775808");
    assert_string_equal(show_duration(0), "0s");
    assert_string_equal(show_duration(119000), "119s");
    assert_string_equal(show_duration(120000), "2m");
    assert_string_equal(show_duration(7200000), "2h");
    assert_string_equal(show_duration(172800000), "2d");
    assert_string_equal(show_duration(INT64_MAX), "106751991167d");
    assert_string_equal(show_ago(0), "never");
    assert_string_equal(show_ago(clock_wall_ms() + 100000), "now");
    assert_string_equal(show_ago(clock_wall_ms() - 3600000), "60m ago");
}

static void tables(void **state)
{
    (void)state;
    static const char *const titles[] = {"NAME", "N", "NOTE"};
    struct capture cap;
    struct table *t = table_new("lrl", titles);
    table_row(t, "a", "1", "x");
    table_row(t, "\xc3\xa4\xc3\xb6\xc3\xbc long", "1000", NULL);
    capture_begin(&cap, STDOUT_FILENO);
    table_print(t);
    capture_end(&cap);
    assert_string_equal(cap.text, "NAME         N  NOTE\n"
                                  "a            1  x\n"
                                  "\xc3\xa4\xc3\xb6\xc3\xbc long  1000  -\n");
    mem_free(cap.text);
}

/* ---- offsets ------------------------------------------------------------------------------------------------ */

struct place {
    char *dir;
    struct cli c;
    struct hub *h;
};

static int open_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    int rc;
    assert_non_null(p);
    p->dir = testkit_dir();
    assert_int_equal(parse(&p->c, NULL, "a", "--data-dir", p->dir, NULL), -1);
    p->h = hub_open(&p->c, HUB_CREATED, &rc);
    assert_non_null(p->h);
    assert_false(hub_is_running(p->h));
    json_decref(
        hub_json(p->h, "POST", "/hub/topics", json_pack("{s:s, s:i}", "name", "t", "partitions", 2), &rc));
    assert_int_equal(rc, EXIT_FINE);
    struct hub_answer a;
    static const char lines[] =
        "{\"partition\":0,\"timestamp\":1000}\n{\"partition\":0,\"timestamp\":2000}\n";
    assert_true(hub_call(p->h, "POST", "/hub/topics/t/records", lines, strlen(lines), &a));
    assert_int_equal(a.status, 200);
    hub_answer_free(&a);
    *state = p;
    return 0;
}

static int close_place(void **state)
{
    struct place *p = *state;
    hub_close(p->h);
    testkit_remove_dir(p->dir);
    free(p);
    return 0;
}

static void resolving(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *where;
        int64_t offset;
    } rows[] = {{"beginning", 0}, {"start", 0}, {"end", 2},   {"0", 0},
                {"1", 1},         {"2", 2},     {"99", 2},    {"99999999999999999999", 2},
                {"@0", 0},        {"@1001", 1}, {"@2001", 2}, {"1970-01-01T00:00:01.500Z", 1},
                {"-1m", 2}};
    int64_t offset;
    int rc;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(where_resolve(p->h, "t", 0, rows[i].where, &offset, &rc));
        if (offset != rows[i].offset)
            fail_msg("%s: %lld", rows[i].where, (long long)offset);
    }
    struct capture cap;
    capture_begin(&cap, STDERR_FILENO);
    bool understood = where_resolve(p->h, "t", 0, "now", &offset, &rc);
    int usage = rc;
    bool found = where_resolve(p->h, "none", 0, "end", &offset, &rc);
    capture_end(&cap);
    assert_false(understood || found);
    assert_int_equal(usage, EXIT_USAGE);
    assert_int_equal(rc, EXIT_MISSING);
    mem_free(cap.text);
}

/* The answer of a refusal becomes the exit code that the error has everywhere. */
static void refusals(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *method, *target, *body;
        int code;
    } rows[] = {{"GET", "/hub/topics/none", NULL, EXIT_MISSING},
                {"GET", "/hub/groups/none", NULL, EXIT_MISSING},
                {"POST", "/hub/topics", "{\"name\":\"t\"}", EXIT_FAILED},
                {"POST", "/hub/reload", NULL, EXIT_BUSY},
                {"PATCH", "/hub/topics/t", "{\"config\":{\"x\":\"1\"}}", EXIT_CONFIG},
                {"GET", "/nothing", NULL, EXIT_MISSING},
                {"POST", "/hub/topics", "{", EXIT_FAILED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hub_answer a;
        struct capture cap;
        const char *body = rows[i].body;
        assert_true(hub_call(p->h, rows[i].method, rows[i].target, body, body ? strlen(body) : 0, &a));
        capture_begin(&cap, STDERR_FILENO);
        int code = hub_refused(&a);
        capture_end(&cap);
        if (code != rows[i].code)
            fail_msg("%s %s: %d %s", rows[i].method, rows[i].target, code, cap.text);
        assert_memory_equal(cap.text, "leat: ", 6);
        mem_free(cap.text);
        hub_answer_free(&a);
    }
}

/* ---- completion --------------------------------------------------------------------------------------------- */

static char *completed(const char *script, const char *words, int at)
{
    char text[8192], shell[512];
    snprintf(shell, sizeof shell,
             "source %s; COMP_WORDS=(%s); COMP_CWORD=%d; _leat; echo -n \"${COMPREPLY[*]}\"", script, words,
             at);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execlp("bash", "bash", "--norc", "-c", shell, NULL);
        _exit(127);
    }
    close(fds[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(fds[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    close(fds[0]);
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    text[n] = '\0';
    return strdup(text);
}

static void completes(const char *script, const char *words, int at, const char *expected)
{
    char *got = completed(script, words, at);
    if (strcmp(got, expected) != 0)
        fail_msg("%s: '%s' instead of '%s'", words, got, expected);
    free(got);
}

/* The script as bash runs it; a `leat` of the test's own answers with what it would ask the hub for. */
static void completion(void **state)
{
    (void)state;
    static const char leat[] =
        "\nleat() { [ \"$1 $2\" = 'topics list' ] && printf 'TOPIC  N\\norders  1\\nother  2\\n'; "
        "[ \"$1 $2\" = 'groups list' ] && printf 'GROUP\\n$(touch${IFS}%s)\\nconnect-a\\n' \"$DIR/bad\"; }\n";
    char *dir = testkit_dir(), *script = mem_printf("%s/script", dir), *bad = mem_printf("%s/bad", dir);
    struct capture cap;
    struct err e;
    struct buf b;
    struct cli c = {.args = (char *[]){(char *)(uintptr_t) "bash"}, .arg_count = 1};
    capture_begin(&cap, STDOUT_FILENO);
    int rc = cmd_completion(&c);
    capture_end(&cap);
    assert_int_equal(rc, EXIT_FINE);
    buf_init(&b, 1 << 20);
    assert_ok(buf_str(&b, cap.text, &e), &e);
    assert_ok(buf_printf(&b, &e, "DIR=%s%s", dir, leat), &e);
    assert_ok(io_replace_file(script, b.data, b.len, 0600, &e), &e);
    completes(script, "leat top", 1, "topics");
    completes(script, "leat topics de", 2, "describe delete delete-records");
    completes(script, "leat consume --fo", 2, "--format");
    completes(script, "leat consume --format ''", 3, "value key-value json");
    completes(script, "leat topics list --output j", 4, "json");
    completes(script, "leat topics describe o", 3, "orders other");
    completes(script, "leat groups lag ''", 3, "connect-a");
    assert_false(io_exists(bad));
    mem_free(cap.text);
    mem_free(script);
    mem_free(bad);
    buf_free(&b);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsing),
        cmocka_unit_test(parsing_refused),
        cmocka_unit_test(too_many),
        cmocka_unit_test(numbers),
        cmocka_unit_test(the_table),
        cmocka_unit_test(times),
        cmocka_unit_test(figures),
        cmocka_unit_test(tables),
        cmocka_unit_test_setup_teardown(resolving, open_place, close_place),
        cmocka_unit_test_setup_teardown(refusals, open_place, close_place),
        cmocka_unit_test(completion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
