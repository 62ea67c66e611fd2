/* sweep/plan.c - from combinations to trials with keys and predictions. */
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/sweep.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_SHARE 0.9 /* of what this machine allows */

static void hash_params(const json_t *params, char key[65])
{
    struct buf text = BUF_INIT;
    json_t *copy = json_copy((json_t *)params);
    json_object_del(copy, "seed");
    json_configuration(&text, copy);
    sha256_hex(buf_str(&text), text.len, key);
    json_decref(copy);
    buf_release(&text);
}

/* Puts the combination, by what tells it apart, in front of the trainer's message. */
static int trial_failed(const struct sweep_plan *p, const json_t *params, struct err *err)
{
    struct sweep_labels labels;
    struct buf text = BUF_INIT;
    sweep_labels_init(&labels, p->file, p->space.combinations, p->space.count, false);
    sweep_label(&labels, params, p->file->seeds[0], &text);
    int rc = err_context(err, "sweep file '%s': trial %.400s: ", conf_name(p->file->conf),
                         buf_str(&text));
    sweep_labels_release(&labels);
    buf_release(&text);
    return rc;
}

int sweep_plan_trial(const struct sweep_plan *p, const struct sweep_hooks *hooks,
                     json_t *params, uint64_t seed, struct sweep_trial *out,
                     struct err *err)
{
    *out = (struct sweep_trial){
        .params = params, .seed = seed, .peak_bytes = -1, .seconds = NAN};
    json_t *given = json_copy(params);
    if (p->file->names_seed && json_object_get(given, "seed"))
        out->seed = (uint64_t)json_get_int(given, "seed", 0);
    else
        json_object_set_new(given, "seed", json_integer((json_int_t)seed));
    if (!p->file->names_model) {
        hash_params(params, out->key);
        out->resolved = given;
        return 0;
    }
    int rc = hooks->resolve(given, &out->resolved, err);
    json_decref(given);
    if (rc < 0)
        return trial_failed(p, params, err);
    hooks->key(out->resolved, out->key);
    return 0;
}

static double left_by_others(struct sweep_plan *p, const struct sweep_prediction *found)
{
    const size_t n = strlen(found->shared);
    int64_t known;
    if (!(found->shared_s > 0 && found->shared_s < found->seconds))
        return 0;
    if (!p->shared)
        p->shared = strmap_new();
    if (strmap_get(p->shared, found->shared, n, &known))
        return found->shared_s;
    strmap_put(p->shared, found->shared, n, 1);
    return 0;
}

int sweep_plan_predict(struct sweep_plan *p, const struct sweep_hooks *hooks,
                       struct sweep_trial *t, struct err *err)
{
    if (!p->file->names_model || !hooks->predict)
        return 0;
    struct sweep_prediction found;
    if (hooks->predict(t->resolved, p->file->base_dir, &found, err) < 0)
        return trial_failed(p, t->params, err);
    t->peak_bytes = found.peak_bytes;
    t->common = found.common;
    const double others = left_by_others(p, &found);
    t->seconds = found.seconds - others;
    p->shared_s += others;
    t->updates = found.updates;
    t->updates_per_epoch = found.updates_per_epoch;
    return 0;
}

/* All seeds of one combination, unless an earlier one resolved to the same. */
static int add_combination(struct sweep_plan *p, const struct sweep_hooks *hooks,
                           json_t *params, bool predict, struct strmap *keys,
                           struct err *err)
{
    for (size_t k = 0; k < p->file->seed_count; k++) {
        struct sweep_trial *t = &p->trials[p->count];
        char seeded[96];
        int64_t known;
        int rc = sweep_plan_trial(p, hooks, params, p->file->seeds[k], t, err);
        if (rc < 0)
            return rc;
        snprintf(seeded, sizeof seeded, "%s %llu", t->key, (unsigned long long)t->seed);
        if (strmap_get(keys, seeded, strlen(seeded), &known)) {
            json_decref(t->resolved);
            p->coincided += k == 0;
            continue;
        }
        strmap_put(keys, seeded, strlen(seeded), 1);
        p->count++;
        p->combinations += k == 0;
        if (predict && (rc = sweep_plan_predict(p, hooks, t, err)) < 0)
            return rc;
    }
    return 0;
}

static void add_up(struct sweep_plan *p)
{
    p->total_s = p->count ? 0 : NAN;
    p->peak_bytes = -1;
    for (size_t i = 0; i < p->count; i++) {
        p->total_s += p->trials[i].seconds;
        if (p->trials[i].peak_bytes > p->peak_bytes)
            p->peak_bytes = p->trials[i].peak_bytes;
    }
}

int sweep_plan_make(const struct sweep_file *f, const struct sweep_hooks *hooks,
                    bool predict, struct sweep_plan *out, struct err *err)
{
    *out = (struct sweep_plan){.file = f};
    int rc = sweep_space_expand(f, &out->space, err);
    if (rc < 0)
        return rc;
    if ((double)out->space.count * (double)f->seed_count > SPACE_ROWS_MAX) {
        rc = sweep_file_error(f, "seeds", err, "more than %d trials", SPACE_ROWS_MAX);
        sweep_space_release(&out->space);
        return rc;
    }
    struct strmap *keys = strmap_new();
    out->trials = xcalloc(out->space.count * f->seed_count + 1, sizeof *out->trials);
    out->coincided = out->space.merged;
    out->excluded = out->space.raw - out->space.after_exclude;
    for (size_t i = 0; i < out->space.count && rc == 0; i++)
        rc = add_combination(out, hooks, out->space.combinations[i], predict, keys, err);
    strmap_free(keys);
    add_up(out);
    if (rc < 0)
        sweep_plan_release(out);
    return rc;
}

void sweep_plan_release(struct sweep_plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        json_decref(p->trials[i].resolved);
    free(p->trials);
    if (p->shared)
        strmap_free(p->shared);
    sweep_space_release(&p->space);
    *p = (struct sweep_plan){0};
}

int sweep_jobs(const struct sweep_file *f, int flag, int *threads)
{
    int cores = proc_cpu_count(), jobs = flag > 0 ? flag : f->parallel;
    if (jobs <= 0)
        jobs = cores;
    *threads = cores / jobs > 1 ? cores / jobs : 1;
    return jobs;
}

int64_t sweep_memory_bytes(const struct sweep_file *f)
{
    return f->gpus ? INT64_MAX
                   : (int64_t)(MEMORY_SHARE * (double)proc_memory_limit_bytes());
}

double sweep_plan_wall_s(const struct sweep_plan *p, int jobs)
{
    double *free_at = xcalloc((size_t)jobs, sizeof *free_at), end = p->total_s;
    for (size_t i = 0; i < p->count && isfinite(p->total_s); i++) {
        int first = 0;
        for (int j = 1; j < jobs; j++)
            first = free_at[j] < free_at[first] ? j : first;
        free_at[first] += p->trials[i].seconds;
        end = i == 0 || free_at[first] > end ? free_at[first] : end;
    }
    free(free_at);
    return end;
}

static json_t *bytes_or_null(int64_t bytes)
{
    return bytes >= 0 ? json_integer(bytes) : json_null();
}

static json_t *seconds_or_null(double s)
{
    return isfinite(s) ? json_real(s) : json_null();
}

json_t *sweep_plan_json(const struct sweep_plan *p, int jobs)
{
    json_t *trials = json_array();
    for (size_t i = 0; i < p->count; i++) {
        const struct sweep_trial *t = &p->trials[i];
        json_array_append_new(
            trials, json_pack("{s:o, s:I, s:s, s:o, s:o}", "params",
                              secret_json(t->params), "seed", (json_int_t)t->seed, "key",
                              t->key, "peak_bytes", bytes_or_null(t->peak_bytes),
                              "predicted_s", seconds_or_null(t->seconds)));
    }
    const struct sweep_space *s = &p->space;
    json_t *total = json_pack(
        "{s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:i, s:o, s:o, s:o}", "trials",
        (json_int_t)p->count, "combinations", (json_int_t)p->combinations, "product",
        s->product, "raw", (json_int_t)s->raw, "unique_before_exclude",
        (json_int_t)s->unique_raw, "after_exclude", (json_int_t)s->after_exclude,
        "new_by_include", (json_int_t)s->new_by_include, "jobs", jobs, "peak_bytes",
        bytes_or_null(p->peak_bytes), "predicted_s", seconds_or_null(p->total_s),
        "wall_s", seconds_or_null(sweep_plan_wall_s(p, jobs)));
    if (p->shared_s > 0)
        json_object_set_new(total, "shared_s", json_real(p->shared_s));
    if (p->file->until.goal)
        json_object_set_new(total, "trials_least",
                            json_integer((json_int_t)sweep_plan_least(p)));
    return json_pack("{s:i, s:s, s:o, s:I, s:I, s:o}", "schema_version", 1, "name",
                     p->file->name, "trials", trials, "coincided",
                     (json_int_t)p->coincided, "excluded", (json_int_t)p->excluded,
                     "total", total);
}

static void print_rows(const struct sweep_plan *p, FILE *f)
{
    static const char *const headings[] = {"#", "trial", "peak memory", "time"};
    struct text_table *table = text_table_new(headings, "rlrr", ARRAY_LEN(headings));
    struct sweep_labels labels;
    sweep_labels_init(&labels, p->file, p->space.combinations, p->space.count,
                      p->file->seed_count > 1);
    for (size_t i = 0; i < p->count; i++) {
        const struct sweep_trial *t = &p->trials[i];
        char number[24], bytes[32] = "?", seconds[32] = "?";
        struct buf label = BUF_INIT;
        snprintf(number, sizeof number, "%zu", i + 1);
        sweep_label(&labels, t->params, t->seed, &label);
        if (t->peak_bytes >= 0)
            str_bytes(bytes, sizeof bytes, (double)t->peak_bytes);
        if (isfinite(t->seconds))
            str_duration(seconds, sizeof seconds, t->seconds);
        text_table_row(table, (const char *[]){number, buf_str(&label), bytes, seconds});
        buf_release(&label);
    }
    text_table_print(table, f);
    text_table_free(table);
    sweep_labels_release(&labels);
}

void sweep_plan_print(const struct sweep_plan *p, int jobs, FILE *f)
{
    char a[32], b[32];
    print_rows(p, f);
    putc('\n', f);
    sweep_plan_words(p, p->file->interleave, f);
    text_print(f, "%zu trials: %zu combinations x %zu seed%s", p->count, p->combinations,
               p->file->seed_count, p->file->seed_count == 1 ? "" : "s");
    fprintf(f, " (%zu coincided, %zu excluded)\n", p->coincided, p->excluded);
    if (p->file->max_trials && (size_t)p->file->max_trials < p->count &&
        !p->file->until.goal)
        fprintf(f, "budget.max_trials: only the first %lld will run\n",
                (long long)p->file->max_trials);
    if (p->peak_bytes >= 0)
        text_print(f, "peak memory of the largest trial: %s\n",
                   str_bytes(a, sizeof a, (double)p->peak_bytes));
    if (isfinite(p->total_s))
        text_print(
            f, "time on this machine: %s%s with %d at a time (%s of training in all)\n",
            p->file->until.goal ? "at most " : "",
            str_duration(a, sizeof a, sweep_plan_wall_s(p, jobs)), jobs,
            str_duration(b, sizeof b, p->total_s));
    if (p->shared_s > 0)
        text_print(f,
                   "%s less than by themselves: what frozen layers give for a row is "
                   "computed once for all (cache_features)\n",
                   str_duration(a, sizeof a, p->shared_s));
}
