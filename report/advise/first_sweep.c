/* report/advise/first_sweep.c - the first sweep file to run; see advise.h.
 *
 * The best two methods against a cheap control, with the knob that matters most of each:
 * the learning rate, then the rank. Three seeds, since one cannot tell methods apart; the
 * third only for those that may be the best. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/advise/advise.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_METHODS = 3, MAX_RATES = 3, MAX_RANKS = 2, SEEDS = 3 };

static int at_most(int asked, int most)
{
    return asked > 0 && asked < most ? asked : most;
}

/* The cheapest control: the task's head on the base as it is; NULL: not advised on. */
static const struct advice *control(const struct advise *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (setup_adds(&a->items[i].setup, ADDS_head))
            return &a->items[i];
    return NULL;
}

/* Methods to run, the two best first, each once; with the control where it applies. */
static size_t choose(const struct advise *a, const char *out[MAX_METHODS])
{
    const struct advice *head = control(a);
    const bool with_control = head && !json_array_size(head->ruled_out);
    const int most = at_most(a->request->size.methods, MAX_METHODS);
    const size_t best = (size_t)(with_control && most > 1 ? most - 1 : at_most(most, 2));
    size_t n = 0;
    for (size_t i = 0; i < a->open && n < best; i++) {
        const char *method = a->items[i].candidate->method;
        if (!n || !str_eq(out[0], method))
            out[n++] = method;
    }
    bool there = false;
    for (size_t i = 0; i < n; i++)
        there |= head && str_eq(out[i], head->candidate->method);
    if (!there && with_control && n < (size_t)most)
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
    double ranks[MAX_RANKS]; /* the lower first */
    size_t rank_count;
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
    if (r->subject.remark)
        buf_str_add(b, r->subject.remark);
    buf_printf(b, "# The first sweep, by `peftlab advise` for %s, %s%s.\n", r->shape.name,
               r->task, r->base_untouched ? ", base untouched" : "");
    put_fit(b, r, fit);
    buf_printf(b, "version: 1\nname: %s\n",
               r->subject.name ? r->subject.name : "first-look");
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
double advise_rate(const struct advise *a, const char *method, int which)
{
    const struct model_shape *m = &a->request->shape;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++)
        if (str_in_list(method, rates[i].methods, '|'))
            return m->decoder ? rates[i].decoder[which] * (m->parameters > 3e10 ? 0.5 : 1)
                              : rates[i].encoder[which];
    return 1e-3;
}

/* Which of a method's rates are tried: all, the ends, or the middle one. */
static size_t rates_tried(const struct advise *a, int which[MAX_RATES])
{
    static const int tried[MAX_RATES][MAX_RATES] = {{1}, {0, 2}, {0, 1, 2}};
    const size_t n = (size_t)at_most(a->request->size.rates, MAX_RATES);
    memcpy(which, tried[n - 1], sizeof tried[0]);
    return n;
}

/* An axis, each value computed from the method. */
static void put_rates(struct buf *b, const struct advise *a, const char *const *m,
                      size_t n)
{
    int which[MAX_RATES];
    const size_t count = rates_tried(a, which);
    bool same = true;
    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < count; k++)
            same &= advise_rate(a, m[i], which[k]) == advise_rate(a, m[0], which[k]);
    buf_str_add(b,
                same ? "  learning_rate: {values: [" : "  learning_rate:\n    values:\n");
    for (size_t k = 0; k < count && same; k++)
        buf_printf(b, "%s%g", k ? ", " : "", advise_rate(a, m[0], which[k]));
    for (size_t k = 0; k < count && !same; k++) {
        buf_str_add(b, "      - {expr: \"");
        for (size_t i = 0; i + 1 < n; i++)
            buf_printf(b, "%g if method == %s else ", advise_rate(a, m[i], which[k]),
                       m[i]);
        buf_printf(b, "%g\"}\n", advise_rate(a, m[n - 1], which[k]));
    }
    buf_str_add(b, same ? "]}\n" : "");
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
        for (size_t k = 0; k < (ranked ? c->rank_count : 1); k++) {
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
                       .ranks = {fmin(first->rank, other), fmax(first->rank, other)},
                       .rank_count = (size_t)at_most(a->request->size.ranks, MAX_RANKS)},
                  best;
    if (c.rank_count == 1)
        c.ranks[0] = first->rank;
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
    for (size_t i = 0; i < c->rank_count; i++)
        buf_printf(b, "%s%.0f", i ? ", " : "  rank: {values: [", c->ranks[i]);
    buf_char(b, ']');
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

/* Keys of the rows that are not as a trial takes them. */
static void put_subject(struct buf *b, const struct sweep_subject *s)
{
    const struct {
        const char *key, *value;
    } keys[] = {{"test_data", s->test_data},
                {"text_column", s->text_column},
                {"text_pair_column", s->text_pair_column},
                {"label_column", s->label_column},
                {"problem_type", s->problem_type}};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].value)
            put_data(b, keys[i].key, keys[i].value, NULL);
}

static void put_metric(struct buf *b, const struct advise *a)
{
    const struct sweep_subject *s = &a->request->subject;
    const bool score = a->request->trains;
    buf_str_add(b, "metric: {name: ");
    buf_str_add(b, s->metric ? s->metric : score ? "eval/macro_f1" : "eval/loss");
    buf_printf(b, ", goal: %s}\n", s->goal ? s->goal : score ? "maximize" : "minimize");
}

char *advise_sweep(const struct advise *a)
{
    const char *m[MAX_METHODS];
    struct buf b = BUF_INIT;
    if (!a->open)
        return NULL;
    const size_t n = choose(a, m);
    const bool ours = a->request->trains;
    const struct sweep_subject *about = &a->request->subject;
    const struct common c = in_common(a, m, n);
    put_head(&b, a, c.fit);
    if (!ours)
        buf_str_add(&b, "program: train.py    # your trainer; it gets --key=value and "
                        "prints a JSON line per metric\n");
    put_metric(&b, a);
    buf_str_add(&b, "method: grid\nparameters:\n  model: {value: ");
    put_text(&b, a->request->model);
    buf_printf(&b, "}\n  task: {value: %s}\n", a->request->task);
    put_data(&b, "train_data", a->request->train_data, "train.jsonl");
    if (about->validation_split > 0)
        buf_printf(&b, "  validation_split: {value: %g}\n", about->validation_split);
    else
        put_data(&b, "eval_data", a->request->eval_data, "dev.jsonl");
    put_subject(&b, about);
    buf_str_add(&b, "  method: {values: [");
    put_methods(&b, m, n, true);
    buf_str_add(&b, "]}\n");
    put_lora(&b, &c, m, n);
    put_rates(&b, a, m, n);
    put_common(&b, a, &c.setup);
    if (!ours)
        buf_str_add(&b, "  max_grad_norm: {value: 0.3}\n  warmup_ratio: {value: 0.03}\n");
    const int seeds = at_most(a->request->size.seeds, SEEDS);
    for (int i = 0; i < seeds; i++)
        buf_printf(&b, "%s%d", i ? ", " : "seeds: [", i);
    buf_str_add(&b, "]\n");
    if (seeds > 2)
        buf_str_add(&b, "until: {chance: 0.05}    # two seeds of each, further ones for "
                        "those that may be the best\n");
    return buf_detach(&b, NULL);
}

struct setup advise_sweep_setup(const struct advise *a)
{
    const char *m[MAX_METHODS];
    const size_t n = choose(a, m);
    return in_common(a, m, n).setup;
}
