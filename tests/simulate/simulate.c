/* tests/simulate/simulate.c - how often verdicts err, as a Markdown table.
 *   simulate [SWEEPS [SEED [NAME]]]      2,000 sweeps per scenario unless told
 * A rate whose interval lies above its nominal rate is marked with "!". */
#include "tests/simulate/sweeps.h"

static const char *cell(const struct tally *t, size_t sweeps, double nominal)
{
    static char text[6][64];
    static size_t turn;
    char *out = text[turn = (turn + 1) % ARRAY_LEN(text)];
    if (!(t->of > 0))
        return "";
    struct stat_interval i = tally_interval(t, sweeps);
    snprintf(out, sizeof text[0], "%.1f [%.1f, %.1f]%s", 100 * tally_rate(t), 100 * i.low,
             100 * i.high, i.low > nominal ? " !" : "");
    return out;
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
           "in a sweep | best "
           "missed | true equivalent | power |\n|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        const struct scenario *s = &scenarios[i];
        struct rates r;
        if (argc > 3 && strcmp(argv[3], s->name) != 0)
            continue;
        simulate(s, sweeps, seed, &r);
        printf("| %s | %zu x %zu | %s | %s | %s | %s | %s | %s |\n", s->name, s->configs,
               s->seeds, cell(&r.better, sweeps, NOMINAL),
               cell(&r.equivalent, sweeps, NOMINAL), cell(&r.any_equivalent, sweeps, 1),
               cell(&r.missed, sweeps, NOMINAL), cell(&r.same, sweeps, 1),
               cell(&r.power, sweeps, 1));
        fflush(stdout);
        rates_release(&r);
    }
    return 0;
}
