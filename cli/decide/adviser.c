/* cli/decide/adviser.c - see adviser.h. */
#include "cli/decide/adviser.h"
#include "cli/decide/plan_item.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"
#include "runner/hub/known.h"
#include "runner/nn/peft/method.h"
#include "runner/task/task.h"
#include <math.h>
#include <stdlib.h>

/* --- the trainer's own plan --- */

/* Without a file the rows are assumed, all of `length` tokens. */
static json_t *trial_of(const struct adviser *p, const struct setup *s, double length)
{
    const struct advise_request *r = &p->request;
    json_t *t = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:s, s:f}", "model",
        p->base.dir ? p->base.dir : p->base.name, "task", r->task, "method", s->method,
        "train_data", r->train_data ? r->train_data : "rows", "batch_size", (int)s->batch,
        "gradient_accumulation_steps", (int)s->accumulation, "max_length", (int)length,
        "gradient_checkpointing", s->checkpointing, "optim",
        s->adam8 ? "adamw_8bit" : "adamw", "num_train_epochs", r->epochs);
    if (!r->train_data) {
        if (str_eq(r->task, TASK_DEFAULT))
            json_object_set_new(t, "num_labels", json_integer(2));
        if (r->rows >= 1)
            json_object_set_new(t, "max_train_samples",
                                json_integer((json_int_t)r->rows));
    }
    const struct sweep_subject *about = &r->subject;
    json_t *columns =
        json_pack("{s:s*, s:s*, s:s*, s:s*}", "text_column", about->text_column,
                  "text_pair_column", about->text_pair_column, "label_column",
                  about->label_column, "problem_type", about->problem_type);
    json_object_update(t, columns);
    json_decref(columns);
    if (method_reads(method_behind(s->method), "rank")) {
        json_object_set_new(t, "rank", json_integer((json_int_t)s->rank));
        if (s->targets == TARGETS_ALL)
            json_object_set_new(t, "target_modules", json_string("all-linear"));
    }
    return t;
}

/* What this program takes on the GPU that is asked about; 0: it cannot. */
static double peak_on_gpu(const struct advise_request *r, const json_t *resolved)
{
    const struct gpu *gpu = r->machine.gpu;
    struct trial_prediction p;
    if (!gpu || !gpu->cuda_major ||
        trial_predict(resolved, ".", r->train_data ? ASSUME_MISSING : ASSUME_ROWS,
                      backend_planned_cuda(gpu->cuda_major), &p, NULL))
        return 0;
    return (double)p.total_bytes + ESTIMATE_CONTEXT_BYTES;
}

static int plan_exactly(void *ctx, const struct setup *s, struct exact_plan *out)
{
    const struct adviser *p = ctx;
    const struct advise_request *r = &p->request;
    struct trial_prediction plan;
    json_t *resolved = NULL, *trial = trial_of(p, s, r->seq_len);
    int rc = trial_resolve(trial, &resolved, NULL);
    if (!rc)
        rc = trial_predict(resolved, ".", r->train_data ? ASSUME_MISSING : ASSUME_ROWS,
                           NULL, &plan, NULL);
    const double own = rc ? 0 : peak_on_gpu(r, resolved);
    json_decref(trial);
    json_decref(resolved);
    if (rc)
        return rc;
    *out = (struct exact_plan){
        .peak = (double)plan.total_bytes,
        .own_peak = own,
        .seconds = plan.rows_known ? plan.train_s : NAN,
        .counts = prediction_counts(&plan),
    };
    prediction_bytes(&plan, out->bytes);
    return 0;
}

static const char *known_name(const char *path)
{
    const struct known_model *m = known_model_find(path);
    return m ? m->name : NULL;
}

/* --- */

static int open_evidence(const char *given, struct store **s, struct err *err)
{
    char *path = store_default_path(given);
    int rc = given || fs_exists(path) ? store_open(path, STORE_READ_ONLY, s, err) : 0;
    free(path);
    return rc;
}

int adviser_open(struct adviser *a, const char *model, const char *gpus,
                 const char *prices, const char *store, struct err *err)
{
    *a = (struct adviser){0};
    int rc = catalog_load(gpus, prices, &a->catalog, err);
    if (!rc)
        rc = priors_load(&a->priors, err);
    if (!rc)
        rc = base_find(model, ".", &a->base, err);
    if (!rc)
        rc = open_evidence(store, &a->store, err);
    a->request = (struct advise_request){
        .model = model,
        .known_name = known_name,
        .catalog = &a->catalog,
        .priors = &a->priors,
        .methods = a->methods,
        .method_count = method_facts_all(a->methods, ADVISER_METHODS_MAX),
        .shape = a->base.shape,
        .trains = a->base.trains,
        .exact = a->base.trains ? plan_exactly : NULL,
        .ctx = a,
        .store = a->store,
    };
    return rc;
}

void adviser_close(struct adviser *a)
{
    store_close(a->store);
    catalog_release(&a->catalog);
    priors_release(&a->priors);
    base_release(&a->base);
    *a = (struct adviser){0};
}
