/* sweep/launch/launch_local.c - trials as child processes of this one.
 *
 * Each has a process group of its own, so that Ctrl-C on a terminal reaches the
 * controller only, and gets SIGTERM from the kernel when the controller dies. The handle
 * is "PID@START", so that a number that was given to another process is not taken for
 * it. */
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "sweep/launch/launch.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static int local_start(const struct launch_job *job, char handle[LAUNCH_HANDLE_MAX],
                       struct err *err)
{
    char program[4096];
    launch_program(program, sizeof program);
    char *id = xasprintf("%lld", (long long)job->trial);
    char *threads = xasprintf("PEFTLAB_THREADS=%d", job->threads);
    char *store = xstrdup(job->store), *root = xstrdup(job->run_root);
    char *until = xasprintf("--until-step=%lld", (long long)job->until);
    char command[] = "trial", store_flag[] = "--store", dir_flag[] = "--run-dir";
    char evaluate[] = "--evaluate";
    char *argv[] = {program,
                    command,
                    id,
                    store_flag,
                    store,
                    dir_flag,
                    root,
                    job->until ? until : NULL,
                    job->until && job->evaluate ? evaluate : NULL,
                    NULL};
    char *env[] = {threads, NULL};
    pid_t pid = -1;
    int rc = proc_spawn(argv, env, job->log, true, &pid, err);
    if (rc >= 0)
        snprintf(handle, LAUNCH_HANDLE_MAX, "%lld@%llu", (long long)pid,
                 (unsigned long long)proc_start_ticks(pid));
    free(id);
    free(threads);
    free(until);
    free(store);
    free(root);
    return rc;
}

static pid_t process_of(const char *handle, uint64_t *start_ticks)
{
    char *at;
    const long long pid = strtoll(handle, &at, 10);
    *start_ticks = strtoull(at + (*at == '@'), NULL, 10);
    return (pid_t)pid;
}

static int local_poll(struct launch_state *jobs, size_t count, struct err *err)
{
    uint64_t start;
    (void)err;
    for (size_t i = 0; i < count; i++)
        jobs[i].ended = proc_poll(process_of(jobs[i].handle, &start), &jobs[i].status);
    return 0;
}

static void local_stop(const char *handle, bool by_force)
{
    uint64_t start;
    const pid_t pid = process_of(handle, &start);
    if (!proc_alive(pid, start)) /* its number may be another's by now */
        return;
    if (by_force)
        kill(-pid, SIGKILL);
    else
        kill(pid, SIGTERM);
}

const struct launcher launcher_local = {.name = "local",
                                        .poll_ms = 20,
                                        .start = local_start,
                                        .poll = local_poll,
                                        .stop = local_stop};
