/* tests/simulate/until.c - `until` on sweeps with a known truth, by the rule that the
 * controller has (sweep/run/until_rule.h), beside the grid of five seeds that takes the best
 * mean; as a Markdown table.
 *   simulate-until [SWEEPS [SEED]]       1,000 sweeps per scenario unless told
 * Scores are normal, figures in standard deviations of a seed. */
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include "report/evidence/verdict.h"
#include "sweep/run/until_rule.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFIGS_MAX 16
#define SEEDS_MAX   12
#define GRID_SEEDS  5

static const struct {
    const char *name;
    double lead, stair;
} truths[] = {{"lead of 4 s.d.", 4, 0},       {"lead of 2 s.d.", 2, 0},
              {"lead of 1 s.d.", 1, 0},       {"stairs of 1 s.d.", 0, 1},
              {"stairs of 0.4 s.d.", 0, 0.4}, {"none", 0, 0}};

static const struct {
    const char *name;
    struct sweep_until until;
    size_t seeds_max;
} rules[] = {{"regret 0.125", {UNTIL_REGRET, 0.125, 0.25}, 5},
             {"regret 0.06, seeds_max 8", {UNTIL_REGRET, 0.06, 0.25}, 8},
             {"decided, delta 0.5, seeds_max 12", {UNTIL_DECIDED, 0, 0.5}, SEEDS_MAX}};

struct world {
    size_t configs;
    double truth[CONFIGS_MAX], best, x[CONFIGS_MAX][SEEDS_MAX];
};

static void fill(struct world *w, size_t truth, uint64_t sweep, uint64_t seed)
{
    const struct philox_key key = rng_key(seed, truths[truth].name);
    w->best = -INFINITY;
    for (size_t i = 0; i < w->configs; i++) {
        w->truth[i] = i == 0 ? truths[truth].lead : -(double)i * truths[truth].stair;
        w->best = fmax(w->best, w->truth[i]);
        for (size_t s = 0; s < SEEDS_MAX; s++)
            w->x[i][s] = w->truth[i] + rng_normal(&key, sweep, i * SEEDS_MAX + s);
    }
}

static double grid_regret(const struct world *w)
{
    size_t best = 0;
    for (size_t i = 1; i < w->configs; i++)
        if (stat_mean(w->x[i], GRID_SEEDS) > stat_mean(w->x[best], GRID_SEEDS))
            best = i;
    return w->best - w->truth[best];
}

struct outcome {
    double regret, said, trials, rounds, reached, wrong, better;
};

/* Whether the report's words, which are made for one look, call some pair better that is
 * not. */
static bool is_better_wrong(const struct world *w, const size_t *n, double delta)
{
    struct verdict_row rows[CONFIGS_MAX * SEEDS_MAX];
    const struct verdict_rules words = {.delta = delta, .collapse = NAN};
    size_t count = 0;
    bool wrong = false;
    for (size_t i = 0; i < w->configs; i++)
        for (size_t s = 0; s < n[i]; s++)
            rows[count++] = (struct verdict_row){.config = i,
                                                 .seed = (int64_t)s,
                                                 .complete = true,
                                                 .select = w->x[i][s],
                                                 .score = w->x[i][s]};
    struct verdict *v = verdict_new(rows, count, w->configs, &words);
    for (size_t i = 0; i < v->pair_count; i++)
        wrong |= v->pairs[i].word == VERDICT_BETTER &&
                 w->truth[v->pairs[i].a] <= w->truth[v->pairs[i].b];
    verdict_free(v);
    return wrong;
}

/* As sweep/run/until.c does it: a look, one seed more of each that is sent. */
static void run_until(const struct world *w, size_t rule, struct outcome *o)
{
    size_t n[CONFIGS_MAX], send[CONFIGS_MAX], rounds = 0, trials = 0;
    struct until_look l;
    for (size_t i = 0; i < w->configs; i++)
        n[i] = UNTIL_FIRST;
    do {
        struct until_arm arms[CONFIGS_MAX];
        for (size_t i = 0; i < w->configs; i++)
            arms[i] =
                (struct until_arm){w->x[i], n[i], rules[rule].seeds_max - n[i], false};
        until_look_at(&rules[rule].until, arms, w->configs, ++rounds, false, send, &l);
        for (size_t i = 0; i < l.send_count; i++)
            n[send[i]]++;
    } while (l.send_count);
    for (size_t i = 0; i < w->configs; i++)
        trials += n[i];
    o->regret += w->best - w->truth[l.best];
    o->said += l.expected;
    o->trials += (double)trials;
    o->rounds += (double)rounds;
    o->reached += l.reached;
    /* a wrong verdict: decided, and more than delta off the best */
    o->better += is_better_wrong(w, n, 0);
    o->wrong += l.reached && w->best - w->truth[l.best] >= l.delta;
}

static void row(size_t truth, size_t configs, size_t rule, size_t sweeps, uint64_t seed)
{
    static struct world w;
    struct outcome o = {0};
    double grid = 0;
    w.configs = configs;
    for (uint64_t i = 0; i < sweeps; i++) {
        fill(&w, truth, i, seed);
        grid += grid_regret(&w);
        run_until(&w, rule, &o);
    }
    const double n = (double)sweeps, trials = o.trials / n;
    printf("| %s | %zu | %s | %.3f | %.3f | %.3f | %.1f | %.0f %% | %.1f | %.0f %% | "
           "%.1f %% | %.1f %% |\n",
           truths[truth].name, configs, rules[rule].name, grid / n, o.regret / n,
           o.said / n, trials, 100 * trials / (double)(configs * GRID_SEEDS),
           o.rounds / n, 100 * o.reached / n, 100 * o.wrong / n, 100 * o.better / n);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const size_t sweeps = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (sweeps < 1 || sweeps > 10000000) {
        fprintf(stderr, "simulate-until: '%s' is no number of sweeps\n", argv[1]);
        return 2;
    }
    puts("| truth | configurations | until | regret of 5 seeds each | regret | said | "
         "trials | of 5 seeds each | looks | reached | decided wrongly | better "
         "wrongly |\n"
         "|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++)
        for (size_t configs = 8; configs <= CONFIGS_MAX; configs *= 2)
            for (size_t t = 0; t < sizeof truths / sizeof *truths; t++)
                row(t, configs, r, sweeps, seed);
    return 0;
}
