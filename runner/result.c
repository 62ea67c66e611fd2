/* runner/result.c - see result.h. One list of (key, value) pairs feeds both the store and
 * result.json, where "mem/peak_rss_bytes" becomes {"mem": {"peak_rss_bytes": ...}}. */
#include "runner/result.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/os/proc.h"
#include "lib/stats/basic.h"
#include "runner/nn/specs.h"
#include "runner/row_file.h"
#include "runner/train/calibrate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUES 128

struct values {
    struct {
        char key[64];
        double value;
        bool whole;
    } items[MAX_VALUES];
    size_t count;
};

static void put(struct values *v, const char *key, double value, bool whole)
{
    if (v->count == MAX_VALUES)
        return;
    snprintf(v->items[v->count].key, sizeof v->items[0].key, "%s", key);
    v->items[v->count].value = value;
    v->items[v->count++].whole = whole;
}

static bool is_packed(const struct session *s)
{
    return s->seat.pack && s->seat.most > 1;
}

static void collect_memory(struct values *v, const struct session *s)
{
    char key[64];
    size_t allocated = 0;
    for (int c = 0; c < MEM_COUNT; c++) {
        snprintf(key, sizeof key, "mem/%s_bytes", mem_names[c]);
        put(v, key, (double)s->allocated[c], true);
        allocated += s->allocated[c];
    }
    put(v, "mem/shared_bytes", (double)s->shared_bytes, true);
    put(v, "mem/planned_bytes", (double)session_planned_bytes(s), true);
    put(v, "mem/allocated_bytes", (double)allocated, true);
    if (is_packed(s))
        return;
    put(v, "mem/host_bytes", (double)s->host_bytes, true);
    put(v, "mem/peak_rss_bytes", (double)proc_peak_rss_bytes(), true);
}

/* In a pack what the process takes, and how fast a trial got on beside others, say nothing
 * of its method: they are not told as if they did. */
static void collect_pack(struct values *v, const struct session *s)
{
    if (!is_packed(s))
        return;
    const struct pack_bytes b = pack_bytes(s->seat.pack);
    put(v, "pack/trials", s->seat.most, true);
    put(v, "pack/weights_bytes", (double)b.weights, true);
    put(v, "pack/turns_bytes", (double)b.turns, true);
    put(v, "pack/waited_s", s->seat.waited_s, false);
    put(v, "pack/peak_rss_bytes", (double)proc_peak_rss_bytes(), true);
}

/* Rows that teach nothing, left out. */
static size_t dropped_rows(const struct session *s)
{
    size_t n = 0;
    for (int i = 0; i < SPLIT_COUNT; i++)
        n += s->data[i] ? s->data[i]->dropped : 0;
    return n;
}

static void collect_speed(struct values *v, const struct train_outcome *t)
{
    put(v, "train/flops_per_s", t->flops / t->train_s, false);
    put(v, "time/step_ms_p50", stat_median(t->step_ms, (size_t)t->updates), false);
    put(v, "throughput/tokens_per_s", (double)t->tokens / t->train_s, false);
    put(v, "throughput/samples_per_s", (double)t->samples / t->train_s, false);
}

/* What holds for a part of a training as well. */
static void collect_course(struct values *v, const struct run_result *r,
                           const struct session *s)
{
    const struct train_outcome *t = &r->training;
    if (!t->updates)
        return;
    put(v, "train/loss_last", t->trace.log[t->updates - 1].loss, false);
    put(v, "train/updates", (double)t->updates, true);
    put(v, "train/tokens", (double)t->tokens, true);
    put(v, "train/flops", t->flops, true);
    if (t->reused_tokens) {
        put(v, "train/reused_tokens", (double)t->reused_tokens, true);
        put(v, "train/reused_flops", t->reused_flops, true);
    }
    put(v, "train/resumed_from", (double)t->resumed_from, true);
    if (t->spikes) {
        put(v, "train/loss_spikes", (double)t->spikes, true);
        put(v, "train/learning_rate_factor", t->rate_factor, false);
    }
    if (!isnan(t->energy_j) && !is_packed(s)) /* it is the whole machine's */
        put(v, "energy/train_j", t->energy_j, false);
    put(v, "time/train_s", t->train_s, false);
    if (!is_packed(s))
        collect_speed(v, t);
    put(v, "time/total_s",
        t->earlier_s + clock_mono_s() - r->started_s - s->seat.waited_s, false);
}

static void collect_training(struct values *v, const struct run_result *r,
                             const struct session *s)
{
    const struct train_outcome *t = &r->training;
    if (!t->updates)
        return;
    if (!is_packed(s))
        put(v, "train/share_of_peak",
            t->flops / t->train_s / calibrate_peak(s->backend).flops_per_s, false);
    put(v, "train/stopped_early", t->stopped_early, true);
    if (t->best_update)
        put(v, "train/best_update", (double)t->best_update, true);
    put(v, "size/adapter_bytes", (double)r->adapter_bytes, true);
}

static void collect_latency(struct values *v, const char *prefix, const struct latency *l)
{
    const struct {
        const char *name;
        double value;
    } items[] = {
        {"p50_ms", l->p50_ms},
        {"p95_ms", l->p95_ms},
        {"p99_ms", l->p99_ms},
        {"p99_high_ms", l->p99_high_ms},
    };
    char key[64];
    for (size_t i = 0; i < ARRAY_LEN(items) && l->requests; i++) {
        snprintf(key, sizeof key, "latency/%s%s", prefix, items[i].name);
        put(v, key, items[i].value, false);
    }
    snprintf(key, sizeof key, "latency/%srequests", prefix);
    if (l->requests)
        put(v, key, (double)l->requests, true);
}

/* What was written, beside how good it was. */
static void collect_texts(struct values *v, const char *split, const struct answers *a)
{
    const struct {
        const char *name;
        double value;
        bool whole;
    } items[] = {
        {"generated_rows", (double)a->count, true},
        {"length_ratio", (double)a->tokens / (double)a->reference_tokens, false},
        {"stopped_share", (double)a->stopped / (double)a->count, false},
        {"generated_tokens_per_s", (double)a->tokens / a->seconds, false},
    };
    char key[64];
    for (size_t i = 0; i < ARRAY_LEN(items) && (i == 0 || a->count); i++) {
        snprintf(key, sizeof key, "%s/%s", split, items[i].name);
        put(v, key, items[i].value, items[i].whole);
    }
}

/* What a score is to be held against: "baseline/eval/macro_f1" beside "eval/macro_f1", and
 * how many classes the model answers at all. */
static void collect_answers(struct values *v, const struct run_result *r,
                            const struct session *s)
{
    double *values = xcalloc(metric_count + 1, sizeof *values);
    char key[64];
    for (int i = SPLIT_EVAL; i < SPLIT_GENERAL; i++) {
        const struct evaluation *e = &r->evaluations[i];
        if (!e->rows)
            continue;
        snprintf(key, sizeof key, "%s/classes_predicted", split_names[i]);
        if (s->goal.labels == LABEL_class)
            put(v, key, evaluation_classes(e, &s->goal), true);
        if (e->answers.texts)
            collect_texts(v, split_names[i], &e->answers);
        if (!s->data[SPLIT_TRAIN] || !s->data[SPLIT_TRAIN]->rows)
            continue;
        evaluate_baseline(s, i, values);
        for (size_t m = 0; m < metric_count; m++) {
            snprintf(key, sizeof key, "baseline/%s/%s", split_names[i],
                     metric_defs[m].name);
            if (goal_has_metric(&s->goal, m) && !goal_is_of_texts(&s->goal, m))
                put(v, key, values[m], false);
        }
    }
    free(values);
}

/* What the training cost of the rest: nats per token of general text, after and before. */
static void collect_forgetting(struct values *v, const struct run_result *r)
{
    const struct evaluation *after = &r->evaluations[SPLIT_GENERAL],
                            *before = &r->general_before;
    size_t loss = 0;
    while (!str_eq(metric_defs[loss].name, "loss"))
        loss++;
    if (!before->rows || !after->rows)
        return;
    put(v, "general/loss_before", before->values[loss], false);
    put(v, "general/forgetting", after->values[loss] - before->values[loss], false);
}

/* The requests themselves, ascending: what the report simulates a queue from. */
static void log_requests(struct sink *sink, const char *key, const struct latency *l)
{
    for (size_t i = 0; i < l->requests; i++)
        sink->ops->metric(sink, key, (int64_t)i, l->ms[i]);
}

static void put_nested(json_t *root, const char *key, double value, bool whole)
{
    const char *slash = strchr(key, '/');
    char *head = xstrndup(key, (size_t)(slash - key));
    json_t *inner = json_object_get(root, head);
    if (!inner)
        json_object_set_new(root, head, inner = json_object());
    json_object_set_new(inner, slash + 1,
                        whole ? json_integer((json_int_t)value)
                              : json_number_or_word(value));
    free(head);
}

static void put_evaluations(json_t *root, const struct run_result *r,
                            const struct session *s)
{
    for (int i = SPLIT_EVAL; i < SPLIT_COUNT; i++) {
        const struct evaluation *e = &r->evaluations[i];
        if (!e->rows)
            continue;
        json_t *o = json_object();
        for (size_t m = 0; m < metric_count; m++)
            if (goal_has_metric(&s->goal, m))
                json_object_set_new(o, metric_defs[m].name,
                                    json_number_or_word(e->values[m]));
        json_object_set_new(o, "rows", json_integer(e->rows));
        json_object_set_new(root, split_names[i], o);
    }
}

/* [{"step", "loss", "median", "spread", "action"}] */
static void put_spikes(json_t *root, const struct trace *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->count; i++) {
        const struct update_log *log = &t->log[i];
        if (!log->spike)
            continue;
        json_t *o = json_object();
        json_object_set_new(o, "step", json_integer((json_int_t)i + 1));
        json_object_set_new(o, "loss", json_number_or_word(log->loss));
        json_object_set_new(o, "median", json_number_or_word(log->median));
        json_object_set_new(o, "spread", json_number_or_word(log->spread));
        json_object_set_new(o, "action", json_string(log->spike));
        json_array_append_new(list, o);
    }
    if (json_array_size(list))
        json_object_set(root, "loss_spikes", list);
    json_decref(list);
}

static json_t *label_list(const struct session *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->labels.count && s->labels.from_strings; i++)
        json_array_append_new(list, json_string(s->labels.names[i]));
    return list;
}

/* Cores that other processes kept busy: what was timed meanwhile is timed with them. */
static json_t *others_load(const struct run_result *r)
{
    json_t *o = json_object();
    const struct {
        const char *what;
        double cores;
    } parts[] = {{"run", load_watch_others(&r->watch)},
                 {"latency", r->latency.requests ? r->latency.others_cores : NAN},
                 {"merged_latency",
                  r->merged_latency.requests ? r->merged_latency.others_cores : NAN}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (isfinite(parts[i].cores))
            json_object_set_new(o, parts[i].what,
                                json_real(round(100 * parts[i].cores) / 100));
    return o;
}

static int write_rows(const struct run_result *r, const struct session *s,
                      const char *out_dir, struct sink *sink, struct err *err)
{
    int rc = 0;
    for (int i = SPLIT_EVAL; i < SPLIT_GENERAL && !rc; i++)
        if (r->evaluations[i].rows)
            rc = row_file_write(s, i, &r->evaluations[i], out_dir, sink, err);
    return rc;
}

int result_write(const struct run_result *r, const struct session *s,
                 const json_t *environment, const char *out_dir, struct sink *sink,
                 struct err *err)
{
    struct values v = {.count = 0};
    char key[64];
    json_t *root = json_object(), *full = json_deep_copy(environment);
    collect_course(&v, r, s);
    collect_training(&v, r, s);
    collect_memory(&v, s);
    collect_pack(&v, s);
    if ((r->training.updates || r->profile) && !is_packed(s))
        put(&v, "machine/peak_flops_per_s", calibrate_peak(s->backend).flops_per_s,
            false);
    collect_answers(&v, r, s);
    collect_forgetting(&v, r);
    collect_latency(&v, "", &r->latency);
    collect_latency(&v, "merged_", &r->merged_latency);
    collect_latency(&v, "ttft_", &r->first_token);
    collect_latency(&v, "tpot_", &r->each_token);
    put(&v, "time/eval_s", r->eval_s, false);
    if (!r->training.updates)
        put(&v, "time/total_s", clock_mono_s() - r->started_s, false);
    put(&v, "params/trainable", (double)params_count(&s->net.params, true), true);
    put(&v, "params/total", (double)params_count(&s->net.params, false), true);
    for (int i = 0; i < SPLIT_COUNT; i++) {
        snprintf(key, sizeof key, "data/%s_rows", split_names[i]);
        if (s->data[i])
            put(&v, key, (double)s->data[i]->count, true);
    }
    put(&v, "data/truncated_rows", (double)s->truncated_rows, true);
    if (s->goal.task->kind->per_token)
        put(&v, "data/dropped_rows", (double)dropped_rows(s), true);

    json_object_set_new(root, "schema_version", json_integer(1));
    json_object_set(root, "trial", (json_t *)s->trial.json);
    struct method_facts facts;
    specs_method_facts(&s->net, &facts);
    json_object_set_new(root, "method", method_facts_json(&facts));
    put_evaluations(root, r, s);
    for (size_t i = 0; i < v.count; i++) {
        put_nested(root, v.items[i].key, v.items[i].value, v.items[i].whole);
        sink->ops->metric(sink, v.items[i].key, -1, v.items[i].value);
    }
    log_requests(sink, "latency/request_ms", &r->latency);
    log_requests(sink, "latency/merged_request_ms", &r->merged_latency);
    if (json_object_get(root, "machine"))
        json_object_set_new(json_object_get(root, "machine"), "peak_of",
                            json_string(calibrate_peak(s->backend).how));
    put_spikes(root, &r->training.trace);
    if (r->profile)
        json_object_set(root, "profile", r->profile);
    json_object_set_new(root, "labels", label_list(s));
    json_object_set_new(full, "backend", json_string(s->backend->name));
    json_object_set_new(full, "variant", json_string(s->backend->variant));
    json_object_set(full, "sha256", s->hashes);
    json_object_set_new(full, "load", others_load(r));
    json_object_set_new(root, "environment", full);
    sink->ops->environment(sink, full);
    char *path = fs_join(out_dir, "result.json");
    int rc = write_rows(r, s, out_dir, sink, err);
    if (!rc)
        rc = json_write_file(path, root, 1, err);
    free(path);
    json_decref(root);
    return rc;
}

static void log_last_evaluation(const struct run_result *r, const struct session *s,
                                struct sink *sink)
{
    const json_t *list = r->training.evaluations;
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    char key[96];
    for (size_t m = 0; last && m < metric_count; m++) {
        if (!goal_has_metric(&s->goal, m))
            continue;
        snprintf(key, sizeof key, "eval/%s", metric_defs[m].name);
        sink->ops->metric(sink, key, -1, json_get_num(last, metric_defs[m].name, NAN));
    }
}

void result_log_unfinished(const struct run_result *r, const struct session *s,
                           struct sink *sink)
{
    struct values v = {.count = 0};
    collect_course(&v, r, s);
    collect_memory(&v, s);
    collect_pack(&v, s);
    for (size_t i = 0; i < v.count; i++)
        sink->ops->metric(sink, v.items[i].key, -1, v.items[i].value);
    log_last_evaluation(r, s, sink);
}

void result_release(struct run_result *r)
{
    train_outcome_release(&r->training);
    json_decref(r->profile);
    for (int i = 0; i < SPLIT_COUNT; i++)
        evaluation_release(&r->evaluations[i]);
    evaluation_release(&r->general_before);
    latency_release(&r->latency);
    latency_release(&r->merged_latency);
    latency_release(&r->first_token);
    latency_release(&r->each_token);
}
