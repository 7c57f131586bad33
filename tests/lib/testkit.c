/*
 * testkit: see testkit.h.
 */
#include "tests/lib/testkit.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"

char *testkit_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir;
    if (asprintf(&dir, "%s/leat-test-XXXXXX", tmp ? tmp : "/tmp") < 0 || !mkdtemp(dir))
        fail_msg("cannot make a private directory");
    return dir;
}

void testkit_remove_dir(char *dir)
{
    struct err e;
    fault_disarm();
    assert_ok(io_remove_tree(dir, &e), &e);
    free(dir);
}

void testkit_dirs_in_memory(void)
{
    struct statvfs room;
    if (access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &room) == 0 &&
        (uint64_t)room.f_bavail * room.f_frsize >= 512 << 20)
        setenv("TMPDIR", "/dev/shm", 1);
}

void testkit_copy_running(const char *from, const char *to)
{
    char *command;
    struct err e;
    int status = -1;
    if (asprintf(&command, "cp -r '%s' '%s' 2>'%s.cp'", from, to, to) < 0)
        fail_msg("no memory");
    for (int tries = 0; status != 0 && tries < 100; tries++) {
        assert_ok(io_remove_tree(to, &e), &e);
        status = system(command);
    }
    snprintf(command, strlen(command), "%s.cp", to);
    if (status != 0)
        fail_msg("%s cannot be copied; what cp said is in %s", from, command);
    assert_ok(io_unlink(command, &e), &e);
    free(command);
}

static struct {
    FILE *file;
    int stderr_was;
} ear;

void testkit_hear(void)
{
    fflush(stderr);
    ear.file = tmpfile();
    ear.stderr_was = dup(STDERR_FILENO);
    if (!ear.file || ear.stderr_was < 0 || dup2(fileno(ear.file), STDERR_FILENO) < 0)
        fail_msg("cannot listen to stderr");
}

char *testkit_heard(void)
{
    char *text = NULL;
    size_t room = 0;
    fflush(stderr);
    dup2(ear.stderr_was, STDERR_FILENO);
    close(ear.stderr_was);
    rewind(ear.file);
    if (getdelim(&text, &room, '\0', ear.file) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(ear.file);
    assert_non_null(text);
    return text;
}

uint64_t testkit_each_fault(enum fault_point point, int errnum, void (*once)(void *arg), void *arg)
{
    for (uint64_t nth = 1;; nth += TESTKIT_STEP(nth)) {
        fault_arm(point, nth, errnum, false);
        once(arg);
        uint64_t passes = fault_passes(point);
        fault_disarm();
        if (passes < nth)
            return nth - 1;
    }
}
