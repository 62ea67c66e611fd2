/* runner/trial.c - prediction, training and evaluation of one trial. */
#include "runner/trial.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/evaluate.h"
#include "runner/features.h"
#include "runner/generate/answers.h"
#include "runner/merge/merge.h"
#include "runner/nn/peft/method.h"
#include "runner/nn/specs.h"
#include "runner/result.h"
#include "runner/run_folder.h"
#include "runner/session.h"
#include "runner/train/calibrate.h"
#include "runner/train/checkpoint.h"
#include "runner/train/train.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Share of the GEMM rate that a whole step reaches (MiniLM, LoRA, one thread); only used
 * for predicted times. */
#define STEP_EFFICIENCY 0.8
#define MOST_ANSWERS    20 /* that latency is measured by */

/* --- prediction --- */

static double evaluation_flops(const struct session *s)
{
    double flops = 0;
    for (int i = SPLIT_EVAL; i < SPLIT_COUNT; i++) {
        const struct dataset *d = s->data[i];
        if (!d)
            continue;
        const size_t tokens =
                         d->total_tokens + (size_t)s->net.change.prompt_rows * d->count,
                     parts = tokens / INT32_MAX + 1; /* an extent counts in 32 bits */
        const int32_t rows = (int32_t)(d->count / parts), n = (int32_t)(tokens / parts);
        const struct extent part = extent_of(n, rows, goal_most_picks(&s->goal, n, rows));
        flops += (double)parts * graph_flops(&s->eval_graph, &part);
    }
    return flops;
}

/* The share of the training's tokens that is seen for the first time: from the second epoch
 * on what is kept is there. */
static double first_share(const struct session *s)
{
    const struct dataset *d = s->data[SPLIT_TRAIN];
    const double first =
        (double)d->total_tokens + (double)s->net.change.prompt_rows * (double)d->count;
    return fmin(1, first / (double)s->course.tokens);
}

static int64_t base_parameters(const struct net *net)
{
    int64_t n = 0;
    for (size_t i = 0; i < net->params.count; i++) {
        const struct param *p = net->params.items[i];
        if (!p->added && !p->derived)
            n += param_size(p);
    }
    for (size_t i = 0; i < net->sites.count; i++) {
        const struct linear_site *site = &net->sites.items[i];
        if (site->role == ROLE_head)
            n -= (int64_t)site->out * site->in + (site->has_bias ? site->out : 0);
    }
    return n;
}

static int32_t assumed_length(const struct session *s)
{
    const struct dataset *d = s->data[SPLIT_TRAIN];
    return !d->rows || !d->rows[0].ids ? d->longest : 0;
}

static void fill_pack(const struct session *s, struct trial_prediction *out)
{
    out->base_bytes = (int64_t)session_base_bytes(s, out->base);
    out->turn_bytes = (int64_t)mem_round_up(s->planned[MEM_activations]) +
                      (int64_t)mem_round_up(s->planned[MEM_workspace]);
}

static void fill_prediction(const struct session *s, struct trial_prediction *out)
{
    const struct course *c = &s->course;
    for (int i = 0; i < MEM_COUNT; i++) {
        out->bytes[i] = (int64_t)s->planned[i];
        out->total_bytes += out->bytes[i];
    }
    fill_pack(s, out);
    out->trainable_parameters = params_count(&s->net.params, true);
    out->total_parameters = params_count(&s->net.params, false);
    out->adapter_bytes = adapter_bytes(&s->net);
    out->base_parameters = base_parameters(&s->net);
    out->has_weights = s->hf->weights != NULL;
    out->rows_known = !c->endless;
    out->assumed_length = assumed_length(s);
    out->longest_row = s->data[SPLIT_TRAIN]->longest;
    out->updates = c->updates;
    out->updates_per_epoch = c->updates_per_epoch;
    out->tokens = c->tokens;
    const int64_t batches = c->updates * c->accumulation;
    const int32_t tokens = (int32_t)(c->tokens / batches),
                  rows = (int32_t)(c->bins.count ? (c->samples + batches - 1) / batches
                                                 : c->batch_units);
    const struct extent mean =
        extent_of(tokens, rows, goal_most_picks(&s->goal, tokens, rows));
    const double below = features_flops(s, &mean) * (double)batches,
                 first = below * first_share(s);
    out->flops = graph_flops(&s->train_graph, &mean) * (double)batches - (below - first);
    const double rate = s->backend->ops[OP_linear]
                            ? calibrate_flops_per_s(s->backend) * STEP_EFFICIENCY
                            : NAN;
    out->train_s = out->flops / rate;
    out->total_s = out->train_s + evaluation_flops(s) / rate;
    out->shared_s = features_shared(s, first, out->shared) / rate;
}

int trial_predict(const json_t *resolved, const char *base_dir, enum assume assume,
                  const struct backend *on, struct trial_prediction *out, struct err *err)
{
    struct session s;
    *out = (struct trial_prediction){0};
    int rc = session_plan(&s, resolved, base_dir, assume, on, err);
    if (!rc)
        fill_prediction(&s, out);
    session_close(&s);
    return rc;
}

/* --- training --- */

static void log_metrics(const struct session *s, struct sink *sink, int split,
                        const struct evaluation *e, int64_t step)
{
    char key[96];
    for (size_t m = 0; m < metric_count; m++) {
        if (!goal_has_metric(&s->goal, m))
            continue;
        snprintf(key, sizeof key, "%s/%s", split_names[split], metric_defs[m].name);
        sink->ops->metric(sink, key, step, e->values[m]);
    }
}

/* logits: of eval_data; NULL: nobody wants them. */
static int evaluate_splits(struct session *s, struct run_result *r, struct sink *sink,
                           struct logit_sink *logits, struct err *err)
{
    for (int i = SPLIT_EVAL; i < SPLIT_COUNT; i++) {
        if (!s->data[i])
            continue;
        int rc = evaluate_split(s, i, i == SPLIT_EVAL ? logits : NULL, &r->evaluations[i],
                                err);
        if (!rc)
            rc =
                evaluation_check(&r->evaluations[i], s->data[i], s->goal.num_labels, err);
        if (rc)
            return rc;
        r->eval_s += r->evaluations[i].seconds;
        log_metrics(s, sink, i, &r->evaluations[i], -1);
        if (s->trial.eval_steps > 0 && i == SPLIT_EVAL &&
            r->training.updates == s->course.updates && !r->training.best_update)
            log_metrics(s, sink, i, &r->evaluations[i], r->training.updates);
    }
    return 0;
}

/* Into a folder of another name first, so that adapter/ is whole and nothing else. The
 * result of an earlier training there goes before its adapter does, so that no reader
 * takes the one for the other's. */
static int save_adapter(struct session *s, struct run_result *r, const char *out_dir,
                        struct sink *sink, struct err *err)
{
    char *dir = fs_join(out_dir, "adapter"), *fresh = fs_join(out_dir, "adapter.new");
    char *old = fs_join(out_dir, "result.json");
    int rc = fs_exists(fresh) ? fs_remove_tree(fresh, err) : 0;
    if (!rc)
        rc = adapter_save(&s->net, s->backend, fresh,
                          s->labels.from_strings ? (const char *const *)s->labels.names
                                                 : NULL,
                          &r->adapter_bytes, err);
    if (!rc)
        rc = fs_remove_tree(old, err);
    if (!rc)
        rc = fs_replace_folder(fresh, dir, err);
    free(old);
    if (!rc)
        sink->ops->artifact(sink, "adapter", dir);
    free(fresh);
    free(dir);
    return rc;
}

/* A text is many requests: fewer do. */
static int measure_answers(struct session *s, struct run_result *r, struct err *err)
{
    const int64_t asked = s->trial.latency_requests;
    return answers_latency(s, (size_t)(asked < MOST_ANSWERS ? asked : MOST_ANSWERS),
                           &r->first_token, &r->each_token, err);
}

/* General text is scored at the start point too, by the process that trains to the end. */
static bool ends_here(const struct session *s, const struct trial_run *run)
{
    return s->data[SPLIT_GENERAL] && (!run->until || run->until >= s->course.updates);
}

static int train_into(struct session *s, const struct trial_run *run, struct sink *sink,
                      struct run_result *r, struct err *err)
{
    struct profile profile;
    const struct train_place place = {.run_dir = run->out_dir,
                                      .older = run->older,
                                      .sink = sink,
                                      .profile = run->profile ? &profile : NULL,
                                      .until = run->until,
                                      .evaluate_parked = run->evaluate_parked,
                                      .started_s = r->started_s};
    profile_init(&profile);
    int rc = session_allocate(s, err);
    if (!rc)
        rc = session_turn_take(s, false, err);
    if (!rc && ends_here(s, run))
        rc = evaluate_split(s, SPLIT_GENERAL, NULL, &r->general_before, err);
    if (!rc)
        rc = train_run(s, &place, &r->training, err);
    if (!rc && run->profile)
        r->profile = profile_json(&profile, s->backend);
    if (!rc)
        rc = save_adapter(s, r, run->out_dir, sink, err);
    else if (r->training.kept_good)
        save_adapter(s, r, run->out_dir, sink, NULL);
    if (!rc)
        rc = evaluate_splits(s, r, sink, NULL, err);
    const size_t requests = (size_t)s->trial.latency_requests;
    if (!rc && requests)
        rc = session_turn_pass(s, true, err);
    if (!rc && requests && s->goal.generates)
        rc = measure_answers(s, r, err);
    if (!rc && requests)
        rc = evaluate_latency(s, &s->eval_graph, requests, &r->latency, err);
    if (!rc && requests && s->merged_graph.node_count)
        rc = merge_latency(s, requests, &r->merged_latency, err);
    session_turn_give(s);
    return rc;
}

/* A finished trial needs no checkpoints, nor those of its earlier attempts. */
static void remove_checkpoints(const struct trial_run *run)
{
    checkpoint_remove_all(run->out_dir, NULL);
    for (size_t i = 0; run->older && run->older[i]; i++)
        checkpoint_remove_all(run->older[i], NULL);
}

/* net: once it is open, for a folder that is quantised already; or NULL */
static void tell_method(const json_t *resolved, const struct net *net, struct sink *sink)
{
    struct method_facts facts;
    if (net)
        specs_method_facts(net, &facts);
    else
        method_facts_of(resolved, &facts);
    sink->ops->method(sink, &facts);
}

/* What one should know of the rows that it learns from. */
static void tell_data(const struct session *s, struct sink *sink)
{
    const struct dataset *d = s->data[SPLIT_TRAIN];
    for (size_t k = 0; k < json_array_size(d->notes); k++) {
        const char *note = json_string_value(json_array_get(d->notes, k));
        text_print(stderr, "peftlab: data file '%s': %s\n", d->path, note);
        sink->ops->event(sink, "data", note);
    }
}

int trial_train(const json_t *resolved, const char *base_dir, const struct trial_run *run,
                struct sink *sink, struct err *err)
{
    struct session s;
    struct run_result r = {.started_s = clock_mono_s()};
    load_watch_start(&r.watch);
    int rc = fs_mkdirs(run->out_dir, err);
    if (rc)
        return rc;
    json_t *environment = proc_environment();
    sink->ops->environment(sink, environment);
    tell_method(resolved, NULL, sink);
    rc = session_open(&s, resolved, base_dir, NULL, true, err);
    if (!rc && run->pack && !str_eq(s.backend->name, "cpu"))
        rc = err_set(err, ERR_CONFIG,
                     "backend '%s' computes for one trial in a process, only 'cpu' does "
                     "for several; start it alone",
                     s.backend->name);
    pack_sit(&s.seat, rc ? NULL : run->pack);
    if (!rc)
        tell_data(&s, sink);
    if (!rc && s.hf->quantised.quant != QUANT_NONE)
        tell_method(resolved, &s.net, sink);
    if (!rc && !run->overwrite)
        rc = run_folder_check(run->out_dir, resolved, &s, err);
    if (!rc)
        rc = train_into(&s, run, sink, &r, err);
    if (rc == 1 || rc == -ERR_BUSY)
        result_log_unfinished(&r, &s, sink);
    if (!rc)
        rc = result_write(&r, &s, environment, run->out_dir, sink, err);
    if (!rc)
        remove_checkpoints(run);
    result_release(&r);
    json_decref(environment);
    session_close(&s);
    return rc;
}

/* --- evaluation alone --- */

/* logits.safetensors, written as they come; there in the end or not at all. */
struct logit_file {
    struct logit_sink sink;
    struct fs_writer *file;
    size_t row_bytes;
};

static int write_logits(struct logit_sink *sink, const float *logits, int64_t rows,
                        struct err *err)
{
    struct logit_file *f = (struct logit_file *)sink;
    return fs_writer_add(f->file, logits, (size_t)rows * f->row_bytes, err);
}

static int open_logits(struct logit_file *f, const struct session *s, const char *out_dir,
                       struct err *err)
{
    const int64_t shape[] = {evaluate_logit_rows(s, SPLIT_EVAL), s->goal.num_labels};
    struct st_writer *w = st_writer_new();
    char *path = fs_join(out_dir, "logits.safetensors");
    f->sink.take = write_logits;
    f->row_bytes = (size_t)s->goal.num_labels * sizeof(float);
    st_writer_add(w, "logits", DT_F32, 2, shape, NULL);
    int rc = st_writer_begin(w, path, &f->file, err);
    st_writer_free(w);
    free(path);
    return rc;
}

static int evaluate_profiled(struct session *s, struct run_result *r, struct sink *sink,
                             struct logit_sink *logits, struct err *err)
{
    struct profile profile;
    profile_init(&profile);
    s->memory.watch = &profile.watch;
    profile_begin(&profile);
    int rc = evaluate_splits(s, r, sink, logits, err);
    profile_end(&profile);
    s->memory.watch = NULL;
    r->profile = profile_json(&profile, s->backend);
    return rc;
}

int trial_evaluate(const json_t *resolved, const char *base_dir, const char *adapter,
                   const struct trial_run *run, struct err *err)
{
    const char *out_dir = run->out_dir;
    struct session s;
    struct run_result r = {.started_s = clock_mono_s()};
    load_watch_start(&r.watch);
    struct sink *sink = sink_null();
    json_t *environment = proc_environment();
    int rc = session_open(&s, resolved, base_dir, adapter, false, err);
    if (!rc && !s.data[SPLIT_EVAL])
        rc = err_set(err, ERR_CONFIG,
                     "'eval_data' is missing: there is nothing to evaluate");
    if (!rc)
        rc = run_folder_check_evaluation(out_dir, err);
    if (!rc)
        rc = fs_mkdirs(out_dir, err);
    if (!rc)
        rc = session_allocate(&s, err);
    struct logit_file logits = {.file = NULL};
    if (!rc && !run->no_logits)
        rc = open_logits(&logits, &s, out_dir, err);
    if (!rc)
        rc = (run->profile ? evaluate_profiled : evaluate_splits)(
            &s, &r, sink, run->no_logits ? NULL : &logits.sink, err);
    if (!rc && s.goal.generates)
        rc = measure_answers(&s, &r, err);
    if (!rc && logits.file)
        rc = fs_writer_finish(logits.file, err);
    else
        fs_writer_abandon(logits.file);
    if (!rc)
        rc = result_write(&r, &s, environment, out_dir, sink, err);
    result_release(&r);
    json_decref(environment);
    session_close(&s);
    sink_close(sink, NULL);
    return rc;
}
