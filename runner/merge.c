/* runner/merge.c - see merge.h. */
#include "runner/merge.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include "runner/run_folder.h"
#include "runner/trial.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Without hooks in the graph the trained parameters are the base's own; a method that has
 * some must say how they are merged. */
static int check_method(const struct method *m, struct err *err)
{
    const bool hooked = m->input || m->linear || m->sublayer || m->prompt || m->prefix;
    if (!m->no_merge && (m->merge || !hooked))
        return 0;
    return err_set(err, ERR_CONFIG, "method '%s' cannot be merged: %s", m->name,
                   m->no_merge ? m->no_merge : "nobody has written how");
}

/* ---- values of the whole base by parameter; NULL: not the base's ---- */

static float *value_of(const struct session *s, const struct param *p)
{
    float *values = xmalloc((size_t)param_size(p) * sizeof *values);
    if (param_is_prepared(p))
        s->backend->weight_unpack(s->backend->device, &p->spec, p->prepared.data, values);
    else
        s->backend->download(s->backend->device, values, p->value.data,
                             (size_t)param_size(p) * sizeof *values);
    return values;
}

static float *site_value(const struct session *s, float **values,
                         const struct linear_site *site, const char *what)
{
    char *name = xasprintf("%s.%s", site->path, what);
    int64_t at;
    float *found =
        strmap_get(s->net.params.by_name, name, strlen(name), &at) ? values[at] : NULL;
    free(name);
    return found;
}

static float **merged_values(const struct session *s, int64_t *layers)
{
    const struct net *net = &s->net;
    float **values = xcalloc(net->params.count, sizeof *values);
    for (size_t i = 0; i < net->params.count; i++)
        if (!net->params.items[i]->added)
            values[i] = value_of(s, net->params.items[i]);
    *layers = 0;
    for (size_t i = 0; i < net->sites.count && net->method->merge; i++) {
        const struct linear_site *site = &net->sites.items[i];
        *layers += net->method->merge(net, s->backend, site,
                                      site_value(s, values, site, "weight"),
                                      site_value(s, values, site, "bias"));
    }
    return values;
}

/* --- the folder --- */

static void turn_to_file(const struct param *p, float **values, int64_t shape[2])
{
    param_file_shape(p, shape);
    if (!p->transposed)
        return;
    float *turned = xmalloc((size_t)param_size(p) * sizeof *turned);
    param_to_file(p, *values, turned);
    free(*values);
    *values = turned;
}

static int check_finite(const struct param *p, const float *values, struct err *err)
{
    for (int64_t i = 0; i < param_size(p); i++)
        if (!isfinite(values[i]))
            return err_set(err, ERR_NAN, "the merged '%s' holds %g: adapter or base do",
                           p->name, (double)values[i]);
    return 0;
}

static int write_weights(const struct session *s, const char *out_dir,
                         struct merge_report *out, struct err *err)
{
    const struct params *all = &s->net.params;
    float **values = merged_values(s, &out->layers);
    struct st_writer *w = st_writer_new();
    char *path = fs_join(out_dir, "model.safetensors");
    int rc = 0;
    st_writer_meta(w, "format", "pt");
    for (size_t i = 0; i < all->count; i++) {
        const struct param *p = all->items[i];
        int64_t shape[2];
        if (!values[i])
            continue;
        turn_to_file(p, &values[i], shape);
        st_writer_add(w, p->name, DT_F32, p->ndim, p->ndim == 1 ? shape + 1 : shape,
                      values[i]);
        rc = rc ? rc : check_finite(p, values[i], err);
        out->tensors++;
        out->bytes += param_size(p) * (int64_t)sizeof(float);
    }
    if (!rc)
        rc = st_writer_save(w, path, err);
    st_writer_free(w);
    free(path);
    for (size_t i = 0; i < all->count; i++)
        free(values[i]);
    free(values);
    return rc;
}

/* By inode: another name of the folder would overwrite the base as well. */
static int check_out_dir(const struct session *s, const char *out_dir, bool overwrite,
                         struct err *err)
{
    struct stat model, out;
    if (stat(s->hf->dir, &model) == 0 && stat(out_dir, &out) == 0 &&
        model.st_dev == out.st_dev && model.st_ino == out.st_ino)
        return err_set(err, ERR_CONFIG,
                       "merge: '%s' is the base model's own folder; give another one",
                       out_dir);
    return overwrite ? fs_mkdirs(out_dir, err) : run_folder_check_empty(out_dir, err);
}

/* --- the logits before, and how the merged model's differ from them --- */

/* They wait in a file that has no name: a language model's are too many for memory. */
struct logit_compare {
    struct logit_sink sink;
    FILE *before;
    size_t width;
    struct merge_report *out;
};

static int open_compare(struct logit_compare *c, const char *out_dir, struct err *err)
{
    char *clean = fs_absolute(out_dir), *path = xasprintf("%s.logits-XXXXXX", clean),
         *parent = fs_dirname(clean);
    int rc = fs_mkdirs(parent, err);
    const int fd = rc ? -1 : mkstemp(path);
    c->before = fd < 0 ? NULL : fdopen(fd, "w+b");
    if (!rc && !c->before)
        rc = err_set(err, ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    if (fd >= 0)
        unlink(path);
    free(parent);
    free(clean);
    free(path);
    return rc;
}

static int keep_logits(struct logit_sink *sink, const float *logits, int64_t rows,
                       struct err *err)
{
    struct logit_compare *c = (struct logit_compare *)sink;
    const size_t n = (size_t)rows * c->width;
    return fwrite(logits, sizeof *logits, n, c->before) == n
               ? 0
               : err_set(err, ERR_IO, "cannot keep the logits before merging: %s",
                         strerror(errno));
}

static int compare_logits(struct logit_sink *sink, const float *logits, int64_t rows,
                          struct err *err)
{
    struct logit_compare *c = (struct logit_compare *)sink;
    struct merge_report *out = c->out;
    for (int64_t i = 0; i < rows * (int64_t)c->width; i++) {
        float x;
        if (fread(&x, sizeof x, 1, c->before) != 1)
            return err_set(err, ERR_IO, "cannot read the logits before merging: %s",
                           strerror(errno));
        const double change = fabs((double)x - logits[i]);
        out->largest_logit = fmax(out->largest_logit, fabs((double)x));
        /* a NaN must not hide behind fmax */
        out->largest_change =
            change <= out->largest_change ? out->largest_change : change;
    }
    return 0;
}

static int evaluate(struct session *s, struct logit_compare *c, int64_t *rows,
                    struct err *err)
{
    struct evaluation e = {0};
    int rc = session_allocate(s, err);
    if (rc || !s->data[SPLIT_EVAL])
        return rc;
    c->width = (size_t)s->goal.num_labels;
    rc = evaluate_split(s, SPLIT_EVAL, &c->sink, &e, err);
    if (!rc)
        rc = evaluation_check(&e, s->data[SPLIT_EVAL], s->goal.num_labels, err);
    if (!rc)
        *rows = e.rows;
    evaluation_release(&e);
    return rc;
}

struct merged {
    const struct session *s;
    struct merge_report *report;
};

static int write_folder(void *ctx, const char *dir, struct err *err)
{
    const struct merged *m = ctx;
    const struct session *s = m->s;
    const char *const *labels =
        s->labels.from_strings ? (const char *const *)s->labels.names : NULL;
    int rc = write_weights(s, dir, m->report, err);
    return rc ? rc : model_files.write_config(&s->net, dir, labels, err);
}

static int merge_into(struct session *s, const char *out_dir, bool overwrite,
                      struct logit_compare *c, struct merge_report *out, struct err *err)
{
    int64_t rows;
    int rc = check_method(s->net.method, err);
    if (!rc && s->arch->text_root)
        rc = err_set(err, ERR_CONFIG,
                     "model '%s': a merged folder would lack the part for pictures; "
                     "merge_and_unload of peft keeps both",
                     s->hf->dir);
    if (!rc)
        rc = check_out_dir(s, out_dir, overwrite, err);
    if (!rc)
        rc = open_compare(c, out_dir, err);
    c->sink.take = keep_logits;
    if (!rc)
        rc = evaluate(s, c, &rows, err);
    if (rc)
        return rc;
    struct merged m = {s, out};
    return overwrite ? write_folder(&m, out_dir, err)
                     : fs_make_folder(out_dir, write_folder, &m, err);
}

/* The trial that evaluates the merged folder: no method, no adapter. */
static json_t *plain_trial(const json_t *resolved, const char *out_dir)
{
    json_t *t = json_object();
    char *model = fs_absolute(out_dir);
    for (size_t i = 0; i < trial_options.count; i++) {
        const struct opt_def *d = &trial_options.rows[i];
        json_t *v = json_object_get(resolved, d->key);
        if (v && !(d->flags & OPT_OF_METHOD))
            json_object_set(t, d->key, v);
    }
    json_object_del(t, "init_adapter");
    json_object_set_new(t, "method", json_string(method_full.name));
    json_object_set_new(t, "model", json_string(model));
    free(model);
    return t;
}

static int compare(const json_t *resolved, const char *base_dir, const char *out_dir,
                   struct logit_compare *c, struct err *err)
{
    json_t *trial = plain_trial(resolved, out_dir);
    struct session s;
    int rc = session_open(&s, trial, base_dir, NULL, false, err);
    rewind(c->before);
    c->sink.take = compare_logits;
    if (!rc)
        rc = evaluate(&s, c, &c->out->rows, err);
    session_close(&s);
    json_decref(trial);
    return rc ? err_context(err, "merged folder: ") : 0;
}

int merge_folder(const json_t *resolved, const char *base_dir, const char *adapter,
                 const char *out_dir, bool overwrite, struct merge_report *out,
                 struct err *err)
{
    struct session s;
    struct logit_compare c = {.out = out};
    *out = (struct merge_report){0};
    int rc = session_open(&s, resolved, base_dir, adapter, false, err);
    if (!rc)
        rc = merge_into(&s, out_dir, overwrite, &c, out, err);
    session_close(&s);
    if (!rc)
        rc = compare(resolved, base_dir, out_dir, &c, err);
    if (c.before)
        fclose(c.before);
    return rc;
}

/* --- latency --- */

static int merge_in_place(struct session *s, const struct linear_site *site,
                          struct err *err)
{
    const struct net *net = &s->net;
    char *name = xasprintf("%s.weight", site->path),
         *bias_name = xasprintf("%s.bias", site->path);
    const struct param *w = params_find(&net->params, name),
                       *b = params_find(&net->params, bias_name);
    float *weight = value_of(s, w), *bias = b ? value_of(s, b) : NULL;
    int rc = 0;
    if (net->method->merge(net, s->backend, site, weight, bias)) {
        rc = backend_prepare(s->backend, &w->spec, weight, w->prepared.data, err);
        if (b)
            s->backend->upload(s->backend->device, b->value.data, bias,
                               (size_t)param_size(b) * sizeof *bias);
    }
    free(weight);
    free(bias);
    free(name);
    free(bias_name);
    return rc;
}

int merge_latency(struct session *s, size_t requests, struct latency *out,
                  struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->net.sites.count && !rc; i++)
        if (s->net.sites.items[i].rank)
            rc = merge_in_place(s, &s->net.sites.items[i], err);
    return rc ? rc : evaluate_latency(s, &s->merged_graph, requests, out, err);
}
