/* cli/serve/served_tasks.c - see served_tasks.h. */
#include "cli/serve/served_tasks.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/service/task_plans.h"
#include "runner/run_folder.h"
#include "tracker/view/view.h"
#include <stdlib.h>
#include <string.h>

/* ---- which base ---- */

/* The service of a plan on a base that the model's path names; NULL: none. */
static const struct task_service *
service_on(const struct task_plans *p, const struct task_plan *plan, const char *model)
{
    for (size_t i = 0; i < plan->count; i++)
        if (path_ends_in(model, p->tasks.bases[plan->services[i].base].name))
            return &plan->services[i];
    return NULL;
}

static int no_base(const struct task_plans *p, const struct task_plan *plan,
                   const char *file, const char *model, struct err *err)
{
    const char *first = p->tasks.bases[0].model;
    if (model)
        return err_set(err, ERR_CONFIG,
                       "'%s': no way of serving its tasks has the base '%s'; tried were "
                       "%s%s",
                       file, model, first, p->tasks.base_count > 1 ? " and others" : "");
    if (!plan)
        return err_set(
            err, ERR_CONFIG,
            "'%s': no base was tried on all of its tasks; 'peftlab report --sla "
            "%s' shows what is missing",
            file, file);
    return err_set(err, ERR_USAGE,
                   "'%s': its tasks stand best on %zu bases, each a server of its own; "
                   "name one: peftlab serve %s --tasks %s",
                   file, plan->count, p->tasks.bases[plan->services[0].base].model, file);
}

static const struct task_service *choose_service(const struct task_plans *p,
                                                 const char *file, const char *model,
                                                 struct err *err)
{
    const struct task_plan *best = task_plans_shared(p);
    const struct task_service *s = NULL;
    if (best && !model && best->count == 1)
        return &best->services[0];
    /* Another base than the plan's may be meant: then the next plan that has it. */
    for (size_t i = 0; model && !s && i < p->count; i++)
        if (p->plans[i].kind != PLAN_MERGED)
            s = service_on(p, &p->plans[i], model);
    if (!s)
        no_base(p, best, file, model, err);
    return s;
}

/* ---- which adapter ---- */

/* The folder that a trial's last run says its adapter is in; the caller's, or NULL. */
static char *adapter_of(struct store *s, int64_t trial, struct err *err)
{
    json_t *row = view_trial(s, trial, err), *artifact;
    const char *path = NULL;
    size_t i;
    json_array_foreach(json_object_get(row, "artifacts"), i, artifact)
    {
        if (str_eq(json_get_str(artifact, "name", ""), "adapter"))
            path = json_get_str(artifact, "path", path);
    }
    char *dir = path ? run_folder_adapter(path) : NULL;
    json_decref(row);
    return dir;
}

static int take_task(const struct report *r, const struct service_task *x,
                     const char *file, struct served_task *out, struct err *err)
{
    const struct sla_task *t = &r->sla->tasks[x->task];
    const int64_t trial = task_trial(r, t, x->fit->cell)->id;
    *out = (struct served_task){.name = xstrdup(t->name)};
    if (t->adapter) {
        char *dir = fs_dirname(file), *given = fs_join(dir, t->adapter);
        out->adapter = run_folder_adapter(given);
        free(given);
        free(dir);
    } else
        out->adapter = adapter_of(r->store, trial, err);
    if (out->adapter)
        return 0;
    return t->adapter
               ? err_set(err, ERR_NOINPUT, "task '%s': no adapter in '%s'", t->name,
                         t->adapter)
               : err_set(err, ERR_NOINPUT,
                         "task '%s': the adapter of its best trial, %lld, is not there "
                         "any more; name a folder by its key 'adapter'",
                         t->name, (long long)trial);
}

/* The model's folder as the trial found it. */
static char *model_of(const struct report *r, const struct task_service *s,
                      struct err *err)
{
    const struct report_trial *t = s->tasks[0].fit->cell->trials[0];
    json_t *row = view_trial(r->store, t->id, err);
    char *path = fs_join(json_get_str(row, "base_dir", "."),
                         r->task_plans->tasks.bases[s->base].model);
    json_decref(row);
    return path;
}

static int take_service(const struct report *r, const char *file, const char *model,
                        struct served_tasks *out, struct err *err)
{
    const struct task_service *s = choose_service(r->task_plans, file, model, err);
    int rc = s ? 0 : err_code(err);
    if (rc)
        return rc;
    out->model = model ? xstrdup(model) : model_of(r, s, err);
    out->tasks = xcalloc(s->count + 1, sizeof *out->tasks);
    for (size_t i = 0; i < s->count && !rc; i++)
        rc = take_task(r, &s->tasks[i], file, &out->tasks[out->count++], err);
    return rc;
}

int served_tasks_find(const char *file, const char *store, const json_t *sweeps,
                      const char *model, struct served_tasks *out, struct err *err)
{
    char *path = store_default_path(store);
    struct store *s = NULL;
    struct report *r = NULL;
    *out = (struct served_tasks){0};
    int rc = store_open(path, STORE_READ_ONLY, &s, err);
    if (!rc)
        rc = report_judge_tasks(s, file, sweeps, REPORT_CORE_USD_PER_HOUR, &r, err);
    if (!rc)
        rc = take_service(r, file, model, out, err);
    report_free(r);
    store_close(s);
    free(path);
    return rc;
}

void served_tasks_release(struct served_tasks *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->tasks[i].name);
        free(t->tasks[i].adapter);
    }
    free(t->tasks);
    free(t->model);
    *t = (struct served_tasks){0};
}
