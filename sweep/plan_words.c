/* sweep/plan_words.c - how a sweep goes on, in words: sampler, slices, rungs, rule. */
#include "lib/json.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/pruners/pruner.h"
#include "sweep/samplers/sampler.h"
#include "sweep/sweep.h"

#define SHOWN_MAX 6

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

static void print_sampler(const struct sweep_plan *p, FILE *f)
{
    const struct sweep_file *file = p->file;
    const size_t seeds = file->seed_count;
    if (str_eq(file->method, "grid"))
        return;
    if (!str_eq(file->method, "tpe")) {
        text_print(f, "%s: %zu configurations, drawn from the seed alone\n", file->method,
                   p->space.count);
        return;
    }
    fprintf(f,
            "tpe: the first %zu configurations are drawn at random; once %llu are "
            "finished, each further one is chosen by the results so far",
            p->space.count, (unsigned long long)sampler_startup(file));
    if (file->max_trials)
        fprintf(f, ", up to %zu configurations in all", (size_t)file->max_trials / seeds);
    putc('\n', f);
}

/* The last rung is the end of the trial. */
static void print_asha(const struct pruner *p, const char *unit, FILE *f)
{
    int64_t rungs[PRUNER_RUNGS_MAX];
    const int n = asha_rungs(&p->s, rungs);
    if (n == 1) {
        fputs("asha: no rung below max, every trial runs to its end\n", f);
        return;
    }
    text_print(f, "asha: rung%s at %s ", n > 2 ? "s" : "", unit);
    for (int i = 0; i + 1 < n; i++)
        text_print(f, "%s%lld", i ? ", " : "", (long long)rungs[i]);
    text_print(f, "; of those that have come to one the best 1/%lld go on%s\n",
               (long long)p->s.eta,
               n > 2 ? ", from the last to their end" : " to their end");
}

static void print_hyperband(const struct pruner *p, const char *unit, FILE *f)
{
    struct hyperband_bracket b[PRUNER_RUNGS_MAX];
    const int n = hyperband_brackets(&p->s, b);
    for (int i = 0; i < n; i++) {
        int64_t left = b[i].n, power = 1;
        for (int k = 0; k < b[i].s; k++)
            power *= p->s.eta;
        fprintf(f, "hyperband: bracket %d:", i + 1);
        for (int k = 0; k < b[i].s; k++, left /= p->s.eta, power /= p->s.eta)
            text_print(f, " %lld configuration%s to %s %lld,",
                       (long long)(left ? left : 1), left > 1 ? "s" : "", unit,
                       (long long)(p->s.max / power));
        text_print(f, " %lld configuration%s to the end\n", (long long)(left ? left : 1),
                   left > 1 ? "s" : "");
    }
}

static void print_bands(const struct pruner *p, const char *unit, FILE *f)
{
    int64_t steps[PRUNER_RUNGS_MAX];
    const int n = bands_steps(&p->s, steps), shown = n < SHOWN_MAX ? n : SHOWN_MAX;
    (void)unit;
    fputs("hyperband: looks at reports ", f);
    for (int i = 0; i < shown; i++)
        text_print(f, "%s%lld", i ? ", " : "", (long long)steps[i]);
    text_print(f, "%s of the metric\n", shown < n ? ", ..." : "");
}

static void print_percentile(const struct pruner *p, const char *unit, FILE *f)
{
    text_print(
        f,
        "%s: once %lld configurations are complete, one that is worse than %s of them "
        "at the same %s is stopped\n",
        p->rule->name, (long long)p->s.startup,
        str_eq(p->rule->name, "median") ? "half" : "the percentile", unit);
}

static void print_halving(const struct pruner *p, const char *unit, FILE *f)
{
    fprintf(f, "successive_halving: from ");
    if (p->s.min)
        text_print(f, "%s %lld on, each %lld times as far", unit, (long long)p->s.min,
                   (long long)p->s.eta);
    else
        fprintf(f, "a hundredth of the first complete run on, each %lld times as far",
                (long long)p->s.eta);
    fprintf(f, ", what is not among the best 1/%lld so far is stopped\n",
            (long long)p->s.eta);
}

static void print_rule(const struct sweep_plan *p, FILE *f)
{
    static const struct {
        const char *rule;
        void (*print)(const struct pruner *p, const char *unit, FILE *f);
    } rows[] = {
        {"asha", print_asha},
        {"hyperband", print_hyperband},
        {"bands", print_bands},
        {"median", print_percentile},
        {"percentile", print_percentile},
        {"successive_halving", print_halving},
    };
    const int64_t resource = sweep_plan_resource(p);
    struct pruner pruner;
    if (!p->file->early_terminate || pruner_init(&pruner, p->file, resource, NULL) < 0)
        return;
    if (resource > 0 || !pruner.rule->promotes)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (str_eq(rows[i].rule, pruner.rule->name))
                rows[i].print(&pruner, in_epochs(p->file) ? "epoch" : "step", f);
    pruner_release(&pruner);
}

void sweep_plan_words(const struct sweep_plan *p, int slices, FILE *f)
{
    print_sampler(p, f);
    if (slices > 1)
        fprintf(f,
                "interleave: every trial trains in %d slices, all trials side by side\n",
                slices);
    print_rule(p, f);
}
