/* cli/sweep/trial_pack.c - several trials in this process, a thread each. */
#include "cli/sweep/trial_work.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/text_table.h"
#include "runner/pack/pack.h"
#include "tracker/store/run_root.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 20

struct member {
    struct trial_order order;
    pthread_t thread;
    atomic_bool stop, ended;
    int rc;
    struct err err;
};

struct room {
    const struct trial_order *common;
    struct pack *pack;
    struct member **members;
    size_t count, cap;
    struct buf heard; /* of a line that is not whole yet */
    bool listens;     /* standard input has not ended */
    bool tells;       /* what ended */
};

/* --- a member --- */

/* Where the controller tells people to look. */
static void write_log(const struct trial_order *o, const char *line)
{
    if (!o->run_dir)
        return;
    char *path = xasprintf("%s/trial-%lld/output.log", o->run_dir, (long long)o->trial);
    FILE *f = fopen(path, "ae");
    if (f) {
        text_print(f, "%s\n", line);
        fclose(f);
    }
    free(path);
}

static void *train(void *arg)
{
    struct member *m = arg;
    m->rc = trial_work(&m->order, &m->err);
    if (m->rc < 0) {
        char *line = xasprintf("peftlab: %s", m->err.msg);
        write_log(&m->order, line);
        text_print(stderr, "%s\n", line);
        free(line);
    }
    atomic_store(&m->ended, true);
    return NULL;
}

static int status_of(const struct member *m)
{
    return m->rc < 0 ? err_exit_status((enum err_code) - m->rc) : 0;
}

/* An end that nobody hears of is found by the end of this process. */
static void tell_end(const struct room *r, int64_t trial, int status)
{
    char line[64];
    struct stat st;
    if (!r->tells)
        return;
    const int n =
        snprintf(line, sizeof line, "ended %lld %d\n", (long long)trial, status);
    if (fstat(STDIN_FILENO, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)send(STDIN_FILENO, line, (size_t)n, MSG_NOSIGNAL);
    } else {
        text_print(stdout, "%s", line);
        fflush(stdout);
    }
}

static void start(struct room *r, int64_t trial, int64_t until, bool evaluate)
{
    struct member *m = xcalloc(1, sizeof *m);
    m->order = *r->common;
    m->order.trial = trial;
    m->order.until = until;
    m->order.evaluate = evaluate;
    m->order.pack = r->pack;
    m->order.stop = &m->stop;
    if (pthread_create(&m->thread, NULL, train, m)) {
        text_print(stderr, "peftlab: trial %lld: no thread for it\n", (long long)trial);
        tell_end(r, trial, err_exit_status(ERR_BUSY));
        free(m);
        return;
    }
    r->members = xgrow(r->members, &r->cap, r->count + 1, sizeof *r->members);
    r->members[r->count++] = m;
}

static void stop(struct room *r, int64_t trial)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->members[i]->order.trial == trial)
            atomic_store(&r->members[i]->stop, true);
}

/* Those that have ended go; the first error of all is kept. */
static void let_go(struct room *r, int *rc, struct err *err)
{
    for (size_t i = 0; i < r->count;) {
        struct member *m = r->members[i];
        if (!atomic_load(&m->ended)) {
            i++;
            continue;
        }
        pthread_join(m->thread, NULL);
        r->members[i] = r->members[--r->count];
        if (m->rc < 0 && !*rc) {
            *rc = m->rc;
            err_set(err, m->err.code, "%s", m->err.msg);
        }
        tell_end(r, m->order.trial, status_of(m));
        free(m);
    }
}

/* --- standard input --- */

/* "start ID [UPDATES [evaluate]]" and nothing more. */
static bool is_start(const char *line, long long *trial, long long *until, bool *evaluate)
{
    int n = 0;
    *until = 0;
    *evaluate = false;
    if (sscanf(line, "start %lld %n", trial, &n) != 1 || !n || *trial < 1)
        return false;
    line += n;
    if (!*line)
        return true;
    n = 0;
    if (sscanf(line, "%lld %n", until, &n) != 1 || !n || *until < 0)
        return false;
    line += n;
    *evaluate = strcmp(line, "evaluate") == 0;
    return !*line || *evaluate;
}

static void obey(struct room *r, const char *line)
{
    long long trial, until;
    bool evaluate;
    if (is_start(line, &trial, &until, &evaluate))
        start(r, trial, until, evaluate);
    else if (sscanf(line, "stop %lld", &trial) == 1)
        stop(r, trial);
    else if (*line)
        text_print(stderr,
                   "peftlab: trial: '%s' is no 'start ID [UPDATES [evaluate]]' and no "
                   "'stop ID'\n",
                   line);
}

static void end_line(struct room *r)
{
    obey(r, buf_str(&r->heard));
    buf_clear(&r->heard);
}

static void hear(struct room *r)
{
    char piece[4096];
    const ssize_t n = read(STDIN_FILENO, piece, sizeof piece);
    if (n <= 0) {
        r->listens = n < 0 && (errno == EINTR || errno == EAGAIN);
        if (!r->listens) /* the last line may have no end of its own */
            end_line(r);
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        if (piece[i] == '\n')
            end_line(r);
        else
            buf_char(&r->heard, piece[i]);
}

/* A little while; true: there is something to hear. */
static bool wait_for_word(const struct room *r)
{
    struct pollfd p = {r->listens ? STDIN_FILENO : -1, POLLIN, 0};
    return poll(&p, 1, LOOK_MS) > 0;
}

int trial_pack(const struct trial_order *common, const int64_t *trials, size_t count,
               bool listen, struct err *err)
{
    struct room r = {.common = common,
                     .pack = pack_new(),
                     .heard = BUF_INIT,
                     .listens = listen,
                     .tells = listen};
    int rc = 0;
    for (size_t i = 0; i < count; i++)
        start(&r, trials[i], common->until, common->evaluate);
    while (r.count || r.listens) {
        if (wait_for_word(&r))
            hear(&r);
        if (proc_signals(NULL))
            r.listens = false;
        let_go(&r, &rc, err);
    }
    free(r.members);
    buf_release(&r.heard);
    pack_free(r.pack);
    return listen ? 0 : rc;
}
