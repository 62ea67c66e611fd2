/* Programs and all that they start: ends, requests to end, and what tries to stay. */
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/os/proc_tree.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define WORD(s) ((char *)(uintptr_t)(s))

static char dir[] = "/tmp/peftlab-tree-XXXXXX";

static void start(const char *script, double grace_s, pid_t *guard, int *out)
{
    struct err err = ERR_INIT;
    char *errors = fs_join(dir, "errors");
    char *argv[] = {WORD("sh"), WORD("-c"), WORD(script), NULL};
    char *env[] = {WORD("TREE=yes"), NULL};
    const struct proc_tree_spec spec = {
        .argv = argv, .env = env, .dir = dir, .errors_path = errors, .grace_s = grace_s};
    if (proc_tree_start(&spec, guard, out, &err) < 0)
        fail_msg("%s", err.msg);
    free(errors);
}

/* The exit status, within ten seconds. */
static int end_of(pid_t guard)
{
    int status = -1, rc;
    double until = clock_mono_s() + 60;
    while ((rc = proc_poll(guard, &status)) == 0 && clock_mono_s() < until)
        usleep(1000);
    assert_int_equal(rc, 1);
    return status;
}

/* What it printed within five seconds, up to a newline. */
static void read_line(int out, char *line, size_t size)
{
    size_t n = 0;
    double until = clock_mono_s() + 60;
    while (n + 1 < size && clock_mono_s() < until && (!n || line[n - 1] != '\n')) {
        ssize_t got = read(out, line + n, 1);
        if (got > 0)
            n += (size_t)got;
        else
            usleep(1000);
    }
    line[n] = '\0';
}

static void tells_output_and_status(void **state)
{
    (void)state;
    pid_t guard;
    int out;
    char line[256];
    start("echo $TREE `pwd`; echo oops >&2; exit 3", 1, &guard, &out);
    assert_int_equal(end_of(guard), 3);
    read_line(out, line, sizeof line);
    close(out);
    char wanted[256];
    snprintf(wanted, sizeof wanted, "yes %s\n", dir);
    assert_string_equal(line, wanted);
    start("kill -9 $$", 1, &guard, &out);
    assert_int_equal(end_of(guard), 128 + SIGKILL);
    close(out);
}

static void refuses_what_cannot_start(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    pid_t guard;
    int out;
    char *argv[] = {WORD("no-such-program"), NULL};
    struct proc_tree_spec spec = {.argv = argv, .errors_path = "/dev/null"};
    assert_int_equal(proc_tree_start(&spec, &guard, &out, &err), -ERR_DEVICE);
    assert_non_null(strstr(err.msg, "cannot start 'no-such-program'"));
    err_clear(&err);
    spec.errors_path = "/no/such/folder/x";
    assert_int_equal(proc_tree_start(&spec, &guard, &out, &err), -ERR_IO);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no guard is left */
}

static void stop_is_heard_in_order(void **state)
{
    (void)state;
    pid_t guard;
    int out;
    char line[64];
    start("trap 'echo saved; exit 75' TERM; echo ready; while :; do sleep 0.05; done", 10,
          &guard, &out);
    read_line(out, line, sizeof line);
    proc_tree_stop(guard);
    assert_int_equal(end_of(guard), 75);
    read_line(out, line, sizeof line);
    assert_string_equal(line, "saved\n");
    close(out);
}

/* The process that the program named on its line is gone when the guard has ended. */
static void nothing_stays(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int stops, status;
    } cases[] = {
        {"setsid sleep 100 & echo $!; exit 0", 0, 0},
        {"trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 100' & echo $!; wait; "
         "sleep 100",
         1, 128 + 9},
        {"trap '' TERM; sleep 100 & echo $!; while :; do sleep 1; done", 2, 128 + 9},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pid_t guard;
        int out;
        char line[64];
        double began = clock_mono_s();
        start(cases[i].script, cases[i].stops > 1 ? 100 : 0.1, &guard, &out);
        read_line(out, line, sizeof line);
        for (int k = 0; k < cases[i].stops; k++) {
            proc_tree_stop(guard);
            usleep(50000);
        }
        assert_int_equal(end_of(guard), cases[i].status);
        assert_true(clock_mono_s() - began < 60); /* of 100 s */
        assert_true(atoi(line) > 1);
        assert_int_equal(kill(atoi(line), 0), -1);
        close(out);
    }
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_output_and_status),
        cmocka_unit_test(refuses_what_cannot_start),
        cmocka_unit_test(stop_is_heard_in_order),
        cmocka_unit_test(nothing_stays),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
