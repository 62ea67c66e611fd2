/* report/service/tasks.h - several tasks of an SLA file, each with trials of its own: what
 * every task reaches on every base that was tried, and which bases are good enough.
 *
 * A task's trials are those whose training file ends as its `data` says, a base is what
 * their `model` names; both are matched by whole parts of the path, so that a store that
 * was moved still fits. On each base the best configuration by the selection metric stands
 * for the task: one that leaves the base as it is, where tasks are to share it, and the
 * best of all, where the task has replicas of its own (and base_untouched is not asked).
 *
 * Quality is held against the task's floor by the rule of sla.h. Tasks may share a base on
 * which none of them breaks its floor; how they are served there is task_plans.h. */
#ifndef REPORT_SERVICE_TASKS_H
#define REPORT_SERVICE_TASKS_H

#include "report/report.h"

/* One configuration for one task on one base. */
struct task_fit {
    const struct report_cell *cell; /* NULL: none was tried */
    struct sla_check quality;       /* limit NaN: no floor is asked */
};

struct task_option {
    struct task_fit shared, own; /* on the common base; with a model of its own */
    struct report_cell *cells;   /* all that were tried; owned */
    size_t count;
};

struct task_base {
    const char *model; /* as the trials name it */
    const char *name;  /* its last part */
    double weight_bytes;
};

struct tasks {
    const struct sla *sla;
    struct task_base *bases;
    struct task_option *options; /* task by task, a base each */
    size_t count, base_count;
};

/* Count 0: the SLA file has no tasks with trials of their own, or there is none. */
void tasks_find(const struct report *r, struct tasks *out);
void tasks_release(struct tasks *t);
const struct task_option *tasks_at(const struct tasks *t, size_t task, size_t base);
/* The metric that a task is judged by. */
const char *task_metric(const struct report *r, const struct sla_task *t);
/* A fit's words, by which bases are compared: breaks where nothing was tried; meets where
 * nothing is asked. */
enum sla_word task_word(const struct task_fit *f);
/* The base on which a task stands best by its words, then by its metric; base_count: none
 * was tried. */
size_t task_best_base(const struct report *r, const struct tasks *t, size_t task);
/* The trial of a configuration whose adapter is served: the best by the selection metric. */
const struct report_trial *task_trial(const struct report *r, const struct sla_task *t,
                                      const struct report_cell *c);
/* Mean tokens of a request: as the file says, else as the rows its trials trained on. */
double task_tokens(const struct sla_task *t, const struct report_cell *c);

/* Whether a path ends in the same parts ("b/c.jsonl" of "/a/b/c.jsonl"). */
bool path_ends_in(const char *path, const char *end);

#endif
