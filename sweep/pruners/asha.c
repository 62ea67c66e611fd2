/* sweep/pruners/asha.c - asynchronous successive halving, the promotion form (Li et al.,
 * A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, algorithm 2).
 *
 * A free worker scans the rungs from the one below the last down: of the finished trials
 * of a rung, by value (ties: lower number; NaN last), the best floor(count / eta) may go
 * on; the first of them that has not yet goes to the next rung. If there is none
 * anywhere, a new trial starts at the bottom. A trial that failed on its way to a rung
 * counts there as NaN. */
#include "lib/mem.h"
#include "lib/text_table.h"
#include "sweep/pruners/pruner.h"
#include "sweep/pruners/ranking.h"
#include <stdlib.h>

int asha_rungs(const struct pruner_settings *s, int64_t out[PRUNER_RUNGS_MAX])
{
    int64_t resource = s->min;
    int n = 0;
    for (int64_t i = 0; i < s->rate; i++)
        if (__builtin_mul_overflow(resource, s->eta, &resource))
            resource = INT64_MAX;
    do {
        out[n++] = resource;
    } while (n < PRUNER_RUNGS_MAX &&
             !__builtin_mul_overflow(resource, s->eta, &resource) && resource <= s->max);
    return n;
}

static void next(struct pruner *p, const struct curve *curves, size_t count,
                 bool exhausted, struct pruner_move *move)
{
    int64_t rungs[PRUNER_RUNGS_MAX];
    int n = asha_rungs(&p->s, rungs);
    struct ranked *best = xcalloc(count + 1, sizeof *best);
    for (int k = n - 2; k >= 0; k--) {
        size_t there = rank_at_rung(curves, count, rungs[k], p->s.maximize, best);
        const struct ranked *r =
            first_to_promote(curves, best, there / (size_t)p->s.eta, rungs[k]);
        if (!r)
            continue;
        *move =
            (struct pruner_move){PRUNER_RUN, r->index, rungs[k + 1], k + 1, k + 2 == n};
        free(best);
        return;
    }
    free(best);
    if (!exhausted)
        *move = (struct pruner_move){PRUNER_START, 0, rungs[0], 0, n == 1};
}

static int rung_of(const struct pruner *p, uint64_t number, int64_t resource, int *rungs)
{
    int64_t all[PRUNER_RUNGS_MAX];
    int k = 0;
    (void)number;
    *rungs = asha_rungs(&p->s, all);
    while (k + 1 < *rungs && all[k] < resource)
        k++;
    return k;
}

static int check(struct pruner_settings *s, struct err *err)
{
    s->eta = s->eta ? s->eta : 4;
    s->min = s->min ? s->min : 1;
    int64_t rungs[PRUNER_RUNGS_MAX];
    if (s->max && (asha_rungs(s, rungs), rungs[0] > s->max))
        return err_set(err, ERR_CONFIG,
                       "the first rung, min * eta^rate = %lld, is above max = %lld",
                       (long long)rungs[0], (long long)s->max);
    return 0;
}

/* The last rung is the end of the trial. */
static void say(const struct pruner *p, const char *unit, FILE *f)
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

const struct pruner_rule pruner_asha = {.name = "asha",
                                        .say = say,
                                        .promotes = true,
                                        .check = check,
                                        .next = next,
                                        .rung_of = rung_of};
