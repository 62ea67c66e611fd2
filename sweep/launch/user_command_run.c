/* sweep/launch/user_command_run.c - a user's program from its start to its end. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/os/proc_tree.h"
#include "lib/secret/secret.h"
#include "sweep/launch/metric_lines.h"
#include "sweep/launch/mlflow_run.h"
#include "sweep/launch/user_command.h"
#include "sweep/launch/user_rows.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_S  5.0 /* less than the controller's, so that we end first */
#define POLL_MS  100
#define LOG_MAX  ((int64_t)1 << 30) /* bytes of stdout kept */
#define TAIL_MAX 4096               /* bytes of stderr looked at for a reason */

struct command_run {
    const struct user_trial *t;
    struct sink *sink;
    struct metric_lines lines;
    pid_t guard;
    int out, log; /* pipe from the program; stdout.log */
    int64_t logged_bytes;
    int stops; /* how often it was asked to stop */
};

static void tell_metric(void *ctx, const char *key, int64_t step, double value)
{
    struct sink *s = ctx;
    s->ops->metric(s, key, step, value);
}

static void tell_oddity(void *ctx, const char *text)
{
    struct sink *s = ctx;
    s->ops->event(s, "warning", text);
}

static void log_output(struct command_run *r, const char *data, size_t n)
{
    while (n && r->log >= 0 && r->logged_bytes < LOG_MAX) {
        ssize_t written = write(r->log, data, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            r->sink->ops->event(r->sink, "warning", "stdout.log cannot be written");
            close(r->log);
            r->log = -1;
            return;
        }
        r->logged_bytes += written;
        data += written;
        n -= (size_t)written;
    }
}

/* Reads what is there. False at the end. */
static bool read_output(struct command_run *r)
{
    char block[1 << 14];
    ssize_t n;
    while ((n = read(r->out, block, sizeof block)) > 0) {
        log_output(r, block, (size_t)n);
        metric_lines_feed(&r->lines, block, (size_t)n);
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Asks the program to end when the store or a signal wants it. */
static void check_stop(struct command_run *r)
{
    const int signals = proc_signals(NULL);
    const int wanted = signals > 1 ? 2 : signals || !r->sink->ops->alive(r->sink);
    for (; r->stops < wanted; r->stops++)
        proc_tree_stop(r->guard);
}

/* Until all is over; the exit status. */
static int follow(struct command_run *r)
{
    int status = 0, rc;
    bool open = true;
    while ((rc = proc_poll(r->guard, &status)) == 0) {
        struct pollfd p = {open ? r->out : -1, POLLIN, 0};
        poll(&p, 1, POLL_MS);
        if (open && p.revents)
            open = read_output(r);
        check_stop(r);
    }
    if (open)
        read_output(r);
    return rc < 0 ? 127 : status;
}

/* The last line of what the program said on stderr, where there is one; without secrets. */
static char *last_words(const struct user_trial *t)
{
    char tail[TAIL_MAX + 1];
    char *path = fs_join(t->run_dir, "stderr.log");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return xstrdup("");
    const off_t size = lseek(fd, 0, SEEK_END);
    ssize_t n = pread(fd, tail, TAIL_MAX, size > TAIL_MAX ? size - TAIL_MAX : 0);
    close(fd);
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\r' || tail[n - 1] == ' '))
        n--;
    tail[n > 0 ? n : 0] = '\0';
    const char *newline = strrchr(tail, '\n');
    const char *words = newline ? newline + 1 : tail;
    char *clean = secret_text(words);
    return clean ? clean : xstrdup(words);
}

/* What an exit status means for the trial: the rows of docs/exit-codes.md that are no
 * plain failure. */
static enum err_code code_of(int status)
{
    static const struct {
        int status;
        enum err_code code;
    } rows[] = {{0, ERR_OK}, {71, ERR_NOMEM}, {75, ERR_BUSY}, {79, ERR_NAN}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].code;
    return ERR_FAILED;
}

static int outcome(const struct command_run *r, int status, struct err *err)
{
    const enum err_code code = code_of(status);
    if (r->stops) /* whatever it says on leaving: it is not through */
        return err_set(err, ERR_BUSY, "asked to stop");
    if (code == ERR_OK)
        return 0;
    char *words = last_words(r->t);
    if (status > 128 && status < 128 + NSIG)
        err_set(err, code, "the program was killed by signal %d (%s)%s%.400s",
                status - 128, strsignal(status - 128), *words ? ": " : "", words);
    else
        err_set(err, code, "the program ended with status %d%s%.400s", status,
                *words ? ": " : "", words);
    free(words);
    return -(int)code;
}

static int write_params(const struct user_trial *t, struct err *err)
{
    json_t *all = json_copy((json_t *)t->params);
    if (!json_object_get(all, "seed"))
        json_object_set_new(all, "seed", json_integer((json_int_t)t->seed));
    char *path = fs_join(t->run_dir, "params.json");
    int rc = fs_mkdirs(t->run_dir, err);
    if (rc == 0)
        rc = json_write_file(path, all, 1, err);
    free(path);
    json_decref(all);
    return rc;
}

/* The program, not its arguments, is what runs are compared by; the words of this run
 * are an event, in which what the environment has stands by name. */
static void tell_environment(const struct user_trial *t, struct sink *sink)
{
    struct user_trial told = *t;
    told.without_secrets = true;
    json_t *words = user_command_words(&told, NULL);
    json_t *environment = proc_environment();
    struct buf text = BUF_INIT;
    user_command_identity(t->file, t->base_dir, environment);
    sink->ops->environment(sink, environment);
    json_write(&text, words, 0);
    sink->ops->event(sink, "command", buf_str(&text));
    json_decref(words);
    buf_release(&text);
    json_decref(environment);
}

static int start(struct command_run *r, const json_t *words, struct err *err)
{
    const struct user_trial *t = r->t;
    const size_t count = json_array_size(words);
    char **argv = xcalloc(count + 1, sizeof *argv);
    for (size_t i = 0; i < count; i++)
        argv[i] = (char *)json_string_value(json_array_get(words, i));
    char *env[] = {xasprintf("PEFTLAB_TRIAL=%lld", (long long)t->trial),
                   xasprintf("PEFTLAB_RUN_DIR=%s", t->run_dir),
                   xasprintf("PEFTLAB_PARAMS_JSON=%s/params.json", t->run_dir),
                   xasprintf("PEFTLAB_SEED=%llu", (unsigned long long)t->seed),
                   xasprintf("PEFTLAB_STORE=%s", t->store),
                   xasprintf("PEFTLAB_RUN=%lld", (long long)t->run),
                   NULL,
                   NULL};
    if (t->mlflow_run && mlflow_server_has(getenv("MLFLOW_TRACKING_URI"), t->mlflow_run))
        env[ARRAY_LEN(env) - 2] = xasprintf("MLFLOW_RUN_ID=%s", t->mlflow_run);
    char *log = fs_join(t->run_dir, "stdout.log");
    char *errors = fs_join(t->run_dir, "stderr.log");
    const struct proc_tree_spec spec = {.argv = argv,
                                        .env = env,
                                        .dir = t->base_dir,
                                        .errors_path = errors,
                                        .grace_s = GRACE_S};
    int rc = proc_tree_start(&spec, &r->guard, &r->out, err);
    if (rc == 0)
        r->log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    for (size_t i = 0; env[i]; i++)
        free(env[i]);
    free(log);
    free(errors);
    free(argv);
    return rc;
}

int user_command_run(const struct user_trial *t, struct sink *sink, int *exit_status,
                     struct err *err)
{
    struct command_run r = {.t = t, .sink = sink, .out = -1, .log = -1};
    *exit_status = 78;
    json_t *words = user_command_words(t, err);
    if (!words)
        return err_code(err);
    int rc = write_params(t, err);
    if (rc == 0)
        rc = start(&r, words, err);
    if (rc == 0) {
        tell_environment(t, sink);
        metric_lines_init(&r.lines, tell_metric, tell_oddity, sink);
        *exit_status = follow(&r);
        metric_lines_end(&r.lines);
        rc = outcome(&r, *exit_status, err);
        if (!rc)
            user_rows_keep(t->run_dir, sink);
    } else {
        *exit_status = err_exit_status((enum err_code) - rc);
    }
    if (r.out >= 0)
        close(r.out);
    if (r.log >= 0)
        close(r.log);
    json_decref(words);
    return rc;
}
