/* cli/decide/plan_item.c - see plan_item.h. */
#include "cli/decide/plan_item.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/peft/method.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CAUSAL_LM "causal-lm|CAUSAL_LM"

/* --- the trial as the trainer resolves it --- */

static const char *task_of(const json_t *given, const struct base *base)
{
    const char *task =
        json_get_str(given, "task", json_get_str(given, "task_type", NULL));
    return task ? task : base->shape.decoder ? "causal-lm" : "seq-cls";
}

int plan_drop_foreign(json_t *given, struct err *err)
{
    const struct preset *preset = preset_find(json_get_str(given, "method", ""));
    const struct method *method = preset ? preset->method : method_of(given, err);
    const char *key;
    void *next;
    json_t *v;
    if (!method)
        return err_code(err);
    json_object_foreach_safe(given, next, key, v)
    {
        const struct opt_def *def = opt_find(&trial_options, key);
        if (!def || (def->flags & OPT_OF_METHOD && !method_reads(method, def->key)))
            json_object_del(given, key);
    }
    return 0;
}

int plan_resolve(const json_t *given, const struct base *base, bool program,
                 json_t **resolved, struct err *err)
{
    json_t *t = json_copy((json_t *)given);
    int rc = program ? plan_drop_foreign(t, err) : 0;
    if (program && !json_object_get(t, "train_data"))
        json_object_set_new(t, "train_data", json_string("rows"));
    if (!json_object_get(t, "task") && !json_object_get(t, "task_type"))
        json_object_set_new(t, "task", json_string(task_of(t, base)));
    if (!rc)
        rc = trial_resolve(t, resolved, err);
    json_decref(t);
    return rc;
}

/* --- for the formulas --- */

/* Layers that are targeted, as far as the formulas tell them apart; -1: they do not. */
static int read_targets(const json_t *t)
{
    static const struct {
        const char *names;
        size_t count;
        enum targets targets;
    } known[] = {
        {"q_proj|v_proj|query|value|q_lin|v_lin", 2, TARGETS_QV},
        {"qkv_proj|c_attn", 1, TARGETS_QV}, /* the three in one */
        {"gate_proj|up_proj|down_proj", 3, TARGETS_MLP},
        {"q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj", 7, TARGETS_ALL},
    };
    const json_t *v = json_object_get(t, "target_modules");
    if (!v || json_is_null(v))
        return TARGETS_QV; /* peft's map for every family of the catalogue */
    if (str_eq(json_string_value(v), "all-linear"))
        return TARGETS_ALL;
    for (size_t k = 0; k < ARRAY_LEN(known); k++) {
        bool all = json_array_size(v) == known[k].count;
        for (size_t i = 0; i < json_array_size(v); i++)
            all &=
                str_in_list(json_string_value(json_array_get(v, i)), known[k].names, '|');
        if (all)
            return known[k].targets;
    }
    return -1;
}

static struct setup read_setup(const json_t *resolved, const struct base *b,
                               const char *task)
{
    const struct model_shape *m = &b->shape;
    const int targets = read_targets(resolved);
    struct method_facts facts;
    struct trial t;
    method_facts_of(resolved, &facts);
    trial_init(&t, resolved);
    const struct preset *preset = preset_find(facts.name);
    struct setup s = {
        .method = preset ? preset->name : method_find(facts.name, NULL)->name,
        .targets = targets < 0 ? TARGETS_ALL : (enum targets)targets,
        .rank = (double)(t.rank ? t.rank : t.init_r),
        .virtual_tokens = (double)t.num_virtual_tokens,
        .reduction_factor = t.reduction_factor > 0 ? t.reduction_factor : 16,
        .houlsby = str_eq(t.adapter_type, "houlsby"),
        .quantised = facts.quantised,
        .base_bytes = m->decoder || str_eq(t.dtype, "bfloat16") ? 2 : 4,
        .checkpointing = t.gradient_checkpointing,
        .adam8 = str_eq(t.optim, "adamw_8bit"),
        .adam32 = str_eq(t.optim, "paged_adamw_32bit"),
        .bf16_adapter = str_eq(t.adapter_dtype, "bfloat16"),
        .batch = (double)t.batch_size,
        .accumulation = (double)t.gradient_accumulation_steps,
        .seq_len = t.max_length ? (double)t.max_length : fmin(512, m->positions),
        .labels = str_in_list(task, CAUSAL_LM, '|') ? 0
                  : t.num_labels                    ? (double)t.num_labels
                                                    : 2,
    };
    trial_release(&t);
    return s;
}

static void other_stacks(struct plan_item *it)
{
    for (int stack = 0; stack < STACK_COUNT; stack++)
        estimate(&it->base->shape, &it->setup, (enum stack)stack, &it->gpu[stack]);
}

/* --- by the trainer's planner --- */

static int plan_exactly(struct plan_item *it, const json_t *t, const struct plan_how *how,
                        struct err *err)
{
    struct trial_prediction p;
    struct estimate *e = &it->estimate;
    int rc = trial_predict(t, how->base_dir, how->assume, how->on, &p, err);
    if (rc)
        return rc;
    it->exact = true;
    it->assumed_length = p.assumed_length;
    it->rows_known = p.rows_known;
    it->has_weights = p.has_weights;
    *e = (struct estimate){.peak = (double)p.total_bytes,
                           .trainable = (double)p.trainable_parameters,
                           .total = (double)p.total_parameters,
                           .adapter_bytes = (double)p.adapter_bytes,
                           .flops_per_token = p.flops / (double)p.tokens};
    prediction_bytes(&p, e->bytes);
    if (p.rows_known || json_get_int(t, "max_steps", -1) > 0) {
        it->tokens = (double)p.tokens;
        it->updates = (double)p.updates;
        it->train_s = p.train_s;
        it->total_s = p.total_s;
    }
    it->setup = read_setup(t, it->base, json_get_str(t, "task", ""));
    it->setup.counted = prediction_counts(&p);
    it->setup.seq_len = p.longest_row; /* rows are padded to the longest of a batch */
    other_stacks(it);
    return 0;
}

/* --- by formula alone --- */

/* Keys that change what trains and that no formula reads. */
static int check_formula(const struct plan_item *it, const json_t *t, struct err *err)
{
    static const char *const unread[] = {"layers_to_transform", "rank_pattern",
                                         "modules_to_save",     "exclude_modules",
                                         "feedforward_modules", "init_adapter"};
    const char *name = it->base->shape.name;
    for (size_t i = 0; i < ARRAY_LEN(unread); i++)
        if (json_object_get(t, unread[i]))
            return err_set(err, ERR_CONFIG,
                           "'%s': '%s' is estimated by a formula that does not know it",
                           unread[i], name);
    if (strcmp(json_get_str(t, "bias", "none"), "none"))
        return err_set(err, ERR_CONFIG,
                       "'bias': '%s' is estimated by a formula that knows 'none' alone",
                       name);
    if (read_targets(t) < 0)
        return err_set(err, ERR_CONFIG,
                       "'target_modules': '%s' is estimated by a formula that knows "
                       "all-linear, q_proj with v_proj, and the feed-forward layers",
                       name);
    if (isnan(estimate_trainable(&it->base->shape, &it->setup)))
        return err_set(err, ERR_CONFIG,
                       "method '%.40s': there is no formula for it on '%s'",
                       it->setup.method, name);
    return 0;
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
    char *path = fs_join(base_dir, json_get_str(t, "train_data", ""));
    double rows = count_lines(path, NULL);
    free(path);
    const double most = json_get_num(t, "max_train_samples", INFINITY);
    return rows > most || (isnan(rows) && isfinite(most)) ? most : rows;
}

/* Of a base that the trainer knows its planner counts, whoever trains. */
static int count_exactly(struct plan_item *it, const json_t *t, struct err *err)
{
    struct trial_prediction p;
    int rc = trial_predict(t, ".", ASSUME_ROWS, NULL, &p, err);
    if (!rc)
        it->setup.counted = prediction_counts(&p);
    return rc;
}

static int plan_by_formula(struct plan_item *it, const json_t *t, const char *task,
                           const char *base_dir, struct err *err)
{
    it->setup = read_setup(t, it->base, task);
    const struct setup *s = &it->setup;
    int rc = it->base->trains ? count_exactly(it, t, err) : check_formula(it, t, err);
    if (rc)
        return rc;
    other_stacks(it);
    it->estimate = it->gpu[STACK_PEFT];
    const double per_update = s->batch * s->accumulation,
                 rows = count_rows(t, base_dir) * json_get_num(t, "num_train_epochs", 3),
                 steps = json_get_num(t, "max_steps", -1);
    it->updates = steps > 0 ? steps : ceil(rows / per_update);
    it->tokens = it->updates * per_update * s->seq_len;
    it->assumed_length = (int32_t)s->seq_len;
    it->rows_known = isfinite(rows);
    it->has_weights = it->base->dir != NULL;
    return 0;
}

/* --- interface --- */

int plan_item_fill(struct plan_item *it, const json_t *given, const struct plan_how *how,
                   struct err *err)
{
    json_t *resolved = NULL;
    it->train_s = it->total_s = it->tokens = it->updates = NAN;
    int rc = plan_resolve(given, it->base, how->program, &resolved, err);
    if (!rc && it->base->trains && !how->program)
        rc = plan_exactly(it, resolved, how, err);
    else if (!rc)
        rc = plan_by_formula(it, resolved, task_of(given, it->base), how->base_dir, err);
    json_decref(resolved);
    return rc;
}
