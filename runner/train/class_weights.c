/* runner/train/class_weights.c - weights of the classes in the loss: none, balanced
 * (scikit-learn's n / (classes * count)), or a list. */
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/session.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Assumed rows are balanced. */
static void balance(const struct dataset *d, int32_t classes, float *weights)
{
    for (int32_t c = 0; !d->rows && c < classes; c++)
        weights[c] = 1;
    if (!d->rows)
        return;
    double *count = xcalloc((size_t)classes, sizeof *count), rows = 0;
    for (size_t i = 0; i < d->count; i++)
        if (d->rows[i].label >= 0 && d->rows[i].label < classes) {
            count[d->rows[i].label]++;
            rows++;
        }
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
    const int32_t classes = s->net.num_labels;
    if (!given || str_eq(word, "none"))
        return 0;
    if (!json_is_array(given) && !str_eq(word, "balanced"))
        return err_set(err, ERR_CONFIG,
                       "class_weights is none, balanced, or a list of %d numbers",
                       classes);
    s->class_weights = xcalloc((size_t)classes, sizeof *s->class_weights);
    if (word)
        balance(s->data[SPLIT_TRAIN], classes, s->class_weights);
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
    double sum = 0;
    if (!s->class_weights)
        return (double)(end - begin);
    for (int64_t i = begin; i < end; i++) {
        const int32_t label = s->data[SPLIT_TRAIN]->rows[order[i]].label;
        sum += label >= 0 && label < s->net.num_labels ? s->class_weights[label] : 0;
    }
    return sum;
}
