/* sweep/launch/launch_local.c - trials as child processes of this one.
 *
 * Each has a process group of its own, so that Ctrl-C on a terminal reaches the
 * controller only, and gets SIGTERM from the kernel when the controller dies. The handle
 * is the process id. */
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "sweep/launch/launch.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The program that runs here; by its path when that still holds it, so that `ps` tells
 * its name. */
static char *this_program(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return xstrdup(n > 0 && access(path, X_OK) == 0 ? path : "/proc/self/exe");
}

static int local_start(const struct launch_job *job, int64_t *handle, struct err *err)
{
    char *program = this_program();
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
    *handle = pid;
    free(program);
    free(id);
    free(threads);
    free(until);
    free(store);
    free(root);
    return rc;
}

static int local_poll(int64_t handle, int *status)
{
    return proc_poll((pid_t)handle, status);
}

static void local_stop(int64_t handle, bool by_force)
{
    if (by_force)
        kill(-(pid_t)handle, SIGKILL);
    else
        kill((pid_t)handle, SIGTERM);
}

const struct launcher launcher_local = {"local", local_start, local_poll, local_stop};
