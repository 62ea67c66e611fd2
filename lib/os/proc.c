/* lib/os/proc.c - see proc.h: children, signals and clocks. Facts about the machine are
 * in proc_info.c. */
#include "lib/os/proc.h"
#include "lib/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* What a child needs, made before the fork: after it only async-signal-safe calls are
 * allowed, since other threads may have held locks. */
struct launch {
    char *const *argv;
    char **env;
    int in, out, err; /* become 0, 1, 2; -1: inherited */
    bool own_group, die_with_parent;
    pid_t parent;
};

static size_t name_len(const char *word)
{
    return strcspn(word, "=");
}

/* environ with `extra` put over it; the array is the caller's, the words are not. */
static char **merged_env(char *const extra[])
{
    size_t n = 0, m = 0, count = 0;
    while (environ && environ[n])
        n++;
    while (extra && extra[m])
        m++;
    char **env = xcalloc(n + m + 1, sizeof *env);
    for (size_t i = 0; i < n; i++) {
        bool replaced = false;
        for (size_t j = 0; j < m && !replaced; j++)
            replaced = name_len(environ[i]) == name_len(extra[j]) &&
                       !memcmp(environ[i], extra[j], name_len(extra[j]));
        if (!replaced)
            env[count++] = environ[i];
    }
    for (size_t j = 0; j < m; j++)
        env[count++] = extra[j];
    return env;
}

static void child_main(const struct launch *l, int report) __attribute__((noreturn));

static void child_main(const struct launch *l, int report)
{
    if (l->own_group)
        setpgid(0, 0);
    if (l->die_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != l->parent)
            _exit(128 + SIGTERM);
    }
    const int from[3] = {l->in, l->out, l->err};
    bool ok = true;
    for (int i = 0; i < 3 && ok; i++)
        ok = from[i] < 0 || dup2(from[i], i) >= 0;
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (ok)
        execvpe(l->argv[0], l->argv, l->env);
    int no = errno;
    ssize_t ignored = write(report, &no, sizeof no);
    (void)ignored;
    _exit(127);
}

/* A descriptor above the standard three, so that dup2 in the child cannot hit it. */
static int above_standard(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int up = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return up;
}

static int make_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        ends[i] = above_standard(ends[i]);
    return 0;
}

/* Forks and waits until the program was found (the pipe closes) or not (errno comes). */
static int launch(const struct launch *l, pid_t *pid, struct err *err)
{
    int report[2];
    if (make_pipe(report) < 0)
        return err_set(err, ERR_IO, "cannot start '%s': %s", l->argv[0], strerror(errno));
    *pid = fork();
    if (*pid == 0)
        child_main(l, report[1]);
    int no = errno;
    close(report[1]);
    if (*pid > 0) {
        if (l->own_group)
            setpgid(*pid, *pid);
        ssize_t n;
        do
            n = read(report[0], &no, sizeof no);
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)sizeof no)
            no = 0;
        else
            waitpid(*pid, NULL, 0);
    }
    close(report[0]);
    return no ? err_set(err, *pid < 0 ? ERR_BUSY : ERR_DEVICE, "cannot start '%s': %s",
                        l->argv[0], strerror(no))
              : 0;
}

/* Takes over `in`. */
static int spawn(char *const argv[], char *const env[], const char *log_path,
                 bool die_with_parent, int in, pid_t *pid, struct err *err)
{
    *pid = -1;
    const int log =
        log_path ? above_standard(
                       open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666))
                 : -1;
    int rc = log_path && log < 0 ? err_set(err, ERR_IO, "cannot write '%s': %s", log_path,
                                           strerror(errno))
                                 : 0;
    struct launch l = {.argv = argv,
                       .env = merged_env(env),
                       .in = in,
                       .out = log,
                       .err = log,
                       .own_group = true,
                       .die_with_parent = die_with_parent,
                       .parent = getpid()};
    if (!rc && (rc = launch(&l, pid, err)) < 0)
        *pid = -1;
    free(l.env);
    if (in >= 0)
        close(in);
    if (log >= 0)
        close(log);
    return rc;
}

int proc_spawn(char *const argv[], char *const env[], const char *log_path,
               bool die_with_parent, pid_t *pid, struct err *err)
{
    return spawn(argv, env, log_path, die_with_parent,
                 above_standard(open("/dev/null", O_RDONLY | O_CLOEXEC)), pid, err);
}

int proc_spawn_with_channel(char *const argv[], char *const env[], const char *log_path,
                            pid_t *pid, int *channel, struct err *err)
{
    int ends[2];
    *channel = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_set(err, ERR_IO, "cannot start '%s': %s", argv[0], strerror(errno));
    for (int i = 0; i < 2; i++)
        ends[i] = above_standard(ends[i]);
    const int rc = spawn(argv, env, log_path, true, ends[1], pid, err);
    if (rc < 0)
        close(ends[0]);
    else
        *channel = ends[0];
    return rc;
}

static int exit_status(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int proc_poll(pid_t pid, int *status)
{
    int s;
    pid_t got;
    do
        got = waitpid(pid, &s, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -ERR_IO;
    if (got == 0)
        return 0;
    *status = exit_status(s);
    return 1;
}

/* ---- proc_run ---- */

/* Writing to a child that stopped reading must not kill us: SIGPIPE is blocked in this
 * thread and taken back if one came. */
static void pipe_signal_block(sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, before);
}

static void pipe_signal_unblock(const sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    const struct timespec zero = {0, 0};
    if (!sigismember(before, SIGPIPE))
        while (sigtimedwait(&set, NULL, &zero) > 0)
            ;
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void feed(int *fd, const char **input, size_t *left)
{
    ssize_t n = *left ? write(*fd, *input, *left) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        *input += n;
        *left -= (size_t)n;
    }
    if (n < 0 || *left == 0)
        close_end(fd); /* all is written, or the child does not want it */
}

static void drain(int *fd, struct buf *into)
{
    char block[1 << 14];
    ssize_t n = read(*fd, block, sizeof block);
    if (n > 0 && into)
        buf_add(into, block, (size_t)n);
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(fd);
}

/* fds: our ends of the child's stdin, stdout, stderr. */
static void exchange(int fds[3], const char *input, size_t left,
                     struct buf *const into[3])
{
    while (fds[0] >= 0 || fds[1] >= 0 || fds[2] >= 0) {
        struct pollfd p[3] = {
            {fds[0], POLLOUT, 0}, {fds[1], POLLIN, 0}, {fds[2], POLLIN, 0}};
        if (poll(p, 3, -1) < 0 && errno != EINTR)
            break;
        if (p[0].revents)
            feed(&fds[0], &input, &left);
        for (int i = 1; i < 3; i++)
            if (p[i].revents)
                drain(&fds[i], into[i]);
    }
    for (int i = 0; i < 3; i++)
        close_end(&fds[i]);
}

int proc_run(char *const argv[], const char *input, size_t input_len, struct buf *out,
             struct buf *errors, int *status, struct err *err)
{
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    for (int i = 0; i < 3; i++)
        if (make_pipe(pipes[i]) < 0) {
            int rc =
                err_set(err, ERR_IO, "cannot start '%s': %s", argv[0], strerror(errno));
            for (int j = 0; j < 6; j++)
                close_end(&pipes[j / 2][j % 2]);
            return rc;
        }
    struct launch l = {.argv = argv, .env = merged_env(NULL)};
    l.in = pipes[0][0];
    l.out = pipes[1][1];
    l.err = pipes[2][1];
    pid_t pid;
    int rc = launch(&l, &pid, err);
    free(l.env);
    close_end(&pipes[0][0]);
    close_end(&pipes[1][1]);
    close_end(&pipes[2][1]);
    int fds[3] = {pipes[0][1], pipes[1][0], pipes[2][0]};
    if (rc < 0) {
        for (int i = 0; i < 3; i++)
            close_end(&fds[i]);
        return rc;
    }
    for (int i = 0; i < 3; i++)
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    sigset_t before;
    pipe_signal_block(&before);
    exchange(fds, input, input ? input_len : 0,
             (struct buf *const[3]){NULL, out, errors});
    pipe_signal_unblock(&before);
    int s = 0;
    while (waitpid(pid, &s, 0) < 0)
        if (errno != EINTR)
            return err_set(err, ERR_IO, "cannot wait for '%s': %s", argv[0],
                           strerror(errno));
    *status = exit_status(s);
    return 0;
}

/* ---- Signals and clocks ---- */

static atomic_int signal_count, signal_last;

static void on_signal(int number)
{
    atomic_store(&signal_last, number);
    atomic_fetch_add(&signal_count, 1);
}

void proc_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

void proc_release_signals(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

int proc_signals(int *last)
{
    int n = atomic_load(&signal_count);
    if (last)
        *last = atomic_load(&signal_last);
    return n;
}

double clock_mono_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
    const char *fixed = getenv("PEFTLAB_NOW_MS");
    return fixed && *fixed ? strtoll(fixed, NULL, 10) : clock_ms(CLOCK_REALTIME);
}

int64_t clock_mono_ms(void)
{
    const char *fixed = getenv("PEFTLAB_MONO_MS");
    if (!fixed || !*fixed)
        fixed = getenv("PEFTLAB_NOW_MS");
    return fixed && *fixed ? strtoll(fixed, NULL, 10) : clock_ms(CLOCK_MONOTONIC);
}
