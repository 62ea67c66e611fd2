/* sweep/pruners/hyperband.c - Hyperband (Li et al., JMLR 2018), promotion form.
 *
 * Trials fill the brackets in order of their numbers, the most aggressive bracket first,
 * and start over after the last. Within a bracket a rung is filled before it promotes its
 * best floor(n / eta^(i + 1)), at least one, so the result does not depend on which trial
 * was faster; workers that would wait start trials of the next bracket. */
#include "lib/mem.h"
#include "lib/text_table.h"
#include "sweep/pruners/pruner.h"
#include "sweep/pruners/ranking.h"
#include <math.h>
#include <stdlib.h>

int hyperband_brackets(const struct pruner_settings *s,
                       struct hyperband_bracket out[PRUNER_RUNGS_MAX])
{
    int s_max = 0;
    int64_t resource = s->min, power = 1;
    while (s_max + 1 < PRUNER_RUNGS_MAX &&
           !__builtin_mul_overflow(resource, s->eta, &resource) && resource <= s->max)
        s_max++;
    for (int k = 0; k <= s_max; k++, power *= s->eta) {
        __int128 total = (__int128)(s_max + 1) * power;
        out[s_max - k] = (struct hyperband_bracket){k, (int64_t)((total + k) / (k + 1))};
    }
    return s_max + 1;
}

/* Whole steps, exact at the last rung. */
static int64_t resource_at(const struct pruner_settings *s,
                           const struct hyperband_bracket *b, int rung)
{
    int64_t resource = s->max;
    for (int i = rung; i < b->s; i++)
        resource /= s->eta;
    return resource;
}

/* One bracket that runs: its trials have numbers from `first` on. */
struct bracket_run {
    struct hyperband_bracket b;
    uint64_t first;
};

/* The bracket that holds this number. */
static struct bracket_run bracket_of(const struct pruner *p, uint64_t number)
{
    struct hyperband_bracket all[PRUNER_RUNGS_MAX];
    int n = hyperband_brackets(&p->s, all), k = 0;
    uint64_t cycle = 0;
    for (int i = 0; i < n; i++)
        cycle += (uint64_t)all[i].n;
    uint64_t first = number / cycle * cycle;
    while (first + (uint64_t)all[k].n <= number)
        first += (uint64_t)all[k++].n;
    return (struct bracket_run){all[k], first};
}

/* Promotes within one bracket, whose trials are `members`. True when there is a move. */
static bool promote(const struct pruner *p, const struct bracket_run *run,
                    const struct curve *members, size_t count, bool exhausted,
                    struct pruner_move *move)
{
    if (count < (size_t)run->b.n && !exhausted)
        return false;
    struct ranked *best = xcalloc(count + 1, sizeof *best);
    size_t slots = count;
    bool found = false;
    for (int rung = 0; rung < run->b.s && !found; rung++) {
        int64_t here = resource_at(&p->s, &run->b, rung);
        size_t sent = 0, promoted = 0;
        for (size_t i = 0; i < count; i++) {
            sent += members[i].target >= here;
            promoted += members[i].target > here;
        }
        size_t there = rank_at_rung(members, count, here, p->s.maximize, best);
        slots = slots / (size_t)p->s.eta > 1 ? slots / (size_t)p->s.eta : 1;
        if (there < sent)
            break;
        const struct ranked *r =
            promoted < slots ? first_to_promote(members, best, there, here) : NULL;
        if (r) {
            *move = (struct pruner_move){PRUNER_RUN, r->index,
                                         resource_at(&p->s, &run->b, rung + 1), rung + 1,
                                         rung + 1 == run->b.s};
            found = true;
        } else if (!promoted) {
            break;
        }
    }
    free(best);
    return found;
}

struct place {
    uint64_t number;
    size_t index;
};

static int by_number(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static void next(struct pruner *p, const struct curve *curves, size_t count,
                 bool exhausted, struct pruner_move *move)
{
    struct place *order = xcalloc(count + 1, sizeof *order);
    struct curve *members = xcalloc(count + 1, sizeof *members);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (curves[i].target > 0)
            order[n++] = (struct place){curves[i].number, i};
    qsort(order, n, sizeof *order, by_number);
    uint64_t new_number = n ? order[n - 1].number + 1 : 0;
    for (size_t i = 0, k; i < n && move->action == PRUNER_WAIT; i += k) {
        struct bracket_run run = bracket_of(p, order[i].number);
        for (k = 0; i + k < n && order[i + k].number < run.first + (uint64_t)run.b.n; k++)
            members[k] = curves[order[i + k].index];
        if (promote(p, &run, members, k, exhausted, move))
            move->index = order[i + move->index].index;
    }
    if (move->action == PRUNER_WAIT && !exhausted) {
        struct bracket_run run = bracket_of(p, new_number);
        *move = (struct pruner_move){PRUNER_START, 0, resource_at(&p->s, &run.b, 0), 0,
                                     run.b.s == 0};
    }
    free(order);
    free(members);
}

static int rung_of(const struct pruner *p, uint64_t number, int64_t resource, int *rungs)
{
    struct bracket_run run = bracket_of(p, number);
    int k = 0;
    *rungs = run.b.s + 1;
    while (k < run.b.s && resource_at(&p->s, &run.b, k) < resource)
        k++;
    return k;
}

static int check(struct pruner_settings *s, struct err *err)
{
    s->eta = s->eta ? s->eta : 3;
    s->min = s->min ? s->min : 1;
    if (s->max && s->min > s->max)
        return err_set(err, ERR_CONFIG, "min %lld is above max %lld", (long long)s->min,
                       (long long)s->max);
    return 0;
}

static void say(const struct pruner *p, const char *unit, FILE *f)
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

const struct pruner_rule pruner_hyperband = {.name = "hyperband",
                                             .say = say,
                                             .promotes = true,
                                             .check = check,
                                             .next = next,
                                             .rung_of = rung_of};
