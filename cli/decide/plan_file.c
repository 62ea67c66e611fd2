/* cli/decide/plan_file.c - see plan_file.h. */
#include "cli/decide/plan_file.h"
#include "lib/buf.h"
#include "lib/config/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/sweep.h"
#include <stdlib.h>

/* --- bases --- */

/* Looked up once for each name. */
static int find_base(struct plan_file *p, const char *name, const char *base_dir,
                     const struct base **out, struct err *err)
{
    for (size_t i = 0; i < p->base_count; i++)
        if (str_eq(p->bases[i]->name, name))
            return *out = p->bases[i], 0;
    struct base *b = xcalloc(1, sizeof *b);
    int rc = base_find(name, base_dir, b, err);
    if (rc)
        return free(b), rc;
    p->bases = xrealloc(p->bases, (p->base_count + 1) * sizeof *p->bases);
    p->bases[p->base_count++] = b;
    *out = b;
    return 0;
}

static int fill(struct plan_file *p, const json_t *given, const char *base_dir,
                bool program, struct plan_item *it, struct err *err)
{
    const char *name = json_get_str(given, "model", NULL);
    if (!name && program)
        return err_set(err, ERR_CONFIG, "the sweep names no model that is here or known");
    int rc = name ? find_base(p, name, base_dir, &it->base, err)
                  : err_set(err, ERR_CONFIG, "'model' is missing");
    const struct plan_how how = {base_dir, program, ASSUME_MISSING, NULL};
    it->given = json_copy((json_t *)given);
    return rc ? rc : plan_item_fill(it, given, &how, err);
}

/* --- files --- */

static int plan_trial(struct plan_file *p, const char *const *words, size_t count,
                      struct err *err)
{
    json_t *given = NULL;
    char *base_dir = NULL;
    p->items = xcalloc(1, sizeof *p->items);
    int rc = trial_given(words[0], words + 1, count - 1, &given, &base_dir, err);
    if (rc)
        return rc;
    struct plan_item *it = &p->items[p->count++];
    it->params = json_object();
    it->label = xstrdup(words[0]);
    it->seed = (uint64_t)json_get_int(given, "seed", 0);
    rc = fill(p, given, base_dir, false, it, err);
    if (rc)
        err_context(err, "trial file '%s': ", words[0]);
    json_decref(given);
    p->base_dir = base_dir;
    return rc;
}

/* Without rows of its own a trial takes the same for every seed. */
static bool is_as_before(const struct sweep_trial *t, const struct plan_item *before)
{
    return before->assumed_length && str_eq(t[-1].key, t->key);
}

static int plan_rows(struct plan_file *p, const struct sweep_file *f,
                     struct sweep_plan *sp, struct err *err)
{
    struct sweep_labels labels;
    int rc = 0;
    p->items = xcalloc(sp->count + 1, sizeof *p->items);
    sweep_labels_init(&labels, f, sp->space.combinations, sp->space.count,
                      f->seed_count > 1);
    for (size_t i = 0; i < sp->count && !rc; i++) {
        const struct sweep_trial *t = &sp->trials[i];
        struct plan_item *it = &p->items[p->count++];
        struct buf label = BUF_INIT;
        if (i && is_as_before(t, it - 1)) {
            *it = it[-1];
            json_incref(it->given);
        } else
            rc = fill(p, t->resolved, f->base_dir, !f->names_model, it, err);
        sweep_label(&labels, t->params, t->seed, &label);
        if (rc)
            err_context(err, "%s: ", buf_str(&label));
        it->label = buf_detach(&label, NULL);
        it->params = json_incref(t->params);
        it->seed = t->seed;
    }
    sweep_labels_release(&labels);
    return rc;
}

static int plan_sweep(struct plan_file *p, const char *const *words, size_t count,
                      struct err *err)
{
    static const struct sweep_hooks hooks = {
        .trial_options = &trial_options, .resolve = trial_resolve, .key = trial_key};
    struct sweep_file *f;
    struct sweep_plan sp;
    int rc = sweep_file_load(words[0], words + 1, count - 1, &trial_options, &f, err);
    if (rc)
        return rc;
    rc = sweep_plan_make(f, &hooks, false, &sp, err);
    p->base_dir = xstrdup(f->base_dir);
    p->program = !f->names_model;
    if (!rc) {
        rc = plan_rows(p, f, &sp, err);
        sweep_plan_release(&sp);
    }
    sweep_file_free(f);
    return rc;
}

static int is_sweep(const char *path, bool *yes, struct err *err)
{
    struct conf *conf;
    int rc = conf_load(path, &conf, err);
    if (rc)
        return rc;
    *yes = json_object_get(conf_root(conf), "parameters") != NULL;
    conf_free(conf);
    return 0;
}

/* --- interface --- */

int plan_file_load(const char *const *words, size_t count, struct plan_file *out,
                   struct err *err)
{
    *out = (struct plan_file){0};
    int rc = is_sweep(words[0], &out->sweep, err);
    if (!rc)
        rc = (out->sweep ? plan_sweep : plan_trial)(out, words, count, err);
    if (rc)
        plan_file_release(out);
    return rc;
}

void plan_file_release(struct plan_file *p)
{
    for (size_t i = 0; i < p->count; i++) {
        json_decref(p->items[i].params);
        json_decref(p->items[i].given);
        free(p->items[i].label);
    }
    for (size_t i = 0; i < p->base_count; i++) {
        base_release(p->bases[i]);
        free(p->bases[i]);
    }
    free(p->bases);
    free(p->items);
    free(p->base_dir);
    *p = (struct plan_file){0};
}

const struct plan_item *plan_file_largest(const struct plan_file *p)
{
    const struct plan_item *most = &p->items[0];
    for (size_t i = 1; i < p->count; i++)
        if (p->items[i].estimate.peak > most->estimate.peak)
            most = &p->items[i];
    return most;
}
