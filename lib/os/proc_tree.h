/* lib/os/proc_tree.h - a program together with everything that it starts, none of which
 * outlives it, or us.
 *
 * Between us and the program stands a guard: a process of ours in a session of its own
 * that adopts orphans of the program (PR_SET_CHILD_SUBREAPER), so that also what made
 * itself a daemon is found. It kills all of them when the program has ended, when the
 * grace after the first request to stop is over, and when we die, even by SIGKILL (the
 * kernel tells it then). The handle is the guard's process id, and proc_poll on it gives
 * the program's own status. */
#ifndef LIB_OS_PROC_TREE_H
#define LIB_OS_PROC_TREE_H

#include "lib/err.h"
#include <sys/types.h>

struct proc_tree_spec {
    char *const *argv;       /* argv[0] is found by PATH */
    char *const *env;        /* extra "K=V" words ended by NULL, or NULL */
    const char *dir;         /* where it runs; NULL: here */
    const char *errors_path; /* stderr is appended here */
    double grace_s;          /* between SIGTERM and SIGKILL */
};

/* stdin is /dev/null, stdout is a pipe: *out is its other end, not blocking, the caller
 * closes it. ERR_DEVICE when there is no such program. */
int proc_tree_start(const struct proc_tree_spec *spec, pid_t *guard, int *out,
                    struct err *err);
/* First: SIGTERM to the program, after the grace SIGKILL to all. Again: at once. */
void proc_tree_stop(pid_t guard);

#endif
