/* sweep/pruners/pruner.c - the table of rules, their settings, the curve of a seed
 * group. */
#include "sweep/pruners/pruner.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/file/sweep_file.h"
#include <math.h>
#include <stdlib.h>

#define PRUNER(name) extern const struct pruner_rule pruner_##name;
#include "sweep/pruners/pruners.def"
#undef PRUNER

static const struct pruner_rule *const rules[] = {
#define PRUNER(name) &pruner_##name,
#include "sweep/pruners/pruners.def"
#undef PRUNER
};

size_t pruner_rules(const struct pruner_rule *const **rows)
{
    *rows = rules;
    return ARRAY_LEN(rules);
}

const struct pruner_rule *pruner_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (str_eq(rules[i]->name, name))
            return rules[i];
    return NULL;
}

/* W&B means something else by `hyperband`: its keys tell. */
static const struct pruner_rule *rule_of(const char *type,
                                         const struct pruner_settings *s)
{
    bool wandb = s->min_iter || s->max_iter || s->bands;
    for (size_t i = 0; i < ARRAY_LEN(rules) && wandb; i++)
        if (rules[i]->wandb_name && str_eq(rules[i]->wandb_name, type))
            return rules[i];
    return pruner_find(type);
}

int pruner_init(struct pruner *p, const struct sweep_file *f, int64_t max_resource,
                struct err *err)
{
    const json_t *early = f->early;
    *p = (struct pruner){.s = {.maximize = f->maximize,
                               .min = json_get_int(early, "min", 0),
                               .max = json_get_int(early, "max", max_resource),
                               .eta = json_get_int(early, "eta", 0),
                               .rate = json_get_int(early, "rate", 0),
                               .startup = json_get_int(early, "startup", 5),
                               .warmup = json_get_int(early, "warmup", 0),
                               .interval = json_get_int(early, "interval", 1),
                               .min_trials = json_get_int(early, "min_trials", 1),
                               .bootstrap = json_get_int(early, "bootstrap", 0),
                               .percentile = json_get_num(early, "percentile", 25),
                               .min_iter = json_get_int(early, "min_iter", 0),
                               .max_iter = json_get_int(early, "max_iter", 0),
                               .bands = json_get_int(early, "s", 0),
                               .strict = json_get_bool(early, "strict", 0)}};
    p->rule = rule_of(f->early_terminate, &p->s);
    if (!p->rule)
        return sweep_file_error(f, "early_terminate.type", err, "no rule named '%s'",
                                f->early_terminate);
    int rc = p->rule->check ? p->rule->check(&p->s, err) : 0;
    return rc < 0 ? err_context(err, "%s: ", conf_where(f->conf, "early_terminate")) : 0;
}

void pruner_release(struct pruner *p)
{
    for (size_t i = 0; i < p->record_count; i++)
        free(p->records[i].value);
    free(p->records);
    *p = (struct pruner){0};
}

bool pruner_judge(struct pruner *p, const struct curve *curves, size_t count, size_t self)
{
    return p->rule->judge && curves[self].count && p->rule->judge(p, curves, count, self);
}

void pruner_next(struct pruner *p, const struct curve *curves, size_t count,
                 bool exhausted, struct pruner_move *move)
{
    *move = (struct pruner_move){.action = PRUNER_WAIT};
    if (p->rule->next)
        p->rule->next(p, curves, count, exhausted, move);
}

double curve_at(const struct curve *c, int64_t step)
{
    double value = NAN;
    for (size_t i = 0; i < c->count && c->points[i].step <= step; i++)
        value = c->points[i].value;
    return value;
}

bool curve_finished(const struct curve *c, int64_t resource)
{
    if (c->state == CURVE_COMPLETE || c->reached >= resource)
        return c->target >= resource;
    return c->target >= resource &&
           (c->state == CURVE_FAILED || c->state == CURVE_PRUNED);
}

size_t curve_mean(const struct curve *seeds, size_t count, struct curve_point *out)
{
    const struct curve *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (seeds[i].count && (!first || seeds[i].count < first->count))
            first = &seeds[i];
    for (size_t k = 0; first && k < first->count; k++) {
        int64_t step = first->points[k].step;
        double sum = 0;
        size_t have = 0, started = 0;
        for (size_t i = 0; i < count; i++) {
            started += seeds[i].count > 0;
            for (size_t j = 0; j < seeds[i].count; j++)
                if (seeds[i].points[j].step == step) {
                    sum += seeds[i].points[j].value;
                    have++;
                    break;
                }
        }
        if (have == started)
            out[n++] = (struct curve_point){step, sum / (double)have};
    }
    return n;
}
