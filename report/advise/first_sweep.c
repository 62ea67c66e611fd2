/* report/advise/first_sweep.c - the first sweep file to run; see advise.h.
 *
 * The best two methods against a cheap control, with the knob that matters most of each:
 * the learning rate, then the rank. Three seeds, since one cannot tell methods apart. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/advise/advise.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_METHODS = 3 };

/* The cheapest control: the task's head on the base as it is; NULL: not advised on. */
static const struct advice *control(const struct advise *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (setup_adds(&a->items[i].setup, ADDS_head))
            return &a->items[i];
    return NULL;
}

/* Methods to run, the best first, each once; with the control where it applies. */
static size_t choose(const struct advise *a, const char *out[MAX_METHODS])
{
    size_t n = 0;
    for (size_t i = 0; i < a->open && n < MAX_METHODS - 1; i++) {
        const char *method = a->items[i].candidate->method;
        if (!n || !str_eq(out[0], method))
            out[n++] = method;
    }
    const struct advice *head = control(a);
    bool there = false;
    for (size_t i = 0; i < n; i++)
        there |= head && str_eq(out[i], head->candidate->method);
    if (!there && head && !json_array_size(head->ruled_out))
        out[n++] = head->candidate->method;
    return n;
}

static bool has_rank(const char *method)
{
    const struct formula *f = formula_find(method);
    return f && f->adds == ADDS_low_rank;
}

/* "lora, qlora": all of them, or those with a rank. */
static void put_methods(struct buf *b, const char *const *methods, size_t n, bool all)
{
    size_t written = 0;
    for (size_t i = 0; i < n; i++)
        if (all || has_rank(methods[i]))
            buf_printf(b, "%s%s", written++ ? ", " : "", methods[i]);
}

/* A path or name as a YAML text. */
static void put_text(struct buf *b, const char *s)
{
    json_put_string(b, s, strlen(s));
}

/* What all trials have in common, and whether it fits. */
struct common {
    struct setup setup;
    double ranks[2];
    enum fit fit; /* of the trial that needs most */
};

static void put_fit(struct buf *b, const struct advise_request *r, enum fit fit)
{
    static const char *const words[] = {
        [FIT_YES] = "Predicted to fit",
        [FIT_SHARDED] = "Predicted to fit with parameters divided over the GPUs (FSDP)",
        [FIT_TIGHT] = "Predicted to be tight: only fused kernels and a chunked loss fit",
        [FIT_NO] = "Predicted not to fit in part: see `peftlab plan`",
    };
    buf_printf(b, "# %s; the knobs are what matters most: rate, then rank.\n",
               words[fit]);
    if (r->machine.gpu)
        buf_printf(b, "# Planned for %d x %s.\n", r->machine.count, r->machine.gpu->name);
}

static void put_head(struct buf *b, const struct advise *a, enum fit fit)
{
    const struct advise_request *r = a->request;
    buf_printf(b, "# The first sweep, by `peftlab advise` for %s, %s%s.\n", r->shape.name,
               r->task, r->base_untouched ? ", base untouched" : "");
    put_fit(b, r, fit);
    buf_str_add(b, "version: 1\nname: first-look\n");
}

static const struct {
    const char *methods;
    double encoder[3], decoder[3];
} rates[] = {
#define CANDIDATE(...)
#define RATES(methods, e0, e1, e2, d0, d1, d2) {methods, {e0, e1, e2}, {d0, d1, d2}},
#include "report/advise/methods.def"
#undef CANDIDATE
#undef RATES
};

/* QLoRA's are halved for the largest bases (artidoro/qlora). */
static double rate_of(const struct advise *a, const char *method, int which)
{
    const struct model_shape *m = &a->request->shape;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++)
        if (str_in_list(method, rates[i].methods, '|'))
            return m->decoder ? rates[i].decoder[which] * (m->parameters > 3e10 ? 0.5 : 1)
                              : rates[i].encoder[which];
    return 1e-3;
}

/* An axis of three, each computed from the method. */
static void put_rates(struct buf *b, const struct advise *a, const char *const *m,
                      size_t n)
{
    bool same = true;
    for (size_t i = 1; i < n; i++)
        for (int which = 0; which < 3; which++)
            same &= rate_of(a, m[i], which) == rate_of(a, m[0], which);
    if (same) {
        buf_printf(b, "  learning_rate: {values: [%g, %g, %g]}\n", rate_of(a, m[0], 0),
                   rate_of(a, m[0], 1), rate_of(a, m[0], 2));
        return;
    }
    buf_str_add(b, "  learning_rate:\n    values:\n");
    for (int which = 0; which < 3; which++) {
        buf_str_add(b, "      - {expr: \"");
        for (size_t i = 0; i + 1 < n; i++)
            buf_printf(b, "%g if method == %s else ", rate_of(a, m[i], which), m[i]);
        buf_printf(b, "%g\"}\n", rate_of(a, m[n - 1], which));
    }
}

static void put_when(struct buf *b, const char *const *m, size_t n)
{
    buf_str_add(b, ", when: \"method in [");
    put_methods(b, m, n, false);
    buf_str_add(b, "]\"}\n");
}

/* The worst fit of the sweep's trials, all with the common batch. */
static enum fit worst_fit(const struct advise *a, const char *const *m, size_t n,
                          const struct common *c)
{
    enum fit worst = FIT_YES;
    for (size_t i = 0; i < n; i++) {
        const bool ranked = has_rank(m[i]);
        struct setup s = advise_find(a, m[i])->setup;
        s.batch = c->setup.batch;
        s.accumulation = c->setup.accumulation;
        s.checkpointing = c->setup.checkpointing;
        s.adam8 = c->setup.adam8;
        for (size_t k = 0; k < (ranked ? ARRAY_LEN(c->ranks) : 1); k++) {
            s.rank = c->ranks[k];
            const enum fit fit = advise_fit(a->request, &s, NULL);
            worst = fit > worst ? fit : worst;
        }
    }
    return worst;
}

/* The first method's setup, made leaner until every trial fits; where none does so, the
 * one under which most nearly all do. */
static struct common in_common(const struct advise *a, const char *const *m, size_t n)
{
    const struct setup *first = &a->items[0].setup;
    const double other = first->rank >= 64 ? first->rank / 2 : first->rank * 2;
    struct common c = {.setup = *first,
                       .ranks = {fmin(first->rank, other), fmax(first->rank, other)}},
                  best = c;
    best.fit = FIT_NO;
    do {
        c.fit = worst_fit(a, m, n, &c);
        if (c.fit < best.fit)
            best = c;
    } while (best.fit != FIT_YES && advise_leaner(a->request, &c.setup));
    return best;
}

static void put_lora(struct buf *b, const struct common *c, const char *const *m,
                     size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any |= has_rank(m[i]);
    if (!any)
        return;
    buf_printf(b, "  rank: {values: [%.0f, %.0f]", c->ranks[0], c->ranks[1]);
    put_when(b, m, n);
    buf_str_add(b, "  alpha: {expr: \"2*rank\"");
    put_when(b, m, n);
    if (c->setup.targets == TARGETS_QV) /* what is targeted where nothing is said */
        return;
    buf_str_add(b, "  target_modules: {value: all-linear");
    put_when(b, m, n);
}

static void put_common(struct buf *b, const struct advise *a, const struct setup *s)
{
    buf_printf(b,
               "  max_length: {value: %.0f}\n"
               "  batch_size: {value: %.0f}\n"
               "  gradient_accumulation_steps: {value: %.0f}\n"
               "  gradient_checkpointing: {value: %s}\n"
               "  num_train_epochs: {value: %g}\n",
               s->seq_len, s->batch, s->accumulation, s->checkpointing ? "true" : "false",
               a->request->epochs);
    if (s->adam8)
        buf_str_add(b, "  optim: {value: adamw_8bit}\n");
}

static void put_data(struct buf *b, const char *key, const char *path,
                     const char *otherwise)
{
    buf_printf(b, "  %s: {value: ", key);
    put_text(b, path ? path : otherwise);
    buf_printf(b, "}%s\n", path ? "" : "    # put yours here");
}

char *advise_sweep(const struct advise *a)
{
    const char *m[MAX_METHODS];
    struct buf b = BUF_INIT;
    if (!a->open)
        return NULL;
    const size_t n = choose(a, m);
    const bool ours = a->request->trains;
    const struct common c = in_common(a, m, n);
    put_head(&b, a, c.fit);
    if (!ours)
        buf_str_add(&b, "program: train.py    # your trainer; it gets --key=value and "
                        "prints a JSON line per metric\n");
    buf_printf(&b, "metric: {name: %s}\nmethod: grid\nparameters:\n  model: {value: ",
               ours ? "eval/macro_f1, goal: maximize" : "eval/loss, goal: minimize");
    put_text(&b, a->request->model);
    buf_printf(&b, "}\n  task: {value: %s}\n", a->request->task);
    put_data(&b, "train_data", a->request->train_data, "train.jsonl");
    put_data(&b, "eval_data", a->request->eval_data, "dev.jsonl");
    buf_str_add(&b, "  method: {values: [");
    put_methods(&b, m, n, true);
    buf_str_add(&b, "]}\n");
    put_lora(&b, &c, m, n);
    put_rates(&b, a, m, n);
    put_common(&b, a, &c.setup);
    if (!ours)
        buf_str_add(&b, "  max_grad_norm: {value: 0.3}\n  warmup_ratio: {value: 0.03}\n");
    buf_str_add(&b, "seeds: [0, 1, 2]\n");
    return buf_detach(&b, NULL);
}

struct setup advise_sweep_setup(const struct advise *a)
{
    const char *m[MAX_METHODS];
    const size_t n = choose(a, m);
    return in_common(a, m, n).setup;
}
