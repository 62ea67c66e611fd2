/* lib/os/proc_tree.c - see proc_tree.h.
 *
 * The guard is forked without exec from a process that may have threads. It therefore
 * keeps to system calls and to opendir, whose malloc glibc keeps usable after fork. */
#include "lib/os/proc_tree.h"
#include "lib/os/proc.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILL_ROUNDS 2000 /* of 1 ms, each ends one generation of descendants */
#define FDS_MAX     1024

struct tree {
    const struct proc_tree_spec *spec;
    pid_t parent; /* who started the guard */
    int in, out, errors, report;
};

static void program_main(const struct tree *t, pid_t guard) __attribute__((noreturn));

static void program_main(const struct tree *t, pid_t guard)
{
    const int from[3] = {t->in, t->out, t->errors};
    sigset_t none;
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool ok = getppid() == guard;
    for (int i = 0; i < 3 && ok; i++)
        ok = dup2(from[i], i) >= 0;
    for (char *const *word = t->spec->env; ok && word && *word; word++)
        ok = putenv(*word) == 0;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (ok && (!t->spec->dir || chdir(t->spec->dir) == 0))
        execvp(t->spec->argv[0], t->spec->argv);
    int no = errno;
    ssize_t ignored = write(t->report, &no, sizeof no);
    (void)ignored;
    _exit(127);
}

static pid_t parent_of(const char *pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *end = strrchr(text, ')'); /* of the name, which may hold anything */
    int parent = 0;
    return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

static void kill_children(void)
{
    DIR *proc = opendir("/proc");
    const pid_t me = getpid();
    for (struct dirent *e; proc && (e = readdir(proc));)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && parent_of(e->d_name) == me)
            kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL);
    if (proc)
        closedir(proc);
}

/* Who loses its parent becomes our child, so killing children until there are none kills
 * all descendants. */
static void kill_all(pid_t program)
{
    const struct timespec pause = {0, 1000000};
    kill(-program, SIGKILL);
    for (int i = 0; i < KILL_ROUNDS; i++) {
        pid_t ended;
        while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (ended < 0 && errno == ECHILD)
            return;
        kill_children();
        nanosleep(&pause, NULL);
    }
}

/* Takes in all that have ended; true when the program was among them. */
static bool program_ended(pid_t program, int *status)
{
    bool ended = false;
    int s;
    for (pid_t pid; (pid = waitpid(-1, &s, WNOHANG)) > 0;)
        if (pid == program) {
            ended = true;
            *status = WIFSIGNALED(s) ? 128 + WTERMSIG(s) : WEXITSTATUS(s);
        }
    return ended;
}

/* Until the program has ended: its status. */
static int watch(const struct tree *t, pid_t program, const sigset_t *signals)
{
    double kill_at = 0;
    int status = 0;
    while (!program_ended(program, &status)) {
        const struct timespec tick = {kill_at > 0 ? 0 : 1, kill_at > 0 ? 20000000 : 0};
        int number = sigtimedwait(signals, NULL, &tick);
        bool orphaned = getppid() != t->parent;
        if (number == SIGTERM && kill_at == 0 && !orphaned) {
            kill_at = clock_mono_s() + t->spec->grace_s;
            kill(-program, SIGTERM);
        } else if (orphaned || number == SIGTERM ||
                   (kill_at > 0 && clock_mono_s() >= kill_at)) {
            kill_all(program);
            return 128 + SIGKILL;
        }
    }
    return status;
}

/* A guard that held the store's lock file would keep everyone's turn after we died. */
static void close_others(const struct tree *t)
{
    for (int fd = 3; fd < FDS_MAX; fd++)
        if (fd != t->in && fd != t->out && fd != t->errors && fd != t->report)
            close(fd);
}

static void guard_main(const struct tree *t) __attribute__((noreturn));

static void guard_main(const struct tree *t)
{
    sigset_t signals;
    setsid();
    close_others(t);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    const pid_t guard = getpid();
    if (getppid() != t->parent)
        _exit(128 + SIGTERM);
    pid_t program = fork();
    if (program == 0)
        program_main(t, guard);
    int no = errno;
    if (program < 0) {
        ssize_t ignored = write(t->report, &no, sizeof no);
        (void)ignored;
        _exit(127);
    }
    setpgid(program, program);
    close(t->report);
    close(t->out);
    int status = watch(t, program, &signals);
    kill_all(program);
    _exit(status);
}

static int above_standard(int fd)
{
    int up = fd < 0 || fd > 2 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (up != fd)
        close(fd);
    return up;
}

static int pipe_above(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return ends[0] = ends[1] = -1;
    ends[0] = above_standard(ends[0]);
    ends[1] = above_standard(ends[1]);
    return ends[0] < 0 || ends[1] < 0 ? -1 : 0;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* errno of the start that failed, 0 when the program runs. */
static int fork_guard(const struct tree *t, int report, pid_t *guard)
{
    int no = 0;
    *guard = fork();
    if (*guard == 0)
        guard_main(t);
    if (*guard < 0)
        no = errno;
    close(t->report);
    ssize_t n = -1;
    while (*guard > 0 && (n = read(report, &no, sizeof no)) < 0 && errno == EINTR)
        ;
    if (n == (ssize_t)sizeof no)
        waitpid(*guard, NULL, 0);
    return no;
}

int proc_tree_start(const struct proc_tree_spec *spec, pid_t *guard, int *out,
                    struct err *err)
{
    int output[2] = {-1, -1}, report[2] = {-1, -1}, no = 0;
    struct tree t = {.spec = spec, .parent = getpid()};
    t.in = above_standard(open("/dev/null", O_RDONLY | O_CLOEXEC));
    t.errors = above_standard(
        open(spec->errors_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    if (t.in < 0 || t.errors < 0 || pipe_above(output) < 0 || pipe_above(report) < 0)
        no = errno;
    t.out = output[1];
    t.report = report[1];
    *guard = -1;
    *out = -1;
    if (no) {
        close_all(report, 2);
        close_all(output, 2);
    } else {
        no = fork_guard(&t, report[0], guard);
        close_all((const int[]){report[0], output[1]}, 2);
        if (no)
            close(output[0]);
    }
    close_all((const int[]){t.in, t.errors}, 2);
    if (no)
        return err_set(err, *guard < 0 ? ERR_IO : ERR_DEVICE, "cannot start '%s'%s%s: %s",
                       spec->argv[0], spec->dir ? " in " : "", spec->dir ? spec->dir : "",
                       strerror(no));
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    *out = output[0];
    return 0;
}

void proc_tree_stop(pid_t guard)
{
    if (guard > 0)
        kill(guard, SIGTERM);
}
