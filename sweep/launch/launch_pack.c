/* sweep/launch/launch_pack.c - trials in packs: processes of several trials each, on one
 * base in memory (runner/pack/pack.h).
 *
 * A process is `peftlab trial --listen`; its standard input is one end of a pair of
 * sockets, by which it is told which trials to start and stop, and tells which have ended.
 * A trial goes to the process that has fewest, one place gets free when its trial ends.
 * Their number follows from what the controller starts: jobs / pack. Handle:
 * "PID@START/TRIAL". A process that is killed takes its trials with it; each goes on from
 * its checkpoint. */
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "sweep/launch/launch.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define END_WAIT_S 10.0

struct pack_trial {
    int64_t trial;
    bool ended;
    int status;
};

struct pack_process {
    pid_t pid;
    uint64_t start_ticks;
    int channel;
    bool ended;
    int status;
    struct buf heard;
    struct pack_trial *trials; /* not yet asked about since they ended, too */
    size_t count, cap;
};

/* Of this process, as its child processes are. */
static struct pack_process **processes;
static size_t process_count, process_cap;

/* --- what a process tells --- */

static void note_end(struct pack_process *p, int64_t trial, int status)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->trials[i].trial == trial && !p->trials[i].ended) {
            p->trials[i].ended = true;
            p->trials[i].status = status;
            return;
        }
}

static void read_line(struct pack_process *p)
{
    long long trial;
    int status;
    if (sscanf(buf_str(&p->heard), "ended %lld %d", &trial, &status) == 2)
        note_end(p, trial, status);
    buf_clear(&p->heard);
}

static void listen_to(struct pack_process *p)
{
    char piece[1024];
    ssize_t n;
    while ((n = recv(p->channel, piece, sizeof piece, MSG_DONTWAIT)) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (piece[i] == '\n')
                read_line(p);
            else
                buf_char(&p->heard, piece[i]);
}

/* Its last words first: what it told still counts. */
static void look_after(struct pack_process *p)
{
    const bool ended = p->ended || proc_poll(p->pid, &p->status) != 0;
    listen_to(p);
    p->ended = ended;
    for (size_t i = 0; ended && i < p->count; i++)
        if (!p->trials[i].ended)
            note_end(p, p->trials[i].trial, p->status ? p->status : 75);
}

/* --- processes --- */

static size_t running(const struct pack_process *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++)
        n += !p->trials[i].ended;
    return n;
}

static void forget(size_t at)
{
    struct pack_process *p = processes[at];
    close(p->channel);
    buf_release(&p->heard);
    free(p->trials);
    free(p);
    processes[at] = processes[--process_count];
}

/* The one with fewest trials; NULL: one more is to be started. */
static struct pack_process *find_place(const struct launch_job *job)
{
    struct pack_process *best = NULL;
    size_t alive = 0;
    for (size_t i = 0; i < process_count; i++) {
        struct pack_process *p = processes[i];
        look_after(p);
        alive += !p->ended;
        if (!p->ended && (!best || running(p) < running(best)))
            best = p;
    }
    return best && (running(best) == 0 || alive >= (size_t)job->packs) ? best : NULL;
}

static struct pack_process *start_process(const struct launch_job *job, struct err *err)
{
    char program[4096];
    launch_program(program, sizeof program);
    char *threads = xasprintf("PEFTLAB_THREADS=%d", job->threads);
    char *log = xasprintf("%s/pack-%zu.log", job->run_root, process_count + 1);
    char *store = xstrdup(job->store), *root = xstrdup(job->run_root);
    char command[] = "trial", store_flag[] = "--store", dir_flag[] = "--run-dir",
         listen_flag[] = "--listen";
    char *argv[] = {program, command,  listen_flag, store_flag,
                    store,   dir_flag, root,        NULL};
    char *env[] = {threads, NULL};
    struct pack_process *p = xcalloc(1, sizeof *p);
    if (proc_spawn_with_channel(argv, env, log, &p->pid, &p->channel, err) < 0) {
        free(p);
        p = NULL;
    } else {
        p->start_ticks = proc_start_ticks(p->pid);
        p->heard = (struct buf)BUF_INIT;
        processes = xgrow(processes, &process_cap, process_count + 1, sizeof *processes);
        processes[process_count++] = p;
    }
    free(threads);
    free(log);
    free(store);
    free(root);
    return p;
}

static bool say(const struct pack_process *p, const char *line)
{
    const size_t n = strlen(line);
    return send(p->channel, line, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* --- the row --- */

static int pack_start(const struct launch_job *job, char handle[LAUNCH_HANDLE_MAX],
                      struct err *err)
{
    struct pack_process *p = find_place(job);
    char line[96];
    if (!p && !(p = start_process(job, err)))
        return err_code(err);
    snprintf(line, sizeof line, "start %lld %lld%s\n", (long long)job->trial,
             (long long)job->until, job->evaluate ? " evaluate" : "");
    p->trials = xgrow(p->trials, &p->cap, p->count + 1, sizeof *p->trials);
    p->trials[p->count++] = (struct pack_trial){.trial = job->trial};
    if (!say(p, line)) /* it is ending: the controller starts the trial again */
        note_end(p, job->trial, 75);
    snprintf(handle, LAUNCH_HANDLE_MAX, "%lld@%llu/%lld", (long long)p->pid,
             (unsigned long long)p->start_ticks, (long long)job->trial);
    return 0;
}

static struct pack_process *process_of(const char *handle, int64_t *trial)
{
    long long pid = 0, id = 0;
    unsigned long long start = 0;
    if (sscanf(handle, "%lld@%llu/%lld", &pid, &start, &id) != 3)
        return NULL;
    *trial = id;
    for (size_t i = 0; i < process_count; i++)
        if (processes[i]->pid == (pid_t)pid && processes[i]->start_ticks == start)
            return processes[i];
    return NULL;
}

/* What has ended is told once and then forgotten. */
static void poll_one(struct launch_state *job)
{
    int64_t trial;
    struct pack_process *p = process_of(job->handle, &trial);
    size_t i = 0;
    while (p && i < p->count && p->trials[i].trial != trial)
        i++;
    job->ended = !p || i == p->count || p->trials[i].ended;
    if (!job->ended)
        return;
    job->status = p && i < p->count ? p->trials[i].status : 75;
    if (p && i < p->count)
        p->trials[i] = p->trials[--p->count];
}

static int pack_poll(struct launch_state *jobs, size_t count, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < process_count; i++)
        look_after(processes[i]);
    for (size_t i = 0; i < count; i++)
        poll_one(&jobs[i]);
    for (size_t i = process_count; i-- > 0;)
        if (processes[i]->ended && !processes[i]->count)
            forget(i);
    return 0;
}

static void pack_stop(const char *handle, bool by_force)
{
    int64_t trial;
    char line[64];
    struct pack_process *p = process_of(handle, &trial);
    if (!p || p->ended || !proc_alive(p->pid, p->start_ticks))
        return;
    snprintf(line, sizeof line, "stop %lld\n", (long long)trial);
    if (by_force)
        kill(-p->pid, SIGKILL);
    else
        say(p, line);
}

/* They end by themselves once nobody talks to them any more. */
static void pack_end(void)
{
    const double asked = clock_mono_s();
    const struct timespec pause = {0, 2000000};
    for (size_t i = 0; i < process_count; i++)
        shutdown(processes[i]->channel, SHUT_WR);
    for (size_t i = 0; i < process_count; i++)
        while (look_after(processes[i]), !processes[i]->ended) {
            if (clock_mono_s() - asked > END_WAIT_S)
                kill(-processes[i]->pid, SIGKILL);
            nanosleep(&pause, NULL);
        }
    while (process_count)
        forget(process_count - 1);
    free(processes);
    processes = NULL;
    process_cap = 0;
}

const struct launcher launcher_pack = {.name = "pack",
                                       .poll_ms = 20,
                                       .start = pack_start,
                                       .poll = pack_poll,
                                       .stop = pack_stop,
                                       .end = pack_end};
