/* The next token: order and edges of transformers' logits processors, on logits of which
 * the answer is known by hand. */
#include "runner/generate/sampler.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { WIDTH = 6, DRAWS = 4000 };

static int32_t next(const struct sampling *how, const float *logits, uint64_t stream)
{
    static const int32_t prompt[] = {1, 1}, ids[] = {3};
    const struct text_ids text = {prompt, ids, 2, 1};
    struct sampler s;
    sampler_init(&s, how, WIDTH);
    const int32_t id = sampler_next(&s, logits, &text, stream);
    sampler_release(&s);
    return id;
}

/* How often each token is drawn. */
static void count(const struct sampling *how, const float *logits, int counts[WIDTH])
{
    memset(counts, 0, WIDTH * sizeof *counts);
    for (uint64_t i = 0; i < DRAWS; i++)
        counts[next(how, logits, i)]++;
}

static void assert_shares(const struct sampling *how, const float *logits,
                          const double shares[WIDTH])
{
    int counts[WIDTH];
    count(how, logits, counts);
    for (int i = 0; i < WIDTH; i++) {
        const double p = shares[i], sd = sqrt(p * (1 - p) / DRAWS);
        if (fabs((double)counts[i] / DRAWS - p) > 4.5 * sd)
            fail_msg("token %d: %d of %d draws, expected %.4f", i, counts[i], DRAWS, p);
    }
}

static void greedy_takes_the_first_of_the_best(void **state)
{
    (void)state;
    const float logits[WIDTH] = {0, 2, 5, 5, -1, 1};
    assert_int_equal(next(&SAMPLING_GREEDY, logits, 0), 2);
}

/* Tokens 1 (prompt, twice, divided once) and 3 were there. */
static void penalty_works_by_sign_and_once(void **state)
{
    (void)state;
    const float above[WIDTH] = {0, 4, 1.9f, 3.9f, 0, 0};
    const float below[WIDTH] = {-9, -1, -1.9f, -1, -9, -9};
    struct sampling how = SAMPLING_GREEDY;
    how.repetition_penalty = 2;
    assert_int_equal(next(&how, above, 0), 1); /* 4 / 2 over 1.9; / 4 would not be */
    assert_int_equal(next(&how, below, 0), 2); /* -1 * 2 under -1.9 */
}

static void what_is_no_number_is_told(void **state)
{
    (void)state;
    float logits[WIDTH] = {0, 1, 2, 3, 4, 5};
    logits[2] = NAN;
    assert_int_equal(next(&SAMPLING_GREEDY, logits, 0), -1);
    logits[2] = INFINITY;
    assert_int_equal(next(&SAMPLING_GREEDY, logits, 0), -1);
    logits[2] = -INFINITY; /* a token that cannot be */
    assert_int_equal(next(&SAMPLING_GREEDY, logits, 0), 5);
}

#define LOGITS                                                                           \
    {                                                                                    \
        logf(.1f), logf(.3f), logf(.2f), logf(.2f), logf(.05f), logf(.15f)               \
    }

static void temperature_bends_the_shares(void **state)
{
    (void)state;
    const float logits[WIDTH] = LOGITS;
    const double p[WIDTH] = {.1, .3, .2, .2, .05, .15};
    double half[WIDTH], sum = 0;
    struct sampling how = {1, 0, 1, 1, 7};
    assert_shares(&how, logits, p);
    for (int i = 0; i < WIDTH; i++)
        sum += half[i] = p[i] * p[i];
    for (int i = 0; i < WIDTH; i++)
        half[i] /= sum;
    how.temperature = .5;
    assert_shares(&how, logits, half);
}

/* Also where logits by the temperature are no floats. */
static void the_coldest_draw_is_the_best(void **state)
{
    (void)state;
    const float above[WIDTH] = {0, 2, 5, 4, -1, 1},
                below[WIDTH] = {-9, -3, -2, -4, -9, -7};
    for (double t = 1e-3; t > 1e-300; t *= 1e-3) {
        const struct sampling how = {t, 0, 1, 1, 7}, part = {t, 4, .9, 1, 7};
        assert_int_equal(next(&how, above, 0), 2);
        assert_int_equal(next(&how, below, 0), 2);
        assert_int_equal(next(&part, above, 0), 2);
        assert_int_equal(next(&part, below, 0), 2);
    }
}

/* The second best has an equal: both stay, as in transformers' "below the k-th". */
static void top_k_keeps_equals(void **state)
{
    (void)state;
    const float logits[WIDTH] = LOGITS;
    const double both[WIDTH] = {0, .3 / .7, .2 / .7, .2 / .7, 0, 0},
                 one[WIDTH] = {0, 1, 0, 0, 0, 0}, all[WIDTH] = {.1, .3, .2, .2, .05, .15};
    struct sampling how = {1, 2, 1, 1, 7};
    assert_shares(&how, logits, both);
    how.top_k = 1;
    assert_shares(&how, logits, one);
    how.top_k = 100;
    assert_shares(&how, logits, all);
}

/* Ascending .05, .1, .15, ...: what sums up to at most 1 - p goes. */
static void top_p_drops_the_tail(void **state)
{
    (void)state;
    const float logits[WIDTH] = LOGITS;
    const double most[WIDTH] = {0, .3 / .85, .2 / .85, .2 / .85, 0, .15 / .85},
                 one[WIDTH] = {0, 1, 0, 0, 0, 0};
    struct sampling how = {1, 0, .8, 1, 7};
    assert_shares(&how, logits, most);
    how.top_p = 0; /* the best always stays */
    assert_shares(&how, logits, one);
}

/* top-p sees the probabilities of what top-k left: .3, .2, .2 of .7. */
static void top_p_comes_after_top_k(void **state)
{
    (void)state;
    const float logits[WIDTH] = LOGITS;
    const double first[WIDTH] = {0, .6, .4, 0, 0, 0};
    struct sampling how = {1, 2, .7, 1, 7};
    assert_shares(&how, logits, first);
}

static void draws_go_by_seed_and_text(void **state)
{
    (void)state;
    const float logits[WIDTH] = LOGITS;
    const struct sampling how = {1, 0, 1, 1, 7}, other = {1, 0, 1, 1, 8};
    int same = 0, moved = 0;
    for (uint64_t i = 0; i < 200; i++) {
        assert_int_equal(next(&how, logits, i), next(&how, logits, i));
        same += next(&how, logits, i) == next(&how, logits, i + 1000);
        moved += next(&how, logits, i) != next(&other, logits, i);
    }
    assert_in_range(same, 10, 90); /* a fifth by chance */
    assert_in_range(moved, 110, 190);
}

/* Of a wide vocabulary in no order. */
static void top_k_of_many(void **state)
{
    (void)state;
    enum { MANY = 5000, K = 37 };
    struct sampler s;
    const struct sampling how = {1, K, 1, 1, 3};
    const struct text_ids none = {0};
    float *logits = xcalloc(MANY, sizeof *logits);
    for (int i = 0; i < MANY; i++)
        logits[i] = (float)(i * 2741 % MANY) / MANY;
    sampler_init(&s, &how, MANY);
    for (uint64_t i = 0; i < 500; i++)
        assert_true(logits[sampler_next(&s, logits, &none, i)] >=
                    (float)(MANY - K) / MANY);
    sampler_release(&s);
    free(logits);
}

/* --- beside one that sorts all --- */

enum { WIDE = 3000 };

static int best_first(const void *a, const void *b, void *weights)
{
    const int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    const float x = ((const float *)weights)[i], y = ((const float *)weights)[j];
    return x != y ? (x < y ? 1 : -1) : i - j;
}

static int32_t by_sorting(const struct sampling *how, const float *logits, uint64_t place)
{
    static int32_t order[WIDE];
    static float weights[WIDE];
    const struct philox_key key = rng_key(how->seed, "generate");
    float most = -INFINITY;
    double sum = 0, below = 0, at;
    int32_t n = WIDE;
    for (int32_t i = 0; i < WIDE; i++)
        most = fmaxf(most, (float)(logits[i] / how->temperature));
    for (int32_t i = 0; i < WIDE; i++) {
        order[i] = i;
        sum += weights[i] = expf((float)(logits[i] / how->temperature) - most);
    }
    qsort_r(order, WIDE, sizeof *order, best_first, weights);
    const double limit = (1 - how->top_p) * sum;
    while (n > 1 && below + weights[order[n - 1]] <= limit)
        below += weights[order[--n]];
    at = rng_uniform(&key, place, 0) * (sum - below);
    for (int32_t i = 0; i + 1 < n; i++)
        if ((at -= weights[order[i]]) < 0)
            return order[i];
    return order[n - 1];
}

/* Also of many equal logits, and where one has all the weight. */
static void top_p_of_many_as_by_sorting(void **state)
{
    static const double parts[] = {.999, .95, .7, .3, 0}, temperatures[] = {.5, 1, 3};
    (void)state;
    const struct text_ids none = {0};
    float *logits = xcalloc(WIDE, sizeof *logits);
    int different = 0;
    for (int kind = 0; kind < 4; kind++) {
        for (int i = 0; i < WIDE; i++) {
            const int x = i * 1741 % WIDE;
            logits[i] = kind == 0   ? (float)x / 300
                        : kind == 1 ? (float)(x % 5)
                        : kind == 2 ? 1
                                    : (float)(x == 7 ? 90 : x % 50);
        }
        for (size_t k = 0; k < ARRAY_LEN(parts) * ARRAY_LEN(temperatures); k++) {
            const struct sampling how = {temperatures[k % ARRAY_LEN(temperatures)], 0,
                                         parts[k / ARRAY_LEN(temperatures)], 1, 9};
            struct sampler s;
            int32_t first = -1;
            sampler_init(&s, &how, WIDE);
            for (uint64_t i = 0; i < 60; i++) {
                const int32_t id = sampler_next(&s, logits, &none, i);
                assert_int_equal(id, by_sorting(&how, logits, i));
                different += first >= 0 && id != first;
                first = id;
            }
            sampler_release(&s);
        }
    }
    assert_true(different > 1000);
    free(logits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_first_of_the_best),
        cmocka_unit_test(penalty_works_by_sign_and_once),
        cmocka_unit_test(what_is_no_number_is_told),
        cmocka_unit_test(temperature_bends_the_shares),
        cmocka_unit_test(the_coldest_draw_is_the_best),
        cmocka_unit_test(top_k_keeps_equals),
        cmocka_unit_test(top_p_drops_the_tail),
        cmocka_unit_test(top_p_comes_after_top_k),
        cmocka_unit_test(draws_go_by_seed_and_text),
        cmocka_unit_test(top_k_of_many),
        cmocka_unit_test(top_p_of_many_as_by_sorting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
