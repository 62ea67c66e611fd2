/* report/sections/next/next_step.c - see next_step.h. */
#include "report/sections/next/next_step.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/sections/trivial.h"
#include <stdlib.h>
#include <string.h>

/* ---- more seeds as a command ---- */

/* Whether trials of the report differ in a parameter. */
static bool param_varies(const struct report *r, const char *key)
{
    const json_t *first = json_object_get(r->data.trials[0].params, key);
    for (size_t i = 1; i < r->data.count; i++) {
        const json_t *other = json_object_get(r->data.trials[i].params, key);
        if (!first != !other || (first && !json_equal((json_t *)first, (json_t *)other)))
            return true;
    }
    return false;
}

/* " rank=4 'target_modules=[query,value]'": a value as a word of `sweep run`. */
static void add_override(struct buf *out, const char *key, const json_t *value)
{
    struct buf word = BUF_INIT;
    const json_t *v;
    size_t i;
    buf_printf(&word, "%s=%s", key, json_is_array(value) ? "[" : "");
    json_array_foreach((json_t *)value, i, v)
    {
        char *text = value_text(v);
        buf_printf(&word, "%s%s", i ? "," : "", text);
        free(text);
    }
    char *text = json_is_array(value) ? NULL : value_text(value);
    buf_str_add(&word, text ? text : "]");
    buf_char(out, ' ');
    buf_shell_word(out, buf_str(&word));
    buf_release(&word);
    free(text);
}

char *seeds_command(const struct report *r, size_t column, size_t group, size_t seeds)
{
    const struct report_cell *c = matrix_cell(&r->matrix, column, group);
    if (!c->count || !*c->trials[0]->sweep)
        return NULL;
    struct buf out = BUF_INIT;
    const char *key;
    json_t *v;
    int64_t last = 0;
    for (size_t i = 0; i < r->data.count; i++)
        last = r->data.trials[i].seed > last ? r->data.trials[i].seed : last;
    buf_str_add(&out, "peftlab sweep run FILE");
    json_object_foreach(c->trials[0]->params, key, v)
    {
        if (!str_eq(key, "seed") && !json_is_object(v) && param_varies(r, key))
            add_override(&out, key, v);
    }
    buf_str_add(&out, " seeds=");
    for (size_t i = 0; i < seeds; i++)
        buf_printf(&out, "%s%lld", i ? "," : "", (long long)(last + 1 + (int64_t)i));
    return buf_detach(&out, NULL);
}

/* ---- the rules ---- */

struct step {
    struct buf command;
    const char *why;
};

static const struct verdict *main_verdict(const struct report *r)
{
    return r->matrix.verdicts[r->matrix.main_column];
}

static void add_name(struct buf *out, const char *name)
{
    buf_char(out, ' ');
    buf_shell_word(out, name);
}

/* The first trial that `is` holds for; NULL: none. */
static const struct report_trial *first_trial(const struct report *r,
                                              bool (*is)(const struct report_trial *t))
{
    for (size_t i = 0; i < r->data.count; i++)
        if (is(&r->data.trials[i]))
            return &r->data.trials[i];
    return NULL;
}

static bool is_unfinished(const struct report_trial *t)
{
    return trial_is_open(t) && *t->sweep && t->state != TRIAL_pruned &&
           t->state != TRIAL_spared && t->state != TRIAL_cancelled;
}

static bool is_running(const struct report_trial *t)
{
    return t->state == TRIAL_running && *t->sweep;
}

static bool go_on(const struct report *r, struct step *s)
{
    const struct report_trial *t = first_trial(r, is_unfinished);
    size_t n = 0;
    for (size_t i = 0; i < r->data.count; i++)
        n += is_unfinished(&r->data.trials[i]);
    if (!t)
        return false;
    const bool runs = first_trial(r, is_running) != NULL;
    buf_str_add(&s->command, runs ? "peftlab sweep status" : "peftlab sweep resume");
    add_name(&s->command, t->sweep);
    buf_str_add(&s->command, runs ? " --watch" : "");
    s->why =
        word_f("%s not finished%s", word_are(n, "trial"), runs ? ", and it runs" : "");
    return true;
}

static bool has_failed(const struct report_trial *t)
{
    return t->state != TRIAL_complete && trial_state_is_final(t->state);
}

static bool look_at_failures(const struct report *r, struct step *s)
{
    const struct report_trial *t = first_trial(r, has_failed);
    if (main_verdict(r)->ranked || !t)
        return false;
    buf_printf(&s->command, "peftlab ls --state %s", trial_state_name(t->state));
    s->why = "the reasons why nothing has a result";
    return true;
}

static bool look_at_values(const struct report *r, struct step *s)
{
    if (main_verdict(r)->ranked)
        return false;
    buf_printf(&s->command, "peftlab ls --columns");
    add_name(&s->command, metric_of(r));
    s->why = "no trial has a usable value";
    return true;
}

static void show_best(const struct report *r, struct step *s)
{
    const struct verdict *v = main_verdict(r);
    const struct report_cell *c =
        matrix_cell(&r->matrix, r->matrix.main_column, v->ranking[0]);
    buf_printf(&s->command, "peftlab show %lld", (long long)c->trials[0]->id);
}

static bool look_at_learning(const struct report *r, struct step *s)
{
    if (!trivial_undecides(r, r->matrix.main_column) || main_verdict(r)->ranked < 2)
        return false;
    show_best(r, s);
    s->why = "see whether trials learn at all";
    return true;
}

static bool find_rivals(const struct report *r, struct step *s)
{
    const struct verdict *v = main_verdict(r);
    const struct report_cell *c =
        matrix_cell(&r->matrix, r->matrix.main_column, v->ranking[0]);
    char *model = value_text(trial_value(c->trials[0], "model"));
    bool applies = v->ranked == 1 && !str_eq(model, "none");
    if (applies) {
        buf_str_add(&s->command, "peftlab advise --model");
        add_name(&s->command, model);
        s->why = "there is nothing to hold it against: which methods to try";
    }
    free(model);
    return applies;
}

static bool run_seeds(const struct report *r, struct step *s)
{
    struct next x;
    if (!next_seeds_of_main(r, &x))
        return false;
    char *a = seeds_command(r, x.column, x.group, x.seeds),
         *b = seeds_command(r, x.column, x.rival, x.seeds);
    bool applies = a && b;
    if (applies) {
        buf_printf(&s->command, "%s && %s", a, b);
        s->why = word_f("%s more of %s and of %s; FILE is the sweep's file",
                        word_plural(x.seeds, "seed"), r->data.groups.items[x.group].label,
                        r->data.groups.items[x.rival].label);
    }
    free(a);
    free(b);
    return applies;
}

static bool take_it(const struct report *r, struct step *s)
{
    show_best(r, s);
    s->why = main_verdict(r)->tied_count > 1
                 ? "what leads, not shown to be best: its keys, numbers and files"
                 : "what to take: its keys, numbers and files";
    return true;
}

static bool (*const rules[])(const struct report *r, struct step *s) = {
    go_on,       look_at_failures, look_at_values, look_at_learning,
    find_rivals, run_seeds,        take_it,
};

json_t *next_step_json(const struct report *r)
{
    struct step s = {.command = BUF_INIT, .why = ""};
    for (size_t i = 0; i < ARRAY_LEN(rules) && !rules[i](r, &s); i++)
        continue;
    char *clean = str_clean(buf_str(&s.command), s.command.len);
    json_t *o = json_pack("{s:s, s:s}", "command", clean, "why", s.why);
    free(clean);
    buf_release(&s.command);
    return o;
}

json_t *next_step_of(struct store *s, int64_t sweep)
{
    struct report *r = report_judge_sweep(s, sweep);
    json_t *next = r && !first_trial(r, is_unfinished) ? next_step_json(r) : NULL;
    if (r)
        report_free(r);
    return next;
}

bool next_seeds_of_main(const struct report *r, struct next *out)
{
    size_t n, i = 0;
    struct next *x = next_experiments(r, &n);
    while (i < n && (x[i].kind != NEXT_SEEDS || x[i].column != r->matrix.main_column))
        i++;
    if (i < n)
        *out = x[i];
    free(x);
    return i < n;
}
