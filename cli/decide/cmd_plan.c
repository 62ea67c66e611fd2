/* cli/decide/cmd_plan.c - `peftlab plan`: what a trial or sweep file will take, before
 * anything runs: bytes by category, time, cost, what fits.
 *
 * Bytes come from plan_item.h; time on a GPU is predicted, always, and so is what
 * transformers and peft take there. For one base, or the largest trial of a file, on one
 * named GPU there is more: card.h. */
#include "cli/command.h"
#include "cli/decide/card.h"
#include "cli/decide/plan_file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "report/machine/machine.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 256
#define USABLE    0.95 /* of a device's memory */

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "model", .type = OPT_STRING, .metavar = "NAME",
     .help = "no file: this base, a folder or a known name (llama-2-7b, ...), with the "
             "keys that follow", .group = "what"},
    {.key = "gpu", .type = OPT_STRING, .metavar = "NxNAME",
     .help = "time, cost, fit and the largest row and batch there, as rtx4090 or "
             "2xa100-40 (default: every GPU known; with --model this machine)",
     .group = "what"},
    {.key = "gpus", .type = OPT_PATH, .metavar = "FILE",
     .help = "catalogue of GPUs (default: built in)", .group = "what"},
    {.key = "prices", .type = OPT_PATH, .metavar = "FILE",
     .help = "prices of GPUs (default: built in, dated)", .group = "what"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table table = {"plan", options, ARRAY_LEN(options)};

struct plan {
    const char *path;
    struct plan_file file;
    struct catalog catalog;
    struct machine *machines; /* to predict for */
    size_t machine_count;
};

/* --- GPUs --- */

static int choose_machines(struct plan *p, const char *gpu, struct err *err)
{
    p->machines = xcalloc(p->catalog.gpu_count + 1, sizeof *p->machines);
    if (gpu) {
        p->machine_count = 1;
        return machine_parse(&p->catalog, gpu, p->machines, err);
    }
    for (size_t i = 0; i < p->catalog.gpu_count; i++)
        p->machines[p->machine_count++] = (struct machine){&p->catalog.gpus[i], 1};
    return 0;
}

enum fit { FITS, SHARDED, TIGHT, NO };
static const char *const fit_words[] = {"fits", "sharded", "tight", "no"};

/* Sharded: only with the parameters divided over the GPUs; tight: only with a lean
 * stack. */
static enum fit fit_on(const struct plan_item *it, const struct machine *m)
{
    const double room = USABLE * m->gpu->memory_bytes;
    const struct estimate *peft = &it->gpu[STACK_PEFT];
    if (peft->peak <= room)
        return FITS;
    if (m->count > 1 &&
        estimate_sharded_peak(&it->base->shape, &it->setup, peft, m->count) <= room)
        return SHARDED;
    return it->gpu[STACK_LEAN].peak <= room ? TIGHT : NO;
}

static struct estimate_range seconds_on(const struct plan_item *it,
                                        const struct machine *m)
{
    return estimate_seconds(&it->setup, &it->estimate, m->gpu, m->count,
                            fit_on(it, m) == SHARDED, it->tokens);
}

static struct estimate_range usd_on(const struct plan *p, const struct machine *m,
                                    struct estimate_range seconds)
{
    const struct price_range price = catalog_range(&p->catalog, m->gpu->name);
    const double hours = m->count / 3600.0;
    return (struct estimate_range){seconds.low * hours * price.low,
                                   seconds.base * hours * price.base,
                                   seconds.high * hours * price.high};
}

/* Of all trials one after another. */
struct total {
    struct estimate_range seconds, usd;
    size_t fits[NO + 1];
};

static struct total total_on(const struct plan *p, const struct machine *m)
{
    struct total t = {0};
    for (size_t i = 0; i < p->file.count; i++) {
        struct estimate_range s = seconds_on(&p->file.items[i], m);
        t.seconds.low += s.low;
        t.seconds.base += s.base;
        t.seconds.high += s.high;
        t.fits[fit_on(&p->file.items[i], m)]++;
    }
    t.usd = usd_on(p, m, t.seconds);
    return t;
}

/* --- JSON --- */

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *whole_or_null(double v)
{
    return isfinite(v) ? json_integer((json_int_t)llround(v)) : json_null();
}

static json_t *range_json(struct estimate_range r)
{
    return json_pack("{s:o, s:o, s:o}", "low", real_or_null(r.low), "base",
                     real_or_null(r.base), "high", real_or_null(r.high));
}

static json_t *item_json(const struct plan *p, const struct plan_item *it)
{
    const struct estimate *e = &it->estimate;
    json_t *bytes = json_object(), *gpus = json_array();
    for (int i = 0; i < EST_COUNT; i++)
        if (e->bytes[i] > 0)
            json_object_set_new(bytes, estimate_names[i], whole_or_null(e->bytes[i]));
    for (size_t i = 0; i < p->machine_count; i++) {
        const struct machine *m = &p->machines[i];
        const struct estimate_range seconds = seconds_on(it, m);
        json_array_append_new(gpus, json_pack("{s:s, s:i, s:s, s:o, s:o}", "gpu",
                                              m->gpu->name, "count", m->count, "fit",
                                              fit_words[fit_on(it, m)], "train_s",
                                              range_json(seconds), "usd",
                                              range_json(usd_on(p, m, seconds))));
    }
    return json_pack(
        "{s:O, s:I, s:s, s:b, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o}",
        "params", it->params, "seed", (json_int_t)it->seed, "basis",
        it->exact ? "planned" : "predicted", "has_weights", it->has_weights,
        "assumed_row_tokens",
        it->assumed_length ? json_integer(it->assumed_length) : json_null(), "rows_known",
        it->rows_known, "bytes", bytes, "total_bytes", whole_or_null(e->peak),
        "peft_bytes", whole_or_null(it->gpu[STACK_PEFT].peak), "lean_bytes",
        whole_or_null(it->gpu[STACK_LEAN].peak), "trainable_parameters",
        whole_or_null(e->trainable), "adapter_bytes", whole_or_null(e->adapter_bytes),
        "updates", whole_or_null(it->updates), "tokens", whole_or_null(it->tokens),
        "flops", real_or_null(e->flops_per_token * it->tokens), "train_s",
        real_or_null(it->train_s), "total_s", real_or_null(it->total_s), "gpus", gpus);
}

static double total_here(const struct plan *p)
{
    double s = 0;
    for (size_t i = 0; i < p->file.count; i++)
        s += p->file.items[i].total_s;
    return s;
}

static void print_json(const struct plan *p)
{
    json_t *trials = json_array(), *gpus = json_array();
    for (size_t i = 0; i < p->file.count; i++)
        json_array_append_new(trials, item_json(p, &p->file.items[i]));
    for (size_t i = 0; i < p->machine_count; i++) {
        const struct machine *m = &p->machines[i];
        struct total t = total_on(p, m);
        json_array_append_new(
            gpus,
            json_pack("{s:s, s:i, s:f, s:I, s:I, s:I, s:o, s:o}", "gpu", m->gpu->name,
                      "count", m->count, "memory_bytes", m->gpu->memory_bytes, "fit",
                      (json_int_t)t.fits[FITS], "sharded", (json_int_t)t.fits[SHARDED],
                      "tight", (json_int_t)t.fits[TIGHT], "train_s",
                      range_json(t.seconds), "usd", range_json(t.usd)));
    }
    json_t *all = json_pack(
        "{s:i, s:s, s:s, s:o, s:{s:I, s:o, s:o, s:I, s:o}}", "schema_version", 1, "file",
        p->path, "kind", p->file.sweep ? "sweep" : "trial", "trials", trials, "total",
        "trials", (json_int_t)p->file.count, "peak_bytes",
        p->file.count ? whole_or_null(plan_file_largest(&p->file)->estimate.peak)
                      : json_null(),
        "this_machine_s", real_or_null(total_here(p)), "this_machine_bytes",
        (json_int_t)proc_memory_limit_bytes(), "gpus", gpus);
    command_print_json(all);
}

/* --- text --- */

static char *duration(double s, char *out, size_t n)
{
    if (isfinite(s))
        return str_duration(out, n, s);
    snprintf(out, n, "?");
    return out;
}

static void print_trials(const struct plan *p)
{
    static const char *const headings[] = {"#", "trial", "peak memory", "trained",
                                           "time here"};
    struct text_table *t = text_table_new(headings, "rlrrr", ARRAY_LEN(headings));
    for (size_t i = 0; i < p->file.count; i++) {
        const struct plan_item *it = &p->file.items[i];
        char number_text[24], bytes[32], trained[32], seconds[32];
        snprintf(number_text, sizeof number_text, "%zu", i + 1);
        snprintf(trained, sizeof trained, "%.0f", it->estimate.trainable);
        text_table_row(
            t, (const char *[]){number_text, it->label,
                                str_bytes(bytes, sizeof bytes, it->estimate.peak),
                                trained, duration(it->total_s, seconds, sizeof seconds)});
    }
    text_table_print(t, stdout);
    text_table_free(t);
}

static void print_largest(const struct plan *p)
{
    const struct plan_item *it = plan_file_largest(&p->file);
    char bytes[32];
    text_print(stdout, "\n%s takes %s%s:\n", p->file.count > 1 ? "the largest" : "it",
               str_bytes(bytes, sizeof bytes, it->estimate.peak),
               it->exact ? ", planned to the byte"
                         : " (predicted; transformers and peft)");
    for (int i = 0; i < EST_COUNT; i++)
        if (it->estimate.bytes[i] > 0)
            text_print(stdout, "  %-12s %12s\n", estimate_names[i],
                       str_bytes(bytes, sizeof bytes, it->estimate.bytes[i]));
    if (!it->exact)
        text_print(stdout, "  with fused kernels and a chunked loss: %s\n",
                   str_bytes(bytes, sizeof bytes, it->gpu[STACK_LEAN].peak));
    if (it->assumed_length)
        text_print(stdout, "assumed: every row has %d tokens%s\n", it->assumed_length,
                   it->rows_known ? ""
                                  : "; how many rows there are is not known "
                                    "(max_train_samples, or the file train_data)");
    if (it->exact && !it->has_weights)
        text_print(
            stdout,
            "%s is known by its configuration alone: peftlab pull fetches what training "
            "needs\n",
            it->base->shape.name);
}

static void print_machines(const struct plan *p)
{
    static const char *const headings[] = {"GPU", "memory", "fits", "time", "cost"};
    struct text_table *t = text_table_new(headings, "lrrrr", ARRAY_LEN(headings));
    for (size_t i = 0; i < p->machine_count; i++) {
        const struct machine *m = &p->machines[i];
        const struct total s = total_on(p, m);
        char name[80], bytes[32], fits[96], low[32], high[32], times[80] = "?",
                                                               usd[64] = "?";
        snprintf(name, sizeof name, "%d x %s", m->count, m->gpu->name);
        int n = snprintf(fits, sizeof fits, "%zu of %zu", s.fits[FITS], p->file.count);
        for (int how = SHARDED; how < NO; how++)
            if (s.fits[how])
                n += snprintf(fits + n, sizeof fits - (size_t)n, ", %zu %s", s.fits[how],
                              fit_words[how]);
        if (isfinite(s.seconds.base))
            snprintf(times, sizeof times, "%s .. %s",
                     str_duration(low, sizeof low, s.seconds.low),
                     str_duration(high, sizeof high, s.seconds.high));
        if (isfinite(s.usd.base))
            snprintf(usd, sizeof usd, "$%.2f .. %.2f", s.usd.low, s.usd.high);
        text_table_row(t, (const char *[]){
                              name, str_bytes(bytes, sizeof bytes, m->gpu->memory_bytes),
                              fits, times, usd});
    }
    text_print(stdout,
               "\n%s with transformers and peft, predicted by formula, roofline and list "
               "prices:\n",
               p->file.count > 1 ? "all trials one after another" : "on a GPU");
    text_table_print(t, stdout);
    text_table_free(t);
}

static void print_text(const struct plan *p)
{
    char bytes[32], seconds[32];
    if (!p->file.count) {
        text_print(stdout, "no trials\n");
        return;
    }
    print_trials(p);
    print_largest(p);
    const double room = (double)proc_memory_limit_bytes();
    if (plan_file_largest(&p->file)->exact)
        text_print(
            stdout, "this machine has %s: %s\n", str_bytes(bytes, sizeof bytes, room),
            plan_file_largest(&p->file)->estimate.peak <= room ? "it fits"
                                                               : "it does not fit");
    if (isfinite(total_here(p)))
        text_print(stdout, "%s of training and evaluation in all, on this machine\n",
                   str_duration(seconds, sizeof seconds, total_here(p)));
    print_machines(p);
}

/* --- one base, one card --- */

/* Of the largest trial, on the GPU that was named. */
static int print_card(const struct plan *p, struct err *err)
{
    const struct plan_item *it = plan_file_largest(&p->file);
    struct card c = {
        .machine = &p->machines[0], .base = it->base, .base_dir = p->file.base_dir};
    int rc = card_make(&c, it->given, err);
    if (!rc) {
        text_print(stdout, "\n%s", p->file.count > 1 ? "the largest: " : "");
        card_print(&c);
    }
    card_release(&c);
    return rc;
}

static int plan_base(const struct plan *p, const json_t *values, const char *const *words,
                     size_t count, struct err *err)
{
    struct base base = {0};
    struct card c = {.machine = p->machines, .base = &base, .base_dir = "."};
    json_t *given = json_object();
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++)
        rc = trial_override(given, words[i], err);
    json_object_set(given, "model", json_object_get(values, "model"));
    if (!json_object_get(given, "train_data"))
        json_object_set_new(given, "train_data", json_string("rows"));
    if (!rc)
        rc = base_find(json_get_str(values, "model", ""), ".", &base, err);
    if (!rc) {
        card_defaults(&base, given, &c.chosen);
        rc = card_make(&c, given, err);
    }
    if (!rc && json_get_bool(values, "json", 0))
        command_print_json(json_pack("{s:i, s:s, s:o}", "schema_version", 1, "kind",
                                     "base", "card", card_json(&c)));
    else if (!rc)
        card_print(&c);
    card_release(&c);
    base_release(&base);
    json_decref(given);
    return rc;
}

/* --- the command --- */

static int print_plan(const struct plan *p, const char *gpu, bool as_json,
                      struct err *err)
{
    const bool card = gpu && p->file.count && !p->file.program;
    if (as_json) {
        print_json(p);
        return 0;
    }
    print_text(p);
    return card ? print_card(p, err) : 0;
}

static int plan(const json_t *values, const char *const *words, size_t count,
                struct err *err)
{
    const bool file = !json_get_str(values, "model", NULL);
    const char *gpu = json_get_str(values, "gpu", NULL);
    struct plan p = {.path = words[0]};
    int rc = catalog_load(json_get_str(values, "gpus", NULL),
                          json_get_str(values, "prices", NULL), &p.catalog, err);
    if (!rc && (file || gpu))
        rc = choose_machines(&p, gpu, err);
    if (!rc && !file)
        rc = plan_base(&p, values, words, count, err);
    if (!rc && file)
        rc = plan_file_load(words, count, &p.file, err);
    if (!rc && file)
        rc = print_plan(&p, gpu, json_get_bool(values, "json", 0), err);
    plan_file_release(&p.file);
    free(p.machines);
    catalog_release(&p.catalog);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *words[MAX_WORDS];
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_plan, argc, argv, &values, words, MAX_WORDS, &count,
                           &done, err);
    if (!rc && !done && !count && !json_get_str(values, "model", NULL))
        rc = err_set(err, ERR_USAGE, "plan: no file (usage: peftlab %s)", cmd_plan.usage);
    if (!rc && !done)
        rc = plan(values, words, count, err);
    json_decref(values);
    return rc;
}

const struct command cmd_plan = {
    .name = "plan",
    .usage = "plan FILE.yaml | --model NAME [key=value ...] [--gpu NxNAME] [--json]",
    .help = "Bytes by category, time, cost and what fits, of a trial or sweep file.",
    .group = "Trials",
    .options = &table,
    .run = run,
};
