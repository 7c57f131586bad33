/*
 * postgres: see postgres.h. Speaks with `postgres.py serve` over two pipes; both are closed on exec, so that no other child
 * of the test keeps the server alive.
 */
#include "tests/lib/postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/testkit.h"

#define SETTINGS_MAX 32

extern char **environ;

struct postgres {
    pid_t pid;
    FILE *to, *from;
    char host[128], port[16];
};

static void spawn(struct postgres *p, const char *const *settings)
{
    const char *argv[SETTINGS_MAX + 4] = {"python3", "tests/lib/postgres.py", "serve"};
    size_t n = 3;
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++) {
        assert_true(i < SETTINGS_MAX);
        argv[n++] = settings[i];
    }
    int in[2], out[2];
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO), 0);
    char *args[SETTINGS_MAX + 4];
    memcpy(args, argv, sizeof(args));
    assert_int_equal(posix_spawnp(&p->pid, argv[0], &actions, NULL, args, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    assert_non_null(p->to);
    assert_non_null(p->from);
}

struct postgres *postgres_new(const char *const *settings)
{
    struct postgres *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    spawn(p, settings);
    if (fscanf(p->from, "ready %127s %15s %*s %*s", p->host, p->port) != 2 || fgetc(p->from) != '\n')
        fail_msg("PostgreSQL did not start; see above");
    return p;
}

void postgres_free(struct postgres *p)
{
    if (p == NULL)
        return;
    fclose(p->to); /* lets it end the server and remove its directory */
    fclose(p->from);
    assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
    free(p);
}

const char *postgres_host(const struct postgres *p)
{
    return p->host;
}

const char *postgres_port(const struct postgres *p)
{
    return p->port;
}

/* The answer's text, of free(). */
static char *answer(struct postgres *p, const char *to_what)
{
    char word[16];
    size_t n = 0;
    if (fflush(p->to) != 0 || fscanf(p->from, "%15s %zu", word, &n) != 2 || fgetc(p->from) != '\n')
        fail_msg("postgres.py ended without an answer to: %s", to_what);
    char *text = malloc(n + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, n, p->from), n);
    text[n] = 0;
    if (strcmp(word, "ok") != 0)
        fail_msg("%s: %s", to_what, text);
    return text;
}

static void ask(struct postgres *p, const char *what)
{
    fprintf(p->to, "%s\n", what);
    free(answer(p, what));
}

void postgres_start(struct postgres *p)
{
    ask(p, "start");
}

void postgres_stop(struct postgres *p)
{
    ask(p, "stop");
}

void postgres_kill(struct postgres *p)
{
    ask(p, "kill");
}

char *postgres_sql(struct postgres *p, const char *database, const char *sql)
{
    fprintf(p->to, "sql %s %zu\n%s", database, strlen(sql), sql);
    return answer(p, sql);
}

void postgres_run(struct postgres *p, const char *database, const char *sql)
{
    free(postgres_sql(p, database, sql));
}
