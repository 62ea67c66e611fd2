/* runner/problem.c - see problem.h. */
#include "runner/problem.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"

const char *const problem_names[PROBLEM_COUNT] = {
#define X(name) #name,
    PROBLEMS(X)
#undef X
};

/* Keys that change the loss over classes. */
static int check_keys(const struct trial *trial, enum problem p, struct err *err)
{
    const json_t *weights = trial->class_weights;
    if (p == PROBLEM_single_label_classification)
        return trial->num_labels == 1
                   ? err_set(err, ERR_CONFIG,
                             "num_labels is 1: classes need two (a regression has "
                             "one number)")
                   : 0;
    const char *key = trial->label_smoothing_factor > 0 ? "label_smoothing_factor"
                      : json_is_array(weights) ||
                              str_eq(json_string_value(trial->class_weights), "balanced")
                          ? "class_weights"
                          : NULL;
    return key ? err_set(err, ERR_CONFIG, "'%s' is for classes, this is a %s", key,
                         problem_names[p])
               : 0;
}

int problem_of(const struct trial *trial, const json_t *config, enum problem *out,
               struct err *err)
{
    const char *name = trial->problem_type ? trial->problem_type
                                           : json_get_str(config, "problem_type", NULL);
    *out =
        trial->num_labels == 1 ? PROBLEM_regression : PROBLEM_single_label_classification;
    if (name) {
        size_t p = 0;
        while (p < PROBLEM_COUNT && !str_eq(problem_names[p], name))
            p++;
        if (p == PROBLEM_COUNT)
            return err_set(err, ERR_CONFIG, "config.json: problem_type '%s' is not known",
                           name);
        *out = (enum problem)p;
    }
    return check_keys(trial, *out, err);
}
