/* Verdicts on sweeps with a known truth: a small, fixed part of `make simulate`
 * (tests/simulate; docs/verdicts.md has the whole table). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/simulate/sweeps.h"

#define SWEEPS 1000

static void run(const char *name, struct rates *r)
{
    size_t i = 0;
    while (i < ARRAY_LEN(scenarios) && strcmp(scenarios[i].name, name) != 0)
        i++;
    assert_true(i < ARRAY_LEN(scenarios));
    simulate(&scenarios[i], SWEEPS, 20261124, r);
}

/* Not above nominal beyond what chance allows. */
static void assert_nominal(const char *name, const char *what, const struct tally *t)
{
    struct stat_interval i = tally_interval(t, SWEEPS);
    if (i.low > NOMINAL)
        fail_msg("%s: %s in %.1f %% [%.1f, %.1f], nominal %.0f %%", name, what,
                 100 * tally_rate(t), 100 * i.low, 100 * i.high, 100 * NOMINAL);
}

static void errors_are_nominal(void **state)
{
    (void)state;
    const char *const names[] = {
        "null-2x3",         "null-4x5",        "null-8x3",      "null-shared",
        "null-welch-4x5",   "null-heavy",      "null-collapse", "null-collapse-8x3",
        "null-missing",     "null-rates",      "twins-8x5",     "edge-2x5",
        "edge-8x5",         "edge-welch",      "edge-collapse", "winner-4x8",
        "null-unequal-8x3", "null-noisy-16x3", "items-null-63"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct rates r;
        run(names[i], &r);
        assert_nominal(names[i], "false better", &r.better);
        assert_nominal(names[i], "best missed", &r.missed);
        if (r.equivalent.of > 0)
            assert_nominal(names[i], "false equivalent", &r.equivalent);
        rates_release(&r);
    }
}

/* Never saying anything would pass the test above. */
static void verdicts_are_given(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double better, equivalent, power; /* at least */
    } wanted[] = {
        {"null-2x3", 0.03, 0, 0}, /* the level is used up */
        {"winner-4x3", 0, 0, 0.9},      {"winner-8x5", 0, 0.6, 0.9},
        {"edge-shared", 0, 0.95, 0.12}, /* pairing takes the seeds' effect out */
        {"same-8x8", 0, 0.9, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        struct rates r;
        run(wanted[i].name, &r);
        assert_true(tally_rate(&r.better) >= wanted[i].better);
        assert_true(!wanted[i].equivalent || tally_rate(&r.same) >= wanted[i].equivalent);
        assert_true(!wanted[i].power || tally_rate(&r.power) >= wanted[i].power);
        rates_release(&r);
    }
}

/* Effort that differs: a smallest difference keeps luck from deciding. */
static void luck_of_tuning_does_not_win(void **state)
{
    (void)state;
    struct rates r;
    run("null-effort-delta", &r);
    assert_nominal("null-effort-delta", "false better", &r.better);
    rates_release(&r);
}

/* What taking the best costs is no more than said, and on average tables not much less:
 * the chance that is said covers the frequency within a factor of three. (One leader by
 * one s.d. among eight is the worst table known: 24 % for 17 said.) */
static void regret_is_not_understated(void **state)
{
    (void)state;
    const char *const names[] = {"drawn-4x3", "drawn-8x5"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct rates r;
        run(names[i], &r);
        double is = tally_rate(&r.regret), said = tally_rate(&r.expected);
        double beyond = tally_rate(&r.beyond), chance = tally_rate(&r.chance);
        struct stat_interval off = tally_interval(&r.beyond, SWEEPS);
        if (!(is < 1.1 * said + .01 && said < 4 * is + .05) || off.low > chance ||
            chance > 3 * beyond + .05)
            fail_msg("%s: regret %.3g, said %.3g; beyond %.3g, said %.3g", names[i], is,
                     said, beyond, chance);
        assert_nominal(names[i], "not within", &r.outside);
        rates_release(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_nominal),
        cmocka_unit_test(verdicts_are_given),
        cmocka_unit_test(luck_of_tuning_does_not_win),
        cmocka_unit_test(regret_is_not_understated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
