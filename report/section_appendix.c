/* report/section_appendix.c - what is needed to check and repeat: commands, environments,
 * hashes, seeds, failures, formulas, prices, every trial. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost.h"
#include "report/words.h"
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
    html_raw(h, "<details><summary>Resolved trial of the leading "
                "configuration</summary>\n");
    write_lines(buf_str(&text), h);
    html_raw(h, "</details>\n");
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

static void write_failures(const json_t *list, struct html *h)
{
    const json_t *f;
    size_t i;
    html_el(h, "h3", NULL, "Failed trials");
    if (json_array_size(list) == 0) {
        html_el(h, "p", NULL, "None.");
        return;
    }
    html_table_open(h, NULL, NULL, ">Trial|Configuration|State|>Attempts|Reason");
    json_array_foreach((json_t *)list, i, f)
    {
        html_row(h);
        html_number(h, "%lld", (long long)json_get_int(f, "trial", 0));
        html_cell(h, "%s", json_get_str(f, "group", ""));
        html_cell(h, "%s", json_get_str(f, "state", ""));
        html_number(h, "%lld", (long long)json_get_int(f, "attempts", 0));
        html_cell(h, "%.300s", json_get_str(f, "reason", ""));
    }
    html_table_close(h);
}

static void write_formulas(const struct report *r, struct html *h)
{
    static const char *const lines[] = {
        "Mean over seeds ± t(.975, n − 1) · s / √n. Failed seeds are a rate with a "
        "Wilson "
        "interval, never part of a mean.",
        "Pairs: paired t over shared good seeds (at least 3), else Welch (at least 2 "
        "each), "
        "else not compared. p adjusted by Holm over all pairs of a column.",
        "better: adjusted p < .05 and difference ≥ δ. equivalent: 90 % interval inside "
        "(−δ, "
        "δ). Else undecided. Where one was tried in at least twice as many variants, "
        "better "
        "must hold at equal effort.",
        "Seeds needed: the smallest n with t(1 − .025 / pairs, n − 1) + z(.8) ≤ √n · d / "
        "s, "
        "s the s.d. of paired differences; "
        "for equivalence t(.95, n − 1) and d = δ − |difference|.",
        "Visible by evaluation rows: (z(.975) + z(.8)) · √(2 p (1 − p) / N), unpaired.",
        "Run cost here: seconds · threads · price per core and hour / 3600. GPU: price · "
        "(set-up + FLOPs / (peak · share)) / 3600.",
        "Request on a GPU: max(weight bytes at 16 bit / (bandwidth · share), FLOPs / "
        "(peak · "
        "share)) + launches. Forward FLOPs per row: the leanest of training FLOPs per "
        "row "
        "over 1 (head), 2 (inside the model) or 3 (full).",
    };
    html_el(h, "h3", NULL, "Formulas");
    html_open(h, "ul", NULL);
    html_el(h, "li", NULL, "δ = %g%s, goal %s%s.", r->settings.rules.delta,
            r->settings.delta_chosen ? " (default)" : "",
            r->settings.rules.minimize ? "minimize" : "maximize",
            isnan(r->settings.rules.collapse)
                ? ""
                : word_f(", collapsed at %g", r->settings.rules.collapse));
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        html_el(h, "li", NULL, "%s", lines[i]);
    html_close(h, "ul");
}

/* The number of a source in the list, added when it is new. */
static size_t cite(json_t *sources, const char *source)
{
    const json_t *s;
    size_t i;
    json_array_foreach(sources, i, s)
    {
        if (str_eq(json_string_value(s), source))
            return i + 1;
    }
    json_array_append_new(sources, json_string(source));
    return json_array_size(sources);
}

static void write_sources(const json_t *sources, struct html *h)
{
    const json_t *s;
    size_t i;
    html_open(h, "ol", "note");
    json_array_foreach((json_t *)sources, i, s)
    {
        html_el(h, "li", NULL, "%s", json_string_value(s));
    }
    html_close(h, "ol");
}

static void write_prices(const struct report *r, struct html *h)
{
    json_t *sources = json_array();
    html_raw(h, "<details><summary>Price rows used</summary>\n");
    html_table_open(h, "fine", "Prices, as dated scenarios",
                    "GPU|>USD per GPU and hour|Vendor|Instance|Tier|Region|Read "
                    "on|Trust|>Source");
    for (size_t i = 0; i < r->catalog.price_count; i++) {
        const struct price *p = &r->catalog.prices[i];
        bool stale = price_age_days(p, r->data.last_ms) > PRICE_STALE_DAYS;
        html_row(h);
        html_head_cell(h, "%s", p->gpu);
        html_number(h, "%g", p->usd_per_gpu_hour);
        html_cell(h, "%s", p->vendor);
        html_cell(h, "%s", p->instance);
        html_cell(h, "%s", p->tier);
        html_cell(h, "%s", p->region);
        html_cell(h, "%s%s", p->read_on, stale ? ", stale" : "");
        html_cell(h, "%s", p->trust);
        html_number(h, "%zu", cite(sources, p->source));
    }
    html_table_close(h);
    write_sources(sources, h);
    html_raw(h, "</details>\n");
    json_decref(sources);
}

static void write_gpu_data(const struct report *r, struct html *h)
{
    static const char *const fields[] = {"memory_gb",   "bandwidth_gb_s", "fp32_tflops",
                                         "fp16_tflops", "bf16_tflops",    "watts"};
    json_t *sources = json_array();
    html_raw(h, "<details><summary>GPU data used</summary>\n");
    html_table_open(h, "fine", "Peak rates of GPUs, with status and source per field",
                    "GPU|>GB|>GB/s|>FP32, TFLOP/s|>FP16|>BF16|>W");
    for (size_t i = 0; i < r->catalog.gpu_count; i++) {
        html_row(h);
        html_head_cell(h, "%s", r->catalog.gpus[i].name);
        for (size_t k = 0; k < ARRAY_LEN(fields); k++) {
            const json_t *f = json_object_get(r->catalog.gpus[i].row, fields[k]);
            html_raw(h, "<td class=\"num\">");
            html_textf(h, "%g", json_get_num(f, "value", NAN));
            html_el(h, "small", NULL, "%s [%zu]", json_get_str(f, "status", ""),
                    cite(sources, json_get_str(f, "source", "")));
            html_raw(h, "</td>");
        }
    }
    html_table_close(h);
    write_sources(sources, h);
    html_raw(h, "</details>\n");
    json_decref(sources);
}

/* The page stays below a megabyte: of a large sweep the first trials are listed. */
enum { MAX_LISTED = 1500 };

static void write_trials(const struct report *r, struct html *h)
{
    size_t listed = r->data.count < MAX_LISTED ? r->data.count : MAX_LISTED;
    double delta = r->settings.rules.delta;
    html_raw(h, "<details><summary>Every trial</summary>\n");
    html_table_open(h, "fine", NULL,
                    word_f(">Trial|Group|Variant|Rows|>Seed|State|>%s|>%s|>Memory|>p50, "
                           "ms|>Seconds|Env|Key",
                           metric_of(r), r->settings.select_metric));
    for (size_t i = 0; i < listed; i++) {
        const struct report_trial *t = &r->data.trials[i];
        html_row(h);
        html_number(h, "%lld", (long long)t->id);
        html_cell(h, "%s", r->data.groups.items[t->group].label);
        html_cell(h, "%s", r->data.variants.items[t->variant].label);
        html_cell(h, "%s", r->data.columns.items[t->column].label);
        html_number(h, "%lld", (long long)t->seed);
        html_cell(h, "%s", trial_state_name(t->state));
        html_number(h, "%s", word_score(trial_metric(t, metric_of(r)), delta / 10));
        html_number(h, "%s",
                    word_score(trial_metric(t, r->settings.select_metric), delta / 10));
        html_number(h, "%s", word_bytes(trial_metric(t, "mem/planned_bytes")));
        html_number(h, "%s", word_ms(trial_metric(t, "latency/p50_ms")));
        html_number(h, "%.1f", t->spent_s);
        html_cell(h, "%zu", t->machine + 1);
        html_cell(h, "%.10s", t->key);
    }
    html_table_close(h);
    if (listed < r->data.count)
        html_el(h, "p", "note", "%zu more are in the store.", r->data.count - listed);
    html_raw(h, "</details>\n");
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    write_commands(r, h);
    html_el(h, "h3", NULL, "Environments and inputs");
    write_environments(r, h);
    write_inputs(json_object_get(n, "inputs"), h);
    write_failures(json_object_get(n, "failures"), h);
    write_formulas(r, h);
    write_prices(r, h);
    write_gpu_data(r, h);
    write_trials(r, h);
    html_el(h, "p", "note",
            "SHA-256 of the store rows read (trials, summaries and runs as "
            "canonical JSON): %s",
            r->data.rows_sha256);
}

const struct section section_appendix = {"appendix", "To repeat it", numbers, write};
