/* Importance of parameters against Optuna's numbers (tests/golden/stats). */
#include "tests/unit/support/golden_rows.h"

#include "lib/stats/importance.h"

/* ---- importance ---- */

static bool read_space(const json_t *in, struct importance_space *s)
{
    if (!json_is_object(in))
        return false;
    const char *type = json_get_str(in, "type", "");
    *s = (struct importance_space){
        .kind = str_eq(type, "float") ? IMPORTANCE_FLOAT
                : str_eq(type, "int") ? IMPORTANCE_INT
                                      : IMPORTANCE_CATEGORICAL,
        .low = json_get_num(in, "low", 0),
        .high = json_get_num(in, "high", 0),
        .step = json_get_num(in, "step", 0),
        .log = json_get_bool(in, "log", 0),
        .choices = length(in, "choices"),
    };
    return true;
}

static double value_in(const json_t *space, const json_t *value)
{
    const json_t *choices = json_object_get(space, "choices");
    for (size_t i = 0; i < json_array_size(choices); i++)
        if (json_equal(json_array_get(choices, i), value))
            return (double)i;
    return json_number_value(value);
}

static double importance_of(const json_t *in, const char *name)
{
    const json_t *trials = json_object_get(in, "trials"), *trial;
    size_t n = 0, all = json_array_size(trials), i;
    struct importance_space *spaces = keep(xcalloc(all + 1, sizeof *spaces));
    struct importance_value *values = keep(xcalloc(all + 1, sizeof *values));
    double *objective = keep(xcalloc(all + 1, sizeof *objective));
    json_array_foreach(trials, i, trial)
    {
        double v = value_of(json_object_get(trial, "value"));
        if (!str_eq(json_get_str(trial, "state", ""), "complete") || !isfinite(v))
            continue;
        const json_t *value = json_object_get(json_object_get(trial, "params"), name);
        const json_t *space = json_object_get(json_object_get(trial, "space"), name);
        if (!space)
            space = json_object_get(json_object_get(in, "space"), name);
        if (value && read_space(space, &spaces[n]))
            values[n] = (struct importance_value){&spaces[n], value_in(space, value)};
        objective[n++] = v;
    }
    return stat_ped_anova(values, objective, n,
                          str_eq(json_get_str(in, "direction", ""), "minimize"),
                          num(in, "target_quantile"));
}

static void try_importance(const json_t *in, json_t *out)
{
    json_t *raw = json_object(), *shares = json_object(), *space;
    const char *name;
    double *v = keep(xcalloc(64, sizeof *v));
    size_t n = 0, i = 0;
    json_object_foreach(json_object_get(in, "space"), name, space)
    {
        assert_true(n < 64);
        v[n] = importance_of(in, name);
        put(raw, name, v[n++]);
    }
    stat_importance_normalize(v, n);
    json_object_foreach(json_object_get(in, "space"), name, space)
        put(shares, name, v[i++]);
    json_object_set_new(out, "raw", raw);
    json_object_set_new(out, "normalized", shares);
}

const struct handler handlers[] = {
    {"importance", try_importance},
    {NULL, NULL},
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"importance", golden, NULL, NULL, (void *)"importance.json"},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
