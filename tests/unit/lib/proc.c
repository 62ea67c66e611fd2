/* Child processes, signals, machine facts. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
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

/* Arguments for exec are not const for historical reasons only. */
#define WORD(s)    ((char *)(uintptr_t)(s))
#define SH(script) ((char *const[]){WORD("sh"), WORD("-c"), WORD(script), NULL})

/* The exit status, within ten seconds. */
static int wait_for(pid_t pid)
{
    int status = -1, rc;
    double until = clock_mono_s() + 60;
    while ((rc = proc_poll(pid, &status)) == 0 && clock_mono_s() < until)
        usleep(1000);
    assert_int_equal(rc, 1);
    return status;
}

static void run_collects_output(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT, errors = BUF_INIT;
    int status;
    assert_int_equal(proc_run(SH("cat; echo oops >&2; exit 3"), "input", 5, &out, &errors,
                              &status, &err),
                     0);
    assert_string_equal(buf_str(&out), "input");
    assert_string_equal(buf_str(&errors), "oops\n");
    assert_int_equal(status, 3);
    buf_release(&out);
    buf_release(&errors);
}

/* Both directions hold more than a pipe does. */
static void run_does_not_deadlock(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT, errors = BUF_INIT;
    size_t n = (size_t)1 << 20;
    char *input = xmalloc(n);
    memset(input, 'x', n);
    int status;
    assert_int_equal(
        proc_run(SH("tee /dev/stderr"), input, n, &out, &errors, &status, &err), 0);
    assert_int_equal(status, 0);
    assert_int_equal(out.len, n);
    assert_int_equal(errors.len, n);
    assert_memory_equal(out.data, input, n);
    /* A child that does not read, and output nobody wants. */
    assert_int_equal(proc_run(SH("head -c 1000000 /dev/zero; exit 4"), input, n, NULL,
                              NULL, &status, &err),
                     0);
    assert_int_equal(status, 4);
    free(input);
    buf_release(&out);
    buf_release(&errors);
}

static void run_failures(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int status;
    char *const missing[] = {WORD("no-such-program-here"), NULL};
    assert_int_equal(proc_run(missing, NULL, 0, NULL, NULL, &status, &err), -ERR_DEVICE);
    assert_string_equal(err.msg,
                        "cannot start 'no-such-program-here': No such file or directory");
    err_clear(&err);
    assert_int_equal(proc_run(SH("kill -9 $$"), NULL, 0, NULL, NULL, &status, &err), 0);
    assert_int_equal(status, 128 + SIGKILL);
    pid_t pid;
    assert_int_equal(proc_spawn(missing, NULL, NULL, false, &pid, &err), -ERR_DEVICE);
    assert_int_equal(pid, -1);
    err_clear(&err);
    assert_int_equal(
        proc_spawn(SH("true"), NULL, "/no/such/folder/log", false, &pid, &err), -ERR_IO);
    assert_true(proc_poll(getpid(), &status) < 0); /* not a child */
}

static void spawn_logs_and_inherits(void **state)
{
    (void)state;
    char dir[] = "/tmp/lib_proc-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *log = fs_join(dir, "log");
    struct err err = ERR_INIT;
    pid_t pid;
    setenv("LIB_PROC_OLD", "old", 1);
    setenv("LIB_PROC_KEPT", "kept", 1);
    char *const env[] = {WORD("LIB_PROC_OLD=new"), WORD("LIB_PROC_MORE=more"), NULL};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            proc_spawn(SH("cat; echo $LIB_PROC_OLD $LIB_PROC_KEPT $LIB_PROC_MORE; "
                          "echo e >&2; exit 7"),
                       env, log, i, &pid, &err),
            0);
        assert_int_equal(wait_for(pid), 7);
    }
    struct buf b = BUF_INIT;
    assert_int_equal(fs_read(log, 1000, &b, &err), 0);
    assert_string_equal(buf_str(&b), "new kept more\ne\nnew kept more\ne\n");
    buf_release(&b);
    assert_int_equal(fs_remove_tree(dir, &err), 0);
    free(log);
}

static void kill_a_group(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    pid_t pid;
    int status;
    assert_int_equal(proc_spawn(SH("sleep 100 & wait"), NULL, NULL, true, &pid, &err), 0);
    assert_int_equal(getpgid(pid), pid);
    uint64_t ticks = proc_start_ticks(pid);
    assert_true(ticks > 0);
    assert_true(proc_alive(pid, ticks));
    assert_false(proc_alive(pid, ticks + 1)); /* its number, another process */
    assert_int_equal(proc_poll(pid, &status), 0);
    assert_int_equal(kill(-pid, SIGTERM), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(proc_alive(pid, ticks)); /* a zombie is not alive */
    assert_int_equal(wait_for(pid), 128 + SIGTERM);
    assert_int_equal(proc_start_ticks(pid), 0);
}

/* A starter that dies takes its child along. */
static void die_with_parent(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t starter = fork();
    if (starter == 0) {
        pid_t pid = -1;
        char *const argv[] = {WORD("sleep"), WORD("100"), NULL};
        proc_spawn(argv, NULL, NULL, true, &pid, NULL);
        uint64_t facts[2] = {(uint64_t)pid, proc_start_ticks(pid)};
        _exit(write(ends[1], facts, sizeof facts) != sizeof facts);
    }
    uint64_t facts[2];
    assert_int_equal(read(ends[0], facts, sizeof facts), sizeof facts);
    int status;
    assert_int_equal(waitpid(starter, &status, 0), starter);
    assert_int_equal(status, 0);
    double until = clock_mono_s() + 60;
    while (proc_alive((pid_t)facts[0], facts[1]) && clock_mono_s() < until)
        usleep(1000);
    assert_false(proc_alive((pid_t)facts[0], facts[1]));
    close(ends[0]);
    close(ends[1]);
}

static void signals_are_counted(void **state)
{
    (void)state;
    int last = -1;
    proc_catch_signals();
    int before = proc_signals(&last);
    raise(SIGTERM);
    raise(SIGUSR1);
    assert_int_equal(proc_signals(&last), before + 2);
    assert_int_equal(last, SIGUSR1);
    /* Children start with the usual reaction. */
    struct err err = ERR_INIT;
    int status;
    assert_int_equal(
        proc_run(SH("kill -TERM $$; sleep 5"), NULL, 0, NULL, NULL, &status, &err), 0);
    assert_int_equal(status, 128 + SIGTERM);
}

static void machine_facts(void **state)
{
    (void)state;
    assert_true(proc_cpu_count() >= 1);
    assert_true(proc_memory_limit_bytes() > 1 << 20);
    int64_t before = proc_rss_bytes();
    assert_true(before > 0 && proc_peak_rss_bytes() >= before);
    size_t n = (size_t)32 << 20;
    volatile char *p = xmalloc(n);
    for (size_t i = 0; i < n; i += 1024)
        p[i] = 1;
    assert_true(proc_rss_bytes() > before + (int64_t)(n / 2));
    free((void *)p);
    assert_true(strlen(proc_host()) > 0);
    assert_ptr_equal(proc_boot_id(), proc_boot_id());
    assert_true(proc_alive(getpid(), proc_start_ticks(getpid())));
}

static void names_of_processors(void **state)
{
    (void)state;
    static const struct {
        const char *cpuinfo, *name;
    } all[] = {
        {"processor\t: 0\nmodel name\t: AMD EPYC\nflags\t: fpu\n", "AMD EPYC"},
        {"processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: "
         "0x3\nCPU part\t: 0xd0c\n",
         "Neoverse N1"},
        {"CPU implementer\t: 0x61\nCPU part\t: 0x22\n",
         "aarch64 implementer 0x61 part 0x22"},
        {"", "aarch64"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        char *name = proc_cpu_model(all[i].cpuinfo, "aarch64");
        assert_string_equal(name, all[i].name);
        free(name);
    }
}

static void environment(void **state)
{
    (void)state;
    static const char *const keys[] = {"peftlab_version", "cpu",    "simd", "cores",
                                       "memory_bytes",    "kernel", "host", "compiler",
                                       "threads"};
    json_t *e = proc_environment();
    assert_int_equal(json_object_size(e), ARRAY_LEN(keys));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_non_null(json_object_get(e, keys[i]));
    assert_string_equal(json_get_str(e, "peftlab_version", ""), PEFTLAB_VERSION);
    assert_int_equal(json_get_int(e, "cores", 0), proc_cpu_count());
    json_decref(e);
}

static void clocks(void **state)
{
    (void)state;
    double start = clock_mono_s();
    usleep(2000);
    assert_true(clock_mono_s() - start >= 0.002);
    assert_true(clock_wall_ms() > 1500000000000);
    setenv("PEFTLAB_NOW_MS", "12345", 1);
    assert_int_equal(clock_wall_ms(), 12345);
    unsetenv("PEFTLAB_NOW_MS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_collects_output),
        cmocka_unit_test(run_does_not_deadlock),
        cmocka_unit_test(run_failures),
        cmocka_unit_test(spawn_logs_and_inherits),
        cmocka_unit_test(kill_a_group),
        cmocka_unit_test(die_with_parent),
        cmocka_unit_test(signals_are_counted),
        cmocka_unit_test(machine_facts),
        cmocka_unit_test(names_of_processors),
        cmocka_unit_test(environment),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
