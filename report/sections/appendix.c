/* report/sections/appendix.c - what is needed to check and repeat: commands,
 * environments, hashes, seeds, failures, formulas, prices, every trial. */
#include "report/sections/appendix.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/page/words.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- hashes of the inputs ---- */

/* {"model": {hash: trials}, "train_data": ...} */
static json_t *input_hashes(const struct report *r)
{
    json_t *out = json_object(), *v;
    const char *key;
    for (size_t i = 0; i < r->data.count; i++) {
        json_t *hashes = json_object_get(r->data.trials[i].environment, "sha256");
        json_object_foreach(hashes, key, v)
        {
            json_t *of = json_object_get(out, key);
            const char *hash = json_string_value(v);
            if (!of)
                json_object_set_new(out, key, of = json_object());
            if (hash)
                json_object_set_new(of, hash,
                                    json_integer(json_get_int(of, hash, 0) + 1));
        }
    }
    return out;
}

static json_t *failures(const struct report *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        if (trial_is_open(t) || trial_is_good(t, &r->settings))
            continue;
        double score = trial_metric(t, metric_of(r));
        const char *reason = *t->reason                   ? t->reason
                             : t->state != TRIAL_complete ? "no reason was given"
                             : isfinite(score)
                                 ? word_f("collapsed: %s %g", metric_of(r), score)
                                 : word_f("no usable %s", metric_of(r));
        json_array_append_new(
            list, json_pack("{s:I, s:s, s:s, s:s, s:I}", "trial", (json_int_t)t->id,
                            "group", r->data.groups.items[t->group].label, "state",
                            trial_state_name(t->state), "reason", reason, "attempts",
                            (json_int_t)t->attempts));
    }
    return list;
}

static json_t *numbers(struct report *r)
{
    json_t *machines = json_array(), *list = failures(r);
    for (size_t i = 0; i < r->data.machines.count; i++)
        json_array_append(machines, r->data.machines.items[i].facts);
    json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:o}", "command",
                          r->options.command ? r->options.command : "peftlab report",
                          "store_rows_sha256", r->data.rows_sha256, "environments",
                          machines, "inputs", input_hashes(r), "failures", list);
    return o;
}

/* ---- page ---- */

/* Line by line, as html_text takes newlines for control characters. */
static void write_lines(const char *text, struct html *h)
{
    char *copy = xstrdup(text), *save = NULL;
    html_open(h, "pre", NULL);
    for (char *line = strtok_r(copy, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        html_text(h, line);
        html_raw(h, "\n");
    }
    html_close(h, "pre");
    free(copy);
}

static void write_commands(const struct report *r, struct html *h)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    struct buf text = BUF_INIT;
    html_el(h, "h3", NULL, "Commands");
    buf_printf(&text, "%s\n", r->options.command ? r->options.command : "peftlab report");
    buf_printf(&text, "peftlab ls --limit %zu", r->data.count);
    if (!v->ranked) {
        write_lines(buf_str(&text), h);
        buf_release(&text);
        return;
    }
    const struct report_trial *best =
        matrix_cell(&r->matrix, r->matrix.main_column, v->ranking[0])->trials[0];
    buf_printf(&text,
               "\npeftlab show %lld   # the leading configuration, seed %lld\n"
               "peftlab train leading.json --out DIR   # the trial below, saved as "
               "leading.json",
               (long long)best->id, (long long)best->seed);
    write_lines(buf_str(&text), h);
    buf_clear(&text);
    json_write(&text, best->config, 1);
    html_fold_open(h, "Resolved trial of the leading configuration");
    write_lines(buf_str(&text), h);
    html_fold_close(h);
    buf_release(&text);
}

static void write_object(const json_t *object, struct html *h)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)object, key, v)
    {
        char *text = json_is_string(v) ? xstrdup(json_string_value(v)) : value_text(v);
        html_row(h);
        html_head_cell(h, "%s", key);
        html_cell(h, "%s",
                  str_has_suffix(key, "_bytes") && json_is_number(v)
                      ? word_bytes(json_number_value(v))
                      : text);
        free(text);
    }
}

static void write_environments(const struct report *r, struct html *h)
{
    for (size_t i = 0; i < r->data.machines.count; i++) {
        size_t n = 0;
        for (size_t t = 0; t < r->data.count; t++)
            n += r->data.trials[t].machine == i;
        const json_t *facts = r->data.machines.items[i].facts;
        if (json_object_size(facts) == 0) {
            html_el(h, "p", "note", "Environment %zu: not recorded, %s.", i + 1,
                    word_plural(n, "trial"));
            continue;
        }
        char hash[SHA256_HEX];
        sha256_hex(r->data.machines.items[i].id, strlen(r->data.machines.items[i].id),
                   hash);
        html_table_open(h, "narrow",
                        word_f("Environment %zu, %s, fingerprint %.12s", i + 1,
                               word_plural(n, "trial"), hash),
                        "What|Value");
        write_object(facts, h);
        html_table_close(h);
    }
}

static void write_inputs(const json_t *inputs, struct html *h)
{
    const char *key, *hash;
    json_t *of, *n;
    if (json_object_size(inputs) == 0) {
        html_el(h, "p", "note", "Hashes of model and data were not recorded.");
        return;
    }
    html_table_open(h, NULL, "Model and data", "Input|SHA-256|>Trials");
    json_object_foreach((json_t *)inputs, key, of)
    {
        json_object_foreach(of, hash, n)
        {
            html_row(h);
            html_head_cell(h, "%s", key);
            html_raw(h, "<td><code>");
            html_text(h, hash);
            html_raw(h, "</code></td>");
            html_number(h, "%lld", (long long)json_integer_value(n));
        }
    }
    html_table_close(h);
}

/* The page stays below a megabyte: of a large sweep the first trials are listed, by bytes,
 * as names may be long. */
enum {
    MAX_LISTED = 1500,
    MAX_TRIAL_BYTES = 250000,
    MAX_FAILURE_BYTES = 60000,
    MAX_DIFFERENCES = 60
};

static void write_failures(const json_t *list, struct html *h)
{
    const json_t *f;
    size_t i;
    if (json_array_size(list) == 0)
        return;
    html_fold_open(h, "%s", word_plural(json_array_size(list), "failed trial"));
    html_table_open(h, NULL, NULL, ">Trial|Configuration|State|>Attempts|Reason");
    size_t end = h->out.len + MAX_FAILURE_BYTES;
    json_array_foreach((json_t *)list, i, f)
    {
        if (h->out.len > end)
            break;
        html_row(h);
        html_number(h, "%lld", (long long)json_get_int(f, "trial", 0));
        html_cell(h, "%s", json_get_str(f, "group", ""));
        html_cell(h, "%s", json_get_str(f, "state", ""));
        html_number(h, "%lld", (long long)json_get_int(f, "attempts", 0));
        html_cell(h, "%.300s", json_get_str(f, "reason", ""));
    }
    html_table_close(h);
    if (i < json_array_size(list))
        html_el(h, "p", "note", "%zu more are in the store.", json_array_size(list) - i);
    html_fold_close(h);
}

struct place {
    size_t trial;
    double score, seconds;
};

static int by_score(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (isnan(x->score) != isnan(y->score)) /* what has none comes last */
        return isnan(x->score) ? 1 : -1;
    return x->score != y->score && !isnan(x->score)
               ? (x->score > y->score ? -1 : 1)
               : (x->trial > y->trial) - (x->trial < y->trial);
}

static int by_seconds(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->seconds != y->seconds ? (x->seconds < y->seconds ? -1 : 1)
                                    : (x->trial > y->trial) - (x->trial < y->trial);
}

/* places[3 i + k]: where the i-th trial stands by trial, score (best first), seconds. */
static size_t *trial_places(const struct report *r, size_t count)
{
    int (*const orders[])(const void *, const void *) = {by_score, by_seconds};
    double sign = r->settings.rules.minimize ? -1 : 1;
    struct place *p = xcalloc(count + 1, sizeof *p);
    size_t *places = xcalloc(3 * count + 1, sizeof *places);
    for (size_t k = 0; k < ARRAY_LEN(orders); k++) {
        for (size_t i = 0; i < count; i++)
            p[i] =
                (struct place){i, sign * trial_metric(&r->data.trials[i], metric_of(r)),
                               r->data.trials[i].spent_s};
        qsort(p, count, sizeof *p, orders[k]);
        for (size_t i = 0; i < count; i++)
            places[3 * p[i].trial + k + 1] = i;
    }
    free(p);
    return places;
}

static void write_trial(const struct report *r, const struct report_trial *t,
                        struct html *h)
{
    double delta = r->settings.rules.delta;
    html_number(h, "%lld", (long long)t->id);
    html_cell(h, "%s", r->data.groups.items[t->group].label);
    html_cell(h, "%s", r->data.variants.items[t->variant].label);
    html_cell(h, "%s", r->data.columns.items[t->column].label);
    html_number(h, "%lld", (long long)t->seed);
    html_cell(h, "%s", trial_state_name(t->state));
    html_number(h, "%s", word_score(trial_metric(t, metric_of(r)), delta / 10));
    html_number(h, "%s",
                word_score(trial_metric(t, r->settings.select_metric), delta / 10));
    html_number(h, "%s", word_bytes(trial_metric(t, r->settings.memory_key)));
    html_number(h, "%s", word_ms(trial_metric(t, "latency/p50_ms")));
    html_number(h, "%.1f", t->spent_s);
    html_cell(h, "%zu", t->machine + 1);
    html_cell(h, "%.10s", t->key);
}

static void write_trials(const struct report *r, struct html *h)
{
    size_t listed = r->data.count < MAX_LISTED ? r->data.count : MAX_LISTED;
    size_t *places = trial_places(r, listed);
    html_fold_open(h, "Every trial");
    html_sorted_open(h, "trials", "fine", NULL,
                     word_f("trial|%s, best first|seconds", metric_of(r)),
                     word_f(">Trial|Group|Variant|Rows|>Seed|State|>%s|>%s|>Memory|>p50, "
                            "ms|>Seconds|Env|Key",
                            metric_of(r), r->settings.select_metric));
    size_t shown = 0, end = h->out.len + MAX_TRIAL_BYTES;
    for (size_t i = 0; i < listed && h->out.len < end; i++, shown++) {
        html_row_ranked(h, &places[3 * i], 3);
        write_trial(r, &r->data.trials[i], h);
    }
    html_sorted_close(h);
    free(places);
    if (shown < r->data.count)
        html_el(h, "p", "note", "%zu more are in the store.", r->data.count - shown);
    html_fold_close(h);
}

/* What every configuration has other than the leader. */
static void write_differences(const struct report *r, struct html *h)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    const struct report_cell *leader = report_leader(r);
    if (!leader || v->ranked < 2)
        return;
    const json_t *mine = leader->trials[0]->params;
    html_fold_open(h, "Differences to the leading configuration");
    html_table_open(h, "fine", NULL, "Configuration|Parameter: value (leader's)");
    for (size_t i = 1; i < v->ranked && i <= MAX_DIFFERENCES; i++) {
        const struct report_cell *c =
            matrix_cell(&r->matrix, r->matrix.main_column, v->ranking[i]);
        json_t *all = json_copy((json_t *)mine), *none;
        const char *key;
        size_t shown = 0;
        json_object_update(all, c->trials[0]->params);
        html_row(h);
        html_head_cell(h, "%s", r->data.groups.items[c->group].label);
        html_raw(h, "<td>");
        json_object_foreach(all, key, none)
        {
            const json_t *a = json_object_get(mine, key),
                         *b = json_object_get(c->trials[0]->params, key);
            if (str_eq(key, "seed") || (a && b && json_equal((json_t *)a, (json_t *)b)))
                continue;
            char *was = value_text(a), *is = value_text(b);
            html_textf(h, "%s%s: %s (%s)", shown++ ? "; " : "", key, is, was);
            free(was);
            free(is);
        }
        html_raw(h, "</td>");
        json_decref(all);
    }
    html_table_close(h);
    html_fold_close(h);
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    write_commands(r, h);
    write_differences(r, h);
    html_fold_open(h, "Environments and inputs");
    write_environments(r, h);
    write_inputs(json_object_get(n, "inputs"), h);
    html_fold_close(h);
    write_failures(json_object_get(n, "failures"), h);
    write_formulas(r, h);
    write_prices(r, h);
    write_gpu_data(r, h);
    write_trials(r, h);
    html_el(h, "p", "note",
            "SHA-256 of the store rows read (trials, summaries and runs as "
            "canonical JSON): %s. To check this page: peftlab report verify FILE --store "
            "STORE.",
            r->data.rows_sha256);
}

const struct section section_appendix = {"appendix", "Reproducibility appendix", numbers,
                                         write};
