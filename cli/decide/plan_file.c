/* cli/decide/plan_file.c - see plan_file.h. */
#include "cli/decide/plan_file.h"
#include "lib/buf.h"
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/hf_model.h"
#include "runner/trial.h"
#include "sweep/sweep.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- one trial: by the trainer --- */

static void from_prediction(const struct trial_prediction *p, struct plan_item *it)
{
    struct estimate *e = &it->estimate;
    static const enum estimate_bytes places[MEM_COUNT] = {
        [MEM_weights] = EST_weights,         [MEM_trainable] = EST_trainable,
        [MEM_gradients] = EST_gradients,     [MEM_optimizer] = EST_optimizer,
        [MEM_activations] = EST_activations, [MEM_workspace] = EST_workspace,
        [MEM_batch] = EST_workspace};
    for (int i = 0; i < MEM_COUNT; i++)
        e->bytes[places[i]] += (double)p->bytes[i];
    e->peak = it->lean_peak = (double)p->total_bytes;
    e->trainable = (double)p->trainable_parameters;
    e->total = (double)p->total_parameters;
    e->adapter_bytes = (double)p->adapter_bytes;
    e->flops_per_token = p->flops / (double)p->tokens;
    it->tokens = (double)p->tokens;
    it->updates = (double)p->updates;
    it->train_s = p->train_s;
    it->total_s = p->total_s;
}

/* --- one trial: by formula --- */

static double number(const json_t *t, const char *key, const char *alias,
                     double otherwise)
{
    return json_get_num(t, key, alias ? json_get_num(t, alias, otherwise) : otherwise);
}

/* The names that a trial targets, as far as the formula tells them apart. */
static enum targets read_targets(const json_t *t)
{
    const json_t *v = json_object_get(t, "target_modules");
    json_t *name;
    size_t i;
    if (!v || json_is_null(v))
        return TARGETS_QV; /* peft's map for every family of the catalogue */
    json_array_foreach((json_t *)v, i, name)
    {
        if (!str_in_list(json_string_value(name), "q_proj|v_proj|query|value", '|'))
            return TARGETS_ALL;
    }
    return json_is_array(v) && json_array_size(v) ? TARGETS_QV : TARGETS_ALL;
}

/* Methods that the formula knows; the trial's own text may go before the plan does. */
static const char *find_method(const json_t *t, struct err *err)
{
    static const char *const known[] = {
        "lora", "qlora", "dora",   "qdora",  "rslora",    "pissa",  "adapter", "full",
        "ia3",  "vera",  "prefix", "prompt", "ln-tuning", "bitfit", "head"};
    const char *method = json_get_str(t, "method", "lora");
    if (str_eq(method, "lora") && strcmp(json_get_str(t, "quantization", "none"), "none"))
        method = "qlora";
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(method, known[i]))
            return known[i];
    const char *near = str_nearest(method, known, ARRAY_LEN(known));
    err_set(err, ERR_CONFIG, "method '%.40s': there is no formula for it%s%s%s", method,
            near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    return NULL;
}

static struct setup read_setup(const json_t *t, const struct model_shape *m,
                               const char *method)
{
    return (struct setup){
        .method = method,
        .targets = read_targets(t),
        .rank = number(t, "rank", "r", 8),
        .virtual_tokens = number(t, "num_virtual_tokens", NULL, 20),
        .reduction_factor = number(t, "reduction_factor", NULL, 16),
        .houlsby = str_eq(json_get_str(t, "adapter_type", ""), "houlsby"),
        .base_bytes =
            m->decoder || str_eq(json_get_str(t, "dtype", ""), "bfloat16") ? 2 : 4,
        .checkpointing = json_get_bool(t, "gradient_checkpointing", 0) == 1,
        .adam8 = str_eq(json_get_str(t, "optim", ""), "adamw_8bit"),
        .batch = number(t, "batch_size", "per_device_train_batch_size", 8),
        .accumulation = number(t, "gradient_accumulation_steps", NULL, 1),
        .seq_len = number(t, "max_length", "max_seq_length", fmin(512, m->positions)),
        .labels =
            str_in_list(json_get_str(t, "task", m->decoder ? "causal-lm" : "seq-cls"),
                        "causal-lm|CAUSAL_LM", '|')
                ? 0
                : number(t, "num_labels", NULL, 2),
    };
}

double count_lines(const char *path, struct err *err)
{
    struct fs_map map;
    double lines = 0;
    if (fs_map(path, &map, err) < 0)
        return NAN;
    for (size_t i = 0; i < map.size; i++)
        lines += map.data[i] == '\n';
    lines += map.size && map.data[map.size - 1] != '\n';
    fs_unmap(&map);
    return lines;
}

static double count_rows(const json_t *t, const char *base_dir)
{
    const char *name = json_get_str(t, "train_data", NULL);
    char *path = name ? fs_join(base_dir, name) : NULL;
    double rows = path ? count_lines(path, NULL) : NAN;
    free(path);
    const double most = json_get_num(t, "max_train_samples", INFINITY);
    return rows > most || (isnan(rows) && isfinite(most)) ? most : rows;
}

static int from_formula(const json_t *t, const char *base_dir, struct plan_item *it,
                        struct err *err)
{
    const struct model_shape *m = it->shape;
    const char *method = find_method(t, err);
    struct estimate lean;
    if (!method)
        return err_code(err);
    it->setup = read_setup(t, m, method);
    const struct setup *s = &it->setup;
    if (!(s->batch >= 1) || !(s->accumulation >= 1) || !(s->seq_len >= 1) ||
        !(s->rank >= 1) || !(s->reduction_factor >= 1) || !(s->virtual_tokens >= 1))
        return err_set(
            err, ERR_CONFIG,
            "sizes of a trial (batch_size, max_length, rank and the like) are 1 "
            "or more");
    estimate(m, &it->setup, STACK_PEFT, &it->estimate);
    estimate(m, &it->setup, STACK_LEAN, &lean);
    it->lean_peak = lean.peak;
    const double per_update = it->setup.batch * it->setup.accumulation,
                 steps = json_get_num(t, "max_steps", -1),
                 rows =
                     count_rows(t, base_dir) * number(t, "num_train_epochs", "epochs", 3);
    it->updates = steps > 0 ? steps : ceil(rows / per_update);
    it->tokens = it->updates * per_update * it->setup.seq_len;
    return 0;
}

/* --- which of the two --- */

/* The shape where the model is only a name, one of the catalogue; NULL: it is not. */
static const struct model_shape *known_shape(struct plan_file *p, const json_t *t,
                                             const char *base_dir)
{
    const char *name = json_get_str(t, "model", "");
    char *path = fs_join(base_dir, name), *dir = NULL;
    struct model_shape m;
    const bool here = fs_is_dir(path) || hf_model_find(name, &dir, NULL) == 0;
    free(path);
    free(dir);
    if (here || !shape_find(&p->shapes, name, &m))
        return NULL;
    for (size_t i = 0; i < p->known_count; i++)
        if (str_eq(p->known[i]->name, m.name))
            return p->known[i];
    p->known = xrealloc(p->known, (p->known_count + 1) * sizeof(struct model_shape *));
    p->known[p->known_count] = xmalloc(sizeof m);
    *p->known[p->known_count] = m;
    return p->known[p->known_count++];
}

/* `resolved` NULL: the trainer refuses the trial, `why` says so. */
static int fill_item(struct plan_file *p, const json_t *given, const json_t *resolved,
                     const char *base_dir, struct plan_item *it, const struct err *why,
                     struct err *err)
{
    struct trial_prediction prediction;
    it->train_s = it->total_s = it->tokens = it->updates = NAN;
    it->shape = known_shape(p, given, base_dir);
    if (it->shape)
        return from_formula(given, base_dir, it, err);
    if (!resolved)
        return err_set(err, why->code, "%s", why->msg);
    int rc = trial_predict(resolved, base_dir, &prediction, err);
    if (rc)
        return rc;
    it->setup.method =
        strcmp(json_get_str(resolved, "quantization", "none"), "none") ? "qlora" : "lora";
    from_prediction(&prediction, it);
    return 0;
}

/* --- files --- */

static int plan_trial(struct plan_file *p, const char *const *words, size_t count,
                      struct err *err)
{
    struct conf *conf;
    struct err why = ERR_INIT;
    json_t *resolved = NULL;
    char *base_dir = NULL;
    p->items = xcalloc(1, sizeof *p->items);
    p->count = 1;
    int rc = conf_load(words[0], &conf, err);
    if (rc)
        return rc;
    trial_read(words[0], words + 1, count - 1, &resolved, &base_dir, &why);
    if (!base_dir)
        base_dir = fs_dirname(words[0]);
    struct plan_item *it = &p->items[0];
    it->params = json_object();
    it->label = xstrdup(words[0]);
    it->seed = (uint64_t)json_get_int(resolved, "seed", 0);
    rc = fill_item(p, resolved ? resolved : conf_root(conf), resolved, base_dir, it, &why,
                   err);
    json_decref(resolved);
    conf_free(conf);
    free(base_dir);
    return rc;
}

static int plan_rows(struct plan_file *p, const struct sweep_file *f,
                     struct sweep_plan *sp, struct err *err)
{
    struct sweep_labels labels;
    int rc = 0;
    const struct err unknown = {ERR_CONFIG,
                                "the sweep names no model that is here or known"};
    p->items = xcalloc(sp->count + 1, sizeof *p->items);
    sweep_labels_init(&labels, f, sp->space.combinations, sp->space.count,
                      f->seed_count > 1);
    for (size_t i = 0; i < sp->count && !rc; i++) {
        const struct sweep_trial *t = &sp->trials[i];
        struct plan_item *it = &p->items[p->count++], *before = i ? it - 1 : NULL;
        if (before && before->shape && str_eq(sp->trials[i - 1].key, t->key))
            *it = *before; /* of another seed: a formula knows no order of rows */
        else
            rc = fill_item(p, t->resolved, f->names_model ? t->resolved : NULL,
                           f->base_dir, it, &unknown, err);
        struct buf label = BUF_INIT;
        sweep_label(&labels, t->params, t->seed, &label);
        it->label = buf_detach(&label, NULL);
        it->params = json_incref(t->params);
        it->seed = t->seed;
    }
    sweep_labels_release(&labels);
    return rc;
}

static int plan_sweep(struct plan_file *p, const char *const *words, size_t count,
                      struct err *err)
{
    static const struct sweep_hooks hooks = {
        .trial_options = &trial_options, .resolve = trial_resolve, .key = trial_key};
    struct sweep_file *f;
    struct sweep_plan sp;
    int rc = sweep_file_load(words[0], words + 1, count - 1, &trial_options, &f, err);
    if (rc)
        return rc;
    rc = sweep_plan_make(f, &hooks, false, &sp, err);
    if (!rc) {
        rc = plan_rows(p, f, &sp, err);
        sweep_plan_release(&sp);
    }
    sweep_file_free(f);
    return rc;
}

static int is_sweep(const char *path, bool *yes, struct err *err)
{
    struct conf *conf;
    int rc = conf_load(path, &conf, err);
    if (rc)
        return rc;
    *yes = json_object_get(conf_root(conf), "parameters") != NULL;
    conf_free(conf);
    return 0;
}

/* --- interface --- */

int plan_file_load(const char *const *words, size_t count, struct plan_file *out,
                   struct err *err)
{
    *out = (struct plan_file){0};
    int rc = shapes_load(&out->shapes, err);
    if (!rc)
        rc = is_sweep(words[0], &out->sweep, err);
    if (!rc)
        rc = (out->sweep ? plan_sweep : plan_trial)(out, words, count, err);
    if (rc)
        plan_file_release(out);
    return rc;
}

void plan_file_release(struct plan_file *p)
{
    for (size_t i = 0; i < p->count; i++) {
        json_decref(p->items[i].params);
        free(p->items[i].label);
    }
    for (size_t i = 0; i < p->known_count; i++)
        free(p->known[i]);
    free(p->known);
    free(p->items);
    shapes_release(&p->shapes);
    *p = (struct plan_file){0};
}

const struct plan_item *plan_file_largest(const struct plan_file *p)
{
    const struct plan_item *most = &p->items[0];
    for (size_t i = 1; i < p->count; i++)
        if (p->items[i].estimate.peak > most->estimate.peak)
            most = &p->items[i];
    return most;
}
