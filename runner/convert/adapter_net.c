/* runner/convert/adapter_net.c - see adapter_net.h. */
#include "runner/convert/adapter_net.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/adapter_files/trial_of.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include <stdlib.h>
#include <string.h>

/* A folder that says no task: the model's class has one. */
static void put_task(json_t *given, const json_t *config)
{
    const char *class =
        json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    for (size_t i = 0; task_at(i) && class && !json_object_get(given, "task"); i++)
        if (str_has_suffix(class, task_at(i)->kind->class_suffix))
            json_object_set_new(given, "task", json_string(task_at(i)->name));
}

/* The rows of the head that the folder holds; 0: it holds none. */
static int32_t saved_labels(const char *dir, const struct task *task)
{
    struct st *s;
    int64_t rows = 0;
    char *path = fs_join(dir, "adapter_model.safetensors");
    if (st_open_file(path, &s, NULL) == 0) {
        for (size_t i = 0; i < st_count(s); i++) {
            const struct st_tensor *t = st_at(s, i);
            if (task_saves(task, t->name) && t->ndim == 2 &&
                (!rows || t->shape[0] < rows))
                rows = t->shape[0];
        }
        st_close(s);
    }
    free(path);
    return (int32_t)rows;
}

/* `dir`: the adapter's folder; NULL: there is none. */
static int open_net(struct adapter_net *a, const char *dir, const json_t *given,
                    struct err *err)
{
    int rc = trial_resolve_use(given, &a->resolved, err);
    if (rc)
        return rc;
    trial_init(&a->trial, a->resolved);
    struct goal goal = {.task = task_find(a->trial.task, err)};
    rc = goal.task ? goal.task->kind->open(&a->trial, a->hf->config, &goal, err)
                   : err_code(err);
    if (rc)
        return rc;
    if (!goal.num_labels && dir)
        goal.num_labels = saved_labels(dir, goal.task);
    if (!goal.num_labels)
        goal.num_labels = (int32_t)json_get_int(a->hf->config, "num_labels", 2);
    return net_init(&a->net, a->hf, &a->trial, &goal, dir, false, err);
}

int adapter_net_plain(struct adapter_net *a, struct hf_model *hf, const json_t *given,
                      struct err *err)
{
    *a = (struct adapter_net){.hf = hf};
    return open_net(a, NULL, given, err);
}

int adapter_net_open(struct adapter_net *a, const char *dir, const char *model,
                     struct err *err)
{
    json_t *given = NULL;
    *a = (struct adapter_net){0};
    int rc = adapter_trial(dir, model, &given, err);
    if (rc)
        return rc;
    rc = hf_model_open_shape(json_get_str(given, "model", ""), &a->hf, err);
    if (rc && !model)
        err_context(
            err,
            "the base that adapter folder '%s' names (--model names another): ", dir);
    if (!rc) {
        put_task(given, a->hf->config);
        rc = open_net(a, dir, given, err);
    }
    if (!rc && a->net.method->files->adopt)
        rc = a->net.method->files->adopt(&a->net, dir, err);
    if (!rc)
        rc = adapter_load(&a->net, dir, err);
    json_decref(given);
    return rc;
}

void adapter_net_release(struct adapter_net *a)
{
    net_release(&a->net);
    hf_model_close(a->hf);
    trial_release(&a->trial);
    json_decref(a->resolved);
    *a = (struct adapter_net){0};
}
