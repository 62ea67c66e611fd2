/* cli/serve/served_tasks.h - what a file of tasks (docs/sla.md) says to serve: a base, and
 * for each task that it is good for an adapter.
 *
 * The store's trials decide, as the report does (report/service/task_plans.h): the best way
 * of serving without a model per task. Where that is several bases, each is a server of its
 * own, so the caller names one. A task's adapter is the folder that the file names, else
 * that of its best trial there. */
#ifndef CLI_SERVE_SERVED_TASKS_H
#define CLI_SERVE_SERVED_TASKS_H

#include "lib/err.h"
#include <jansson.h>
#include <stddef.h>

struct served_task {
    char *name, *adapter;
};

struct served_tasks {
    char *model; /* folder of the base */
    struct served_task *tasks;
    size_t count;
};

/* store NULL: the usual one. model NULL: the plan's own base. sweeps: as the report's; may
 * be NULL. Release also after an error. */
int served_tasks_find(const char *file, const char *store, const json_t *sweeps,
                      const char *model, struct served_tasks *out, struct err *err);
void served_tasks_release(struct served_tasks *t);

#endif
