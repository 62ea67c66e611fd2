/* runner/task/task.c - the registry of tasks, and what is the same for all of them. */
#include "runner/task/task.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/metric/metric.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/net.h"
#include <stddef.h>

#define TASK(id, name, peft_type) extern const struct task_kind task_##id;
#include "runner/task/tasks.def"
#undef TASK

static const struct task tasks[] = {
#define TASK(id, name, peft_type) {name, peft_type, &task_##id},
#include "runner/task/tasks.def"
#undef TASK
};

const struct task *task_at(size_t i)
{
    return i < ARRAY_LEN(tasks) ? &tasks[i] : NULL;
}

const struct task *task_find(const char *name, struct err *err)
{
    struct buf known = BUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        if (str_eq(tasks[i].name, name) || str_eq(tasks[i].peft_type, name))
            return buf_release(&known), &tasks[i];
        buf_printf(&known, "%s%s", i ? ", " : "", tasks[i].name);
    }
    err_set(err, ERR_CONFIG, "unknown task '%s' (known: %s)", name, buf_str(&known));
    buf_release(&known);
    return NULL;
}

char *task_class(const struct net *net)
{
    const struct task_kind *kind = net->goal.task->kind;
    return kind == &task_causal_lm && net->arch->language_class
               ? xstrdup(net->arch->language_class)
               : xasprintf("%s%s", net->arch->class_prefix, kind->class_suffix);
}

static size_t count_modules(const struct task *task)
{
    size_t n = 0;
    while (task->kind->saved_modules[n])
        n++;
    return n;
}

bool task_saves(const struct task *task, const char *path)
{
    return net_in_modules(path, task->kind->saved_modules, count_modules(task));
}

void task_train_head(struct net *net)
{
    const char *const *modules = net->goal.task->kind->saved_modules;
    for (size_t i = 0; modules[i]; i++)
        net_train_modules(net, modules[i]);
}

/* Of the classes, or of the vocabulary. */
static bool is_one_class(const struct goal *g)
{
    return g->labels == LABEL_class || g->labels == LABEL_token;
}

int32_t goal_targets(const struct goal *g)
{
    return is_one_class(g) ? 0 : g->num_labels;
}

int32_t goal_most_picks(const struct goal *g, int32_t tokens, int32_t sequences)
{
    return g->task->kind->per_token ? tokens : sequences;
}

struct graph_loss goal_loss(const struct goal *g)
{
    return (struct graph_loss){.against_targets = !is_one_class(g),
                               .target = g->labels == LABEL_numbers ? LOSS_mse : LOSS_bce,
                               .class_weights = -1};
}

bool goal_is_of_texts(const struct goal *g, size_t metric)
{
    const char *names = g->task->kind->text_metrics;
    return names && str_in_list(metric_defs[metric].name, names, '|');
}

bool goal_has_metric(const struct goal *g, size_t metric)
{
    return g->task->kind->labels >> g->labels & 1 &&
           metric_defs[metric].value[g->labels] &&
           (str_in_list(metric_defs[metric].name, g->task->kind->metrics, '|') ||
            (g->generates && goal_is_of_texts(g, metric)));
}
