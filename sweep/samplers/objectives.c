/* sweep/samplers/objectives.c - see objectives.h. */
#include "sweep/samplers/objectives.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>

/* The members of one front. */
static void order_front(const struct pareto_set *s, const double *reference,
                        size_t *members, size_t n, size_t wanted)
{
    size_t m = s->dims;
    double *points = xcalloc((n + 1) * m, sizeof *points);
    struct pareto_set chosen = {points, 0, m, s->maximize};
    for (size_t at = 0; at < n && at < wanted; at++) {
        size_t best = at;
        double most = -1;
        chosen.count = at + 1;
        for (size_t i = at; i < n; i++) {
            memcpy(points + at * m, s->points + members[i] * m, m * sizeof *points);
            double volume = pareto_hypervolume(&chosen, reference);
            if (volume > most) {
                most = volume;
                best = i;
            }
        }
        size_t winner = members[best];
        memmove(members + at + 1, members + at, (best - at) * sizeof *members);
        members[at] = winner;
        memcpy(points + at * m, s->points + winner * m, m * sizeof *points);
    }
    free(points);
}

void pareto_order(const struct pareto_set *s, size_t wanted, size_t *order)
{
    int *rank = xcalloc(s->count + 1, sizeof *rank);
    double *reference = xcalloc(s->dims + 1, sizeof *reference);
    size_t done = 0, unranked = 0;
    pareto_ranks(s, rank);
    pareto_reference(s, reference);
    for (size_t i = 0; i < s->count; i++)
        unranked += rank[i] < 0;
    for (int level = 0; done + unranked < s->count; level++) {
        size_t first = done;
        for (size_t i = 0; i < s->count; i++)
            if (rank[i] == level)
                order[done++] = i;
        if (first < wanted && done > wanted && s->dims <= PARETO_VOLUME_DIMS)
            order_front(s, reference, order + first, done - first, wanted - first);
    }
    for (size_t i = 0; i < s->count; i++)
        if (rank[i] < 0)
            order[done++] = i;
    free(rank);
    free(reference);
}
