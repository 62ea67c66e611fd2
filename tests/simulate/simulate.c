/* tests/simulate/simulate.c - how often verdicts err, as a Markdown table.
 *   simulate [SWEEPS [SEED [PART OF A NAME]]]    2,000 sweeps per scenario unless told
 * A rate whose interval lies above its nominal rate is marked with "!". */
#include "tests/simulate/sweeps.h"

static const char *cell(const struct tally *t, size_t sweeps, double nominal)
{
    static char text[8][64];
    static size_t turn;
    char *out = text[turn = (turn + 1) % ARRAY_LEN(text)];
    if (!(t->of > 0))
        return "";
    struct stat_interval i = tally_interval(t, sweeps);
    snprintf(out, sizeof text[0], "%.1f [%.1f, %.1f]%s", 100 * tally_rate(t), 100 * i.low,
             100 * i.high, i.low > nominal ? " !" : "");
    return out;
}

/* A mean in the unit of the scores, "true (said)". */
static const char *means(const struct tally *is, const struct tally *said, double scale)
{
    static char text[4][64];
    static size_t turn;
    char *out = text[turn = (turn + 1) % ARRAY_LEN(text)];
    if (!(is->of > 0))
        return "";
    snprintf(out, sizeof text[0], "%.3g (%.3g)", scale * tally_rate(is),
             scale * tally_rate(said));
    return out;
}

static void print_row(const struct scenario *s, const struct rates *r)
{
    size_t n = r->sweeps;
    printf("| %s | %zu x %zu | %s | %s | %s | %s | %s | %s |", s->name, s->configs,
           s->seeds, cell(&r->better, n, NOMINAL), cell(&r->equivalent, n, NOMINAL),
           cell(&r->any_equivalent, n, 1), cell(&r->missed, n, NOMINAL),
           cell(&r->same, n, 1), cell(&r->power, n, 1));
    printf(" %.1f | %.1f | %s | %s | %s |\n", 100 * tally_rate(&r->cover),
           100 * tally_rate(&r->cover_all), means(&r->regret, &r->expected, 1),
           s->delta > 0 ? means(&r->beyond, &r->chance, 100) : "",
           cell(&r->outside, n, NOMINAL));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    size_t sweeps = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (sweeps < 1 || sweeps > 10000000) {
        fprintf(stderr, "simulate: '%s' is no number of sweeps\n", argv[1]);
        return 2;
    }
    printf("| scenario | configurations x seeds | false better | false equivalent | some "
           "in a sweep | best missed | true equivalent | power | cover | cover all | "
           "regret (expected) | beyond delta (chance) | not within |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        struct rates r;
        if (argc > 3 && !strstr(scenarios[i].name, argv[3]))
            continue;
        simulate(&scenarios[i], sweeps, seed, &r);
        print_row(&scenarios[i], &r);
        rates_release(&r);
    }
    return 0;
}
