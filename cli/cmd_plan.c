/* cli/cmd_plan.c - `peftlab plan`: what a trial or sweep file will take, before anything
 * runs: bytes by category, time, cost, what fits.
 *
 * Where the base is here and the trainer knows it, bytes and FLOPs are those of the
 * trainer's own planner (basis "planned"); a base that is only known by name is estimated
 * by formula (report/estimate.h, basis "predicted"). Time on a GPU is predicted always.
 */
#include "cli/command.h"
#include "lib/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "report/estimate.h"
#include "report/machine.h"
#include "runner/model/hf_model.h"
#include "runner/trial.h"
#include "sweep/sweep.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 256
#define USABLE    0.95 /* of a device's memory */

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "gpu", .type = OPT_STRING, .metavar = "NxNAME",
     .help = "time, cost and fit on these, as 2xa100-40 (default: every GPU known)",
     .group = "what"},
    {.key = "gpus", .type = OPT_PATH, .metavar = "FILE",
     .help = "catalogue of GPUs (default: built in)", .group = "what"},
    {.key = "prices", .type = OPT_PATH, .metavar = "FILE",
     .help = "prices of GPUs (default: built in, dated)", .group = "what"},
    {.key = "json", .type = OPT_BOOL, .preset = "false", .help = "print JSON",
     .group = "output"},
};
/* clang-format on */
static const struct opt_table table = {"plan", options, ARRAY_LEN(options)};

/* One trial of the file. */
struct item {
    json_t *params; /* what tells it apart; owned */
    char *label;
    uint64_t seed;
    bool planned;
    struct setup setup;
    struct estimate estimate; /* peak: what has to fit */
    double lean_peak;
    double tokens, updates, train_s, total_s; /* NaN: unknown; seconds of this machine */
};

struct plan {
    const char *file;
    struct item *items;
    size_t count;
    bool sweep;
    struct catalog catalog;
    struct machine *machines; /* to predict for */
    size_t machine_count;
    struct shapes shapes;
};

/* --- one trial: by the trainer --- */

static void from_prediction(const struct trial_prediction *p, struct item *it)
{
    struct estimate *e = &it->estimate;
    static const enum estimate_bytes places[MEM_COUNT] = {
        [MEM_weights] = EST_weights,         [MEM_trainable] = EST_trainable,
        [MEM_gradients] = EST_gradients,     [MEM_optimizer] = EST_optimizer,
        [MEM_activations] = EST_activations, [MEM_workspace] = EST_workspace,
        [MEM_batch] = EST_workspace};
    it->planned = true;
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

static struct setup read_setup(const json_t *t, const struct model_shape *m)
{
    const char *method = json_get_str(t, "method", "lora");
    const bool quantised = strcmp(json_get_str(t, "quantization", "none"), "none") != 0;
    return (struct setup){
        .method = quantised && str_eq(method, "lora") ? "qlora" : method,
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
        .labels = m->decoder ? 0 : number(t, "num_labels", NULL, 2),
    };
}

static double count_rows(const json_t *t, const char *base_dir)
{
    const char *name = json_get_str(t, "train_data", NULL);
    char *path = name ? fs_join(base_dir, name) : NULL;
    struct fs_map map = {NULL, 0};
    double rows = NAN;
    if (path && fs_map(path, &map, NULL) == 0) {
        rows = 0;
        for (size_t i = 0; i < map.size; i++)
            rows += map.data[i] == '\n';
        rows += map.size && map.data[map.size - 1] != '\n';
        fs_unmap(&map);
    }
    free(path);
    const double most = json_get_num(t, "max_train_samples", INFINITY);
    return rows > most || (isnan(rows) && isfinite(most)) ? most : rows;
}

static void from_formula(const json_t *t, const char *base_dir,
                         const struct model_shape *m, struct item *it)
{
    struct estimate lean;
    it->setup = read_setup(t, m);
    estimate(m, &it->setup, STACK_PEFT, &it->estimate);
    estimate(m, &it->setup, STACK_LEAN, &lean);
    it->lean_peak = lean.peak;
    const double per_update = it->setup.batch * it->setup.accumulation,
                 steps = json_get_num(t, "max_steps", -1),
                 rows =
                     count_rows(t, base_dir) * number(t, "num_train_epochs", "epochs", 3);
    it->updates = steps > 0 ? steps : ceil(rows / per_update);
    it->tokens = it->updates * per_update * it->setup.seq_len;
}

/* --- which of the two --- */

/* Only a name, and one of the catalogue. */
static bool is_known_name(const struct plan *p, const json_t *t, const char *base_dir,
                          struct model_shape *m)
{
    const char *name = json_get_str(t, "model", "");
    char *path = fs_join(base_dir, name), *dir = NULL;
    const bool here = fs_is_dir(path) || hf_model_find(name, &dir, NULL) == 0;
    free(path);
    free(dir);
    return !here && shape_find(&p->shapes, name, m);
}

/* `resolved` NULL: the trainer refuses the trial, `why` says so. */
static int fill_item(const struct plan *p, const json_t *given, const json_t *resolved,
                     const char *base_dir, struct item *it, const struct err *why,
                     struct err *err)
{
    struct model_shape m;
    struct trial_prediction prediction;
    it->train_s = it->total_s = it->tokens = it->updates = NAN;
    if (is_known_name(p, given, base_dir, &m)) {
        from_formula(given, base_dir, &m, it);
        return 0;
    }
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

static int plan_trial(struct plan *p, const char *const *words, size_t count,
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
    struct item *it = &p->items[0];
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

static int plan_rows(struct plan *p, const struct sweep_file *f, struct sweep_plan *sp,
                     struct err *err)
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
        struct item *it = &p->items[p->count++], *before = i ? it - 1 : NULL;
        if (before && str_eq(sp->trials[i - 1].key, t->key))
            *it = *before; /* another seed */
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

static int plan_sweep(struct plan *p, const char *const *words, size_t count,
                      struct err *err)
{
    static const struct sweep_hooks hooks = {
        .trial_options = &trial_options, .resolve = trial_resolve, .key = trial_key};
    struct sweep_file *f;
    struct sweep_plan sp;
    p->sweep = true;
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

static const char *fit_word(const struct item *it, const struct machine *m)
{
    const double room = USABLE * m->gpu->memory_bytes;
    return it->estimate.peak <= room ? "fits" : it->lean_peak <= room ? "tight" : "no";
}

static struct estimate_range seconds_on(const struct item *it, const struct machine *m)
{
    return estimate_seconds(&it->setup, &it->estimate, m->gpu, m->count, false,
                            it->tokens);
}

/* Of all trials one after another. */
struct total {
    struct estimate_range seconds, usd;
    size_t fit, tight;
};

static struct total total_on(const struct plan *p, const struct machine *m)
{
    struct total t = {0};
    const struct price_range price = catalog_range(&p->catalog, m->gpu->name);
    for (size_t i = 0; i < p->count; i++) {
        struct estimate_range s = seconds_on(&p->items[i], m);
        t.seconds.low += s.low;
        t.seconds.base += s.base;
        t.seconds.high += s.high;
        t.fit += str_eq(fit_word(&p->items[i], m), "fits");
        t.tight += str_eq(fit_word(&p->items[i], m), "tight");
    }
    const double hours = m->count / 3600.0;
    t.usd = (struct estimate_range){t.seconds.low * hours * price.low,
                                    t.seconds.base * hours * price.base,
                                    t.seconds.high * hours * price.high};
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

static json_t *item_json(const struct plan *p, const struct item *it)
{
    const struct estimate *e = &it->estimate;
    json_t *bytes = json_object(), *gpus = json_array();
    for (int i = 0; i < EST_COUNT; i++)
        if (e->bytes[i] > 0)
            json_object_set_new(bytes, estimate_names[i], whole_or_null(e->bytes[i]));
    for (size_t i = 0; i < p->machine_count; i++) {
        const struct machine *m = &p->machines[i];
        json_array_append_new(gpus, json_pack("{s:s, s:i, s:s, s:o}", "gpu", m->gpu->name,
                                              "count", m->count, "fit", fit_word(it, m),
                                              "train_s", range_json(seconds_on(it, m))));
    }
    return json_pack(
        "{s:O, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "params", it->params, "seed", (json_int_t)it->seed, "basis",
        it->planned ? "planned" : "predicted", "bytes", bytes, "total_bytes",
        whole_or_null(e->peak), "lean_bytes", whole_or_null(it->lean_peak), "trainable",
        whole_or_null(e->trainable), "adapter_bytes", whole_or_null(e->adapter_bytes),
        "updates", whole_or_null(it->updates), "tokens", whole_or_null(it->tokens),
        "flops", real_or_null(e->flops_per_token * it->tokens), "train_s",
        real_or_null(it->train_s), "total_s", real_or_null(it->total_s), "gpus", gpus);
}

static double total_here(const struct plan *p)
{
    double s = 0;
    for (size_t i = 0; i < p->count; i++)
        s += p->items[i].total_s;
    return s;
}

static const struct item *largest(const struct plan *p)
{
    const struct item *most = &p->items[0];
    for (size_t i = 1; i < p->count; i++)
        if (p->items[i].estimate.peak > most->estimate.peak)
            most = &p->items[i];
    return most;
}

static void print_json(const struct plan *p)
{
    json_t *trials = json_array(), *gpus = json_array();
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < p->count; i++)
        json_array_append_new(trials, item_json(p, &p->items[i]));
    for (size_t i = 0; i < p->machine_count; i++) {
        const struct machine *m = &p->machines[i];
        struct total t = total_on(p, m);
        json_array_append_new(
            gpus, json_pack("{s:s, s:i, s:f, s:I, s:I, s:o, s:o}", "gpu", m->gpu->name,
                            "count", m->count, "memory_bytes", m->gpu->memory_bytes,
                            "fit", (json_int_t)t.fit, "tight", (json_int_t)t.tight,
                            "train_s", range_json(t.seconds), "usd", range_json(t.usd)));
    }
    json_t *all =
        json_pack("{s:i, s:s, s:s, s:o, s:{s:I, s:o, s:o, s:I, s:o}}", "schema_version",
                  1, "file", p->file, "kind", p->sweep ? "sweep" : "trial", "trials",
                  trials, "total", "trials", (json_int_t)p->count, "peak_bytes",
                  p->count ? whole_or_null(largest(p)->estimate.peak) : json_null(),
                  "this_machine_s", real_or_null(total_here(p)), "this_machine_bytes",
                  (json_int_t)proc_memory_limit_bytes(), "gpus", gpus);
    json_write(&text, all, 1);
    puts(buf_str(&text));
    buf_release(&text);
    json_decref(all);
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
    for (size_t i = 0; i < p->count; i++) {
        const struct item *it = &p->items[i];
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
    const struct item *it = largest(p);
    char bytes[32];
    printf("\n%s takes %s%s:\n", p->count > 1 ? "the largest" : "it",
           str_bytes(bytes, sizeof bytes, it->estimate.peak),
           it->planned ? ", planned to the byte" : " (predicted; transformers and peft)");
    for (int i = 0; i < EST_COUNT; i++)
        if (it->estimate.bytes[i] > 0)
            printf("  %-12s %12s\n", estimate_names[i],
                   str_bytes(bytes, sizeof bytes, it->estimate.bytes[i]));
    if (!it->planned)
        printf("  with fused kernels and a chunked loss: %s\n",
               str_bytes(bytes, sizeof bytes, it->lean_peak));
}

static void print_machines(const struct plan *p)
{
    static const char *const headings[] = {"GPU", "memory", "fits", "time", "cost"};
    struct text_table *t = text_table_new(headings, "lrrrr", ARRAY_LEN(headings));
    for (size_t i = 0; i < p->machine_count; i++) {
        const struct machine *m = &p->machines[i];
        const struct total s = total_on(p, m);
        char name[80], bytes[32], fits[64], low[32], high[32], times[80] = "?",
                                                               usd[64] = "?";
        snprintf(name, sizeof name, "%d x %s", m->count, m->gpu->name);
        snprintf(fits, sizeof fits, s.tight ? "%zu of %zu, %zu tight" : "%zu of %zu",
                 s.fit, p->count, s.tight);
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
    printf("\n%s, predicted by roofline and list prices:\n",
           p->count > 1 ? "all trials one after another" : "on a GPU");
    text_table_print(t, stdout);
    text_table_free(t);
}

static void print_text(const struct plan *p)
{
    char bytes[32], seconds[32];
    if (!p->count) {
        puts("no trials");
        return;
    }
    print_trials(p);
    print_largest(p);
    const double room = (double)proc_memory_limit_bytes();
    if (largest(p)->planned)
        printf("this machine has %s: %s; %s of training and evaluation in all\n",
               str_bytes(bytes, sizeof bytes, room),
               largest(p)->estimate.peak <= room ? "it fits" : "it does not fit",
               duration(total_here(p), seconds, sizeof seconds));
    print_machines(p);
}

/* --- the command --- */

static void release(struct plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        json_decref(p->items[i].params);
        free(p->items[i].label);
    }
    free(p->items);
    free(p->machines);
    catalog_release(&p->catalog);
    shapes_release(&p->shapes);
}

static int plan(const json_t *values, const char *const *words, size_t count,
                struct err *err)
{
    struct plan p = {.file = words[0]};
    bool sweep = false;
    int rc = catalog_load(json_get_str(values, "gpus", NULL),
                          json_get_str(values, "prices", NULL), &p.catalog, err);
    if (!rc)
        rc = shapes_load(&p.shapes, err);
    if (!rc)
        rc = choose_machines(&p, json_get_str(values, "gpu", NULL), err);
    if (!rc)
        rc = is_sweep(words[0], &sweep, err);
    if (!rc)
        rc = (sweep ? plan_sweep : plan_trial)(&p, words, count, err);
    if (!rc)
        (json_get_bool(values, "json", 0) ? print_json : print_text)(&p);
    release(&p);
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
    if (!rc && !done && !count)
        rc = err_set(err, ERR_USAGE, "plan: no file (usage: peftlab %s)", cmd_plan.usage);
    if (!rc && !done)
        rc = plan(values, words, count, err);
    json_decref(values);
    return rc;
}

const struct command cmd_plan = {
    .name = "plan",
    .usage = "plan FILE.yaml [key=value ...] [--gpu NxNAME] [--json]",
    .help = "Bytes by category, time, cost and what fits, of a trial or sweep file.",
    .group = "Trials",
    .options = &table,
    .run = run,
};
