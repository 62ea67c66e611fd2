/* runner/train/class_weights.c - weights of the classes in the loss: none, balanced
 * (scikit-learn's n / (classes * count)), or a list. */
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/session.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sum of a value per class, or of 1, over what the rows pick. order: NULL: as they are */
static double sum_picked(const struct session *s, const uint32_t *order, int64_t begin,
                         int64_t end, const float *of_class, double *counts)
{
    const struct dataset *d = s->data[SPLIT_TRAIN];
    const size_t most =
        (size_t)goal_most_picks(&s->goal, d->longest + s->net.change.prompt_rows, 1);
    const size_t targets = (size_t)goal_targets(&s->goal);
    int32_t *rows = xcalloc(most, sizeof *rows), *labels = xcalloc(most, sizeof *labels);
    float *numbers = xcalloc(most * targets + 1, sizeof *numbers);
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        const struct example *e = &d->rows[order ? order[i] : (uint64_t)i];
        struct picks p = {rows, labels, numbers, 0};
        s->goal.task->kind->pick(&s->goal, e, 0, e->n + s->net.change.prompt_rows, &p);
        for (int32_t k = 0; k < p.count; k++) {
            const bool known = labels[k] >= 0 && labels[k] < s->goal.num_labels;
            sum += !of_class ? 1 : known ? of_class[labels[k]] : 0;
            if (counts && known)
                counts[labels[k]]++;
        }
    }
    free(rows);
    free(labels);
    free(numbers);
    return sum;
}

/* Assumed rows are balanced. */
static void balance(const struct session *s, float *weights)
{
    const int32_t classes = s->goal.num_labels;
    const struct dataset *d = s->data[SPLIT_TRAIN];
    for (int32_t c = 0; !d->rows && c < classes; c++)
        weights[c] = 1;
    if (!d->rows)
        return;
    double *count = xcalloc((size_t)classes, sizeof *count), rows = 0;
    sum_picked(s, NULL, 0, (int64_t)d->count, NULL, count);
    for (int32_t c = 0; c < classes; c++)
        rows += count[c];
    for (int32_t c = 0; c < classes; c++)
        weights[c] = count[c] > 0 ? (float)(rows / (classes * count[c])) : 0;
    free(count);
}

static int read_list(const json_t *list, int32_t classes, float *weights, struct err *err)
{
    if (json_array_size(list) != (size_t)classes)
        return err_set(err, ERR_CONFIG, "class_weights: %zu numbers for %d classes",
                       json_array_size(list), classes);
    double sum = 0;
    for (int32_t c = 0; c < classes; c++) {
        const json_t *w = json_array_get(list, (size_t)c);
        weights[c] = (float)json_number_value(w);
        if (!json_is_number(w) || !(weights[c] >= 0) || isinf(weights[c]))
            return err_set(err, ERR_CONFIG,
                           "class_weights: entry %d is no number of 0 or more", c + 1);
        sum += weights[c];
    }
    return sum > 0 ? 0
                   : err_set(err, ERR_CONFIG, "class_weights: no class weighs anything");
}

int class_weights_read(struct session *s, struct err *err)
{
    const json_t *given = s->trial.class_weights;
    const char *word = json_string_value(given);
    const int32_t classes = s->goal.num_labels;
    if (!given || str_eq(word, "none"))
        return 0;
    if (!json_is_array(given) && !str_eq(word, "balanced"))
        return err_set(err, ERR_CONFIG,
                       "class_weights is none, balanced, or a list of %d numbers",
                       classes);
    s->class_weights = xcalloc((size_t)classes, sizeof *s->class_weights);
    if (word)
        balance(s, s->class_weights);
    int rc = word ? 0 : read_list(given, classes, s->class_weights, err);
    if (rc)
        return rc;
    struct param *p = params_add(&s->net.params, CLASS_WEIGHTS, 1, 1, classes);
    p->derived = true;
    p->given = xmalloc((size_t)classes * sizeof *p->given);
    memcpy(p->given, s->class_weights, (size_t)classes * sizeof *p->given);
    return 0;
}

double class_weights_sum(const struct session *s, const uint32_t *order, int64_t begin,
                         int64_t end)
{
    return sum_picked(s, order, begin, end, s->class_weights, NULL);
}
