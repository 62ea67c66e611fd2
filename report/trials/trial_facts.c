/* report/trials/trial_facts.c - what may be asked of one trial (store_data.h). */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/trials/store_data.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

double trial_metric(const struct report_trial *t, const char *key)
{
    return json_get_num(t->metrics, key, NAN);
}

const json_t *trial_value(const struct report_trial *t, const char *key)
{
    const json_t *v = json_object_get(t->params, key);
    if (!v || json_is_null(v))
        v = json_object_get(t->config, key);
    return v && !json_is_null(v) ? v : NULL;
}

char *trial_method(const struct report_trial *t)
{
    if (t->method)
        return xstrdup(t->method->shown);
    const char *method = json_string_value(trial_value(t, "method"));
    const char *bits = json_string_value(trial_value(t, "quantization"));
    if (!method)
        return xstrdup("(no method)");
    /* a preset's name says what is quantised */
    const char *resolved = json_get_str(t->config, "method", method);
    return !bits || str_eq(bits, "none") || !str_eq(method, resolved)
               ? xstrdup(method)
               : xasprintf("%s on %s", method, bits);
}

double trial_split_rows(const struct report_trial *t, const char *metric)
{
    const char *slash = strchr(metric, '/');
    char key[64];
    if (!slash || slash - metric > 16)
        return NAN;
    snprintf(key, sizeof key, "data/%.*s_rows", (int)(slash - metric), metric);
    return trial_metric(t, key);
}

bool trial_is_lm(const struct report_trial *t)
{
    const char *task = json_string_value(trial_value(t, "task"));
    return task && str_in_list(task, "causal-lm|CAUSAL_LM", '|');
}

/* A language model's accuracy is that of the next token, unless answers were counted by
 * who imported it: the trainer logs a perplexity beside its own. */
static bool is_next_token(const struct report_trial *t, const char *metric)
{
    char key[64];
    snprintf(key, sizeof key, "%.*s/perplexity", (int)(strrchr(metric, '/') - metric),
             metric);
    return trial_is_lm(t) && isfinite(trial_metric(t, key));
}

double trial_items(const struct report_trial *t, const char *metric)
{
    double rows = trial_split_rows(t, metric), share = trial_metric(t, metric);
    bool counts = (str_has_suffix(metric, "/accuracy") && !is_next_token(t, metric)) ||
                  str_has_suffix(metric, "/exact_match");
    if (!counts || !(rows >= 1) || !(share >= 0 && share <= 1) ||
        fabs(share * rows - round(share * rows)) > 1e-4)
        return NAN;
    return rows;
}

bool trial_is_open(const struct report_trial *t)
{
    return t->state == TRIAL_waiting || t->state == TRIAL_running ||
           t->state == TRIAL_preempted || t->state == TRIAL_stale ||
           t->state == TRIAL_cancelled || t->state == TRIAL_pruned ||
           t->state == TRIAL_spared;
}

bool trial_is_failed(const struct report_trial *t)
{
    return !trial_is_open(t) && t->state != TRIAL_complete;
}
