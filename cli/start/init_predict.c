/* cli/start/init_predict.c - how long a sweep will take.
 *
 * Several sizes of a sweep are tried until one fits, and most of their trials differ by
 * seed or rate alone, which changes neither memory nor, but for the order of the rows,
 * time. So each configuration without the two is asked of the planner once: it opens the
 * model and reads all rows. */
#include "cli/start/init.h"
#include "cli/sweep/sweep_verbs.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>

/* Hooks get nothing of their caller's. */
static struct {
    char *configuration;
    struct sweep_prediction found;
} known[64];
static size_t known_count;

void init_predict_forget(void)
{
    while (known_count)
        free(known[--known_count].configuration);
}

static char *configuration_text(const json_t *resolved)
{
    json_t *copy = json_copy((json_t *)resolved);
    struct buf text = BUF_INIT;
    json_object_del(copy, "seed");
    json_object_del(copy, "learning_rate");
    json_configuration(&text, copy);
    json_decref(copy);
    return buf_detach(&text, NULL);
}

static int predict_once(const json_t *resolved, const char *base_dir,
                        struct sweep_prediction *out, struct err *err)
{
    char *text = configuration_text(resolved);
    for (size_t k = 0; k < known_count; k++)
        if (!strcmp(known[k].configuration, text)) {
            *out = known[k].found;
            free(text);
            return 0;
        }
    const int rc = sweep_planner.predict(resolved, base_dir, out, err);
    if (rc < 0 || known_count == ARRAY_LEN(known)) {
        free(text);
        return rc;
    }
    known[known_count].configuration = text;
    known[known_count++].found = *out;
    return rc;
}

int init_predict(struct init *i, const char *text, const char *name, struct err *err)
{
    char *path = fs_join(i->out, name);
    struct sweep_file *f = NULL;
    struct sweep_plan plan;
    struct sweep_hooks hooks = sweep_planner;
    hooks.predict = predict_once;
    int threads, rc = sweep_file_parse(text, strlen(text), path, false, NULL, 0,
                                       sweep_planner.trial_options, &f, err);
    free(path);
    if (rc)
        return rc;
    rc = sweep_plan_make(f, &hooks, true, &plan, err);
    if (!rc) {
        i->trials = plan.count;
        i->at_most = sweep_plan_least(&plan) < plan.count;
        i->seconds = sweep_plan_wall_s(&plan, sweep_jobs(f, 0, &threads));
        sweep_plan_release(&plan);
    }
    sweep_file_free(f);
    return rc;
}
