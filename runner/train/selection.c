/* runner/train/selection.c - see selection.h. */
#include "runner/train/selection.h"
#include "lib/json.h"
#include "lib/str.h"
#include "runner/metric/metric.h"
#include <math.h>
#include <string.h>

#define MAX_METRICS 64

/* "eval_loss" and "eval/loss" are transformers' and our long names of "loss". */
static int find_metric(const char *name, size_t *out, struct err *err)
{
    const char *names[MAX_METRICS];
    const char *tail = str_has_prefix(name, "eval_") || str_has_prefix(name, "eval/")
                           ? name + strlen("eval_")
                           : name;
    size_t n = 0;
    for (; n < metric_count && n < MAX_METRICS; n++) {
        names[n] = metric_defs[n].name;
        if (str_eq(tail, names[n]))
            return *out = n, 0;
    }
    const char *near = str_nearest(tail, names, n);
    return err_set(err, ERR_CONFIG,
                   "metric_for_best_model: unknown metric '%s'; did you mean '%s'?", name,
                   near ? near : names[0]);
}

int selection_init(struct selection *s, const struct trial *trial, struct err *err)
{
    *s = (struct selection){
        .keep = trial->load_best_model_at_end,
        .patience = trial->early_stopping_patience,
        .best = NAN,
    };
    int rc = find_metric(trial->metric_for_best_model, &s->metric, err);
    if (rc)
        return rc;
    s->maximize = str_eq(metric_defs[s->metric].goal, "maximize");
    const char *what = s->keep       ? "load_best_model_at_end"
                       : s->patience ? "early_stopping_patience"
                                     : NULL;
    if (what && trial->eval_steps <= 0)
        return err_set(err, ERR_CONFIG, "'%s' needs 'eval_steps' (N updates)", what);
    if (what && !trial->eval_data && !(trial->validation_split > 0))
        return err_set(err, ERR_CONFIG, "'%s' needs 'eval_data'", what);
    return 0;
}

int selection_fits(const struct selection *s, const struct goal *goal, struct err *err)
{
    return goal_has_metric(goal, s->metric)
               ? 0
               : err_set(err, ERR_CONFIG,
                         "metric_for_best_model: '%s' has no meaning for a %s",
                         metric_defs[s->metric].name,
                         goal->task->kind->shown(goal->labels));
}

bool selection_see(struct selection *s, int64_t update, const double *values)
{
    const double v = values[s->metric];
    const bool better =
        !isnan(v) && (!s->best_update || (s->maximize ? v > s->best : v < s->best));
    s->without = better ? 0 : s->without + 1;
    if (better) {
        s->best = v;
        s->best_update = update;
    }
    return better;
}

bool selection_wants_stop(const struct selection *s)
{
    return s->patience > 0 && s->without >= s->patience;
}
