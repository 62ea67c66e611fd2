/* tests/unit/cli/methods.c - the tables of the report and of advise speak of methods that
 * the trainer has, and say of them what its rows say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "lib/str.h"
#include "report/advise/advise.h"
#include "runner/nn/peft/method.h"
#include <stdlib.h>
#include <string.h>

enum { MAX = 64 };
static struct method_facts all[MAX];
static size_t count;

static const struct method_facts *row(const char *name)
{
    const struct method_facts *f = method_facts_find(all, count, name);
    if (!f)
        fail_msg("the trainer has no method '%s'", name);
    return f;
}

static void formulas_are_of_methods(void **state)
{
    (void)state;
    for (size_t i = 0; i < formula_count; i++) {
        const struct formula *f = &formulas[i];
        const struct method_facts *m = row(f->name);
        const enum base_change changes = f->adds == ADDS_whole    ? BASE_all
                                         : f->adds == ADDS_norms  ? BASE_norms
                                         : f->adds == ADDS_biases ? BASE_biases
                                                                  : BASE_none;
        assert_int_equal(m->quantised, f->quantised);
        assert_int_equal(m->changes_base, changes);
        assert_int_equal(method_reads(method_behind(f->name), "rank"),
                         f->adds == ADDS_low_rank || f->adds == ADDS_vectors);
        assert_int_equal(m->virtual_tokens,
                         f->adds == ADDS_prefix || f->adds == ADDS_prompt);
    }
}

/* What may be advised has a closed form, rates to try, and a way to be served. */
static void candidates_are_methods(void **state)
{
    (void)state;
    static const char *const rates[] = {
#define CANDIDATE(...)
#define RATES(methods, ...) methods,
#include "report/advise/methods.def"
#undef CANDIDATE
#undef RATES
    };
    for (size_t i = 0; i < advise_candidate_count; i++) {
        const struct candidate *c = &advise_candidates[i];
        size_t rows = 0;
        for (size_t k = 0; k < ARRAY_LEN(rates); k++)
            rows += str_in_list(c->method, rates[k], '|');
        assert_int_equal(rows, 1);
        assert_non_null(formula_find(c->method));
        assert_true(c->served != SERVED_MERGED || row(c->method)->mergeable);
        assert_int_equal(c->served == SERVED_OWN, row(c->method)->changes_base != 0);
    }
}

static void priors_name_methods(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct priors p;
    assert_int_equal(priors_load(&p, &err), 0);
    for (size_t i = 0; i < p.default_count; i++) {
        const char *const lists[] = {p.defaults[i].first, p.defaults[i].then,
                                     p.defaults[i].avoid};
        for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
            char *copy = xstrdup(lists[k] ? lists[k] : ""), *save = NULL;
            for (char *name = strtok_r(copy, "|", &save); name;
                 name = strtok_r(NULL, "|", &save))
                row(name);
            free(copy);
        }
    }
    priors_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas_are_of_methods),
        cmocka_unit_test(candidates_are_methods),
        cmocka_unit_test(priors_name_methods),
    };
    count = method_facts_all(all, MAX);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
