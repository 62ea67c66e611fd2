/* sweep/plan_words.c - how a sweep goes on, in words: sampler, slices, rungs, rule. */
#include "lib/json.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/pruners/pruner.h"
#include "sweep/run/until_rule.h"
#include "sweep/samplers/sampler.h"
#include "sweep/sweep.h"
#include <math.h>

static bool in_epochs(const struct sweep_file *f)
{
    return str_eq(json_get_str(f->early, "resource", "step"), "epoch");
}

int64_t sweep_plan_resource(const struct sweep_plan *p)
{
    int64_t longest = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct sweep_trial *t = &p->trials[i];
        const int64_t unit =
            in_epochs(p->file) && t->updates_per_epoch > 0 ? t->updates_per_epoch : 1;
        const int64_t n = (t->updates + unit - 1) / unit;
        longest = n > longest ? n : longest;
    }
    return longest;
}

static void print_rule(const struct sweep_plan *p, FILE *f)
{
    const int64_t resource = sweep_plan_resource(p);
    struct pruner pruner;
    if (!p->file->early_terminate || pruner_init(&pruner, p->file, resource, NULL) < 0)
        return;
    if (resource > 0 || !pruner.rule->promotes)
        pruner.rule->say(&pruner, in_epochs(p->file) ? "epoch" : "step", f);
    pruner_release(&pruner);
}

size_t sweep_plan_least(const struct sweep_plan *p)
{
    const size_t seeds = p->file->seed_count;
    return p->file->until.goal && seeds > UNTIL_FIRST ? p->combinations * UNTIL_FIRST
                                                      : p->count;
}

static void print_until(const struct sweep_plan *p, FILE *f)
{
    const struct sweep_until *u = &p->file->until;
    if (u->goal == UNTIL_REGRET)
        fprintf(f, "until expected regret is below %g", u->limit);
    else if (u->goal == UNTIL_CHANCE)
        text_print(f, "until the chance to lose more than %s is below %g",
                   isnan(u->delta) ? "the smallest difference" : "delta", u->limit);
    else if (u->goal == UNTIL_DECIDED)
        fprintf(f, "until every other is shown to be worse, or as good");
    if (u->goal && sweep_plan_least(p) == p->count)
        text_print(f, ": with so few seeds all %zu trials run\n", p->count);
    else if (u->goal)
        text_print(f,
                   ": at least %zu trials (%d seeds of each), at most %zu; looks at the "
                   "results after each round\n",
                   sweep_plan_least(p), UNTIL_FIRST, p->count);
}

void sweep_plan_words(const struct sweep_plan *p, int slices, FILE *f)
{
    const struct sampler_row *sampler = sampler_find(p->file->method);
    if (sampler && sampler->say)
        sampler->say(p->file, p->space.count, f);
    if (slices > 1)
        fprintf(f,
                "interleave: every trial trains in %d slices, all trials side by side\n",
                slices);
    print_rule(p, f);
    print_until(p, f);
}
