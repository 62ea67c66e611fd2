/* runner/serve/guest.c - an adapter folder on a base that is in memory. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/graph/param_values.h"
#include "runner/nn/adapter_files/trial_of.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include "runner/nn/specs.h"
#include "runner/serve/base.h"
#include <stdlib.h>
#include <string.h>

/* --- what it is --- */

/* A trial's run folder knows what peft's configuration has no place for: what its labels
 * are called, and whether they are classes. An empty object where there is none. */
static json_t *read_run(const char *dir, struct err *err)
{
    char *path = fs_join(dir, "../result.json");
    json_t *r = fs_exists(path) ? json_read_file(path, err) : json_object();
    free(path);
    return r;
}

static void take_names(struct labels *out, const json_t *run)
{
    const json_t *names = json_object_get(run, "labels");
    const size_t n = json_array_size(names);
    out->names = n ? xcalloc(n, sizeof *out->names) : NULL;
    for (; out->count < n; out->count++) {
        const char *name = json_string_value(json_array_get(names, out->count));
        out->names[out->count] = xstrdup(name ? name : "");
    }
}

/* As many as the head in the folder has outputs; 0: it holds none by that name. */
static int count_labels(const struct serve_base *b, const char *dir, const char *file,
                        int64_t *count, struct err *err)
{
    char *path = fs_join(dir, file), *end = xasprintf(".%s.weight", b->head);
    struct st *s = NULL;
    const int rc = fs_exists(path) ? st_open_file(path, &s, err) : 0;
    for (size_t i = 0; s && i < st_count(s); i++)
        if (str_has_suffix(st_at(s, i)->name, end) && st_at(s, i)->ndim == 2)
            *count = st_at(s, i)->shape[0];
    if (s)
        st_close(s);
    free(end);
    free(path);
    return rc;
}

static int another_setting(const char *key, const json_t *theirs, struct err *err)
{
    struct buf text = BUF_INIT;
    json_canonical(&text, theirs);
    const int rc =
        err_set(err, ERR_CONFIG,
                "it was trained with %s %s, which this base is not served with; "
                "name the one to serve with when it is opened",
                key, buf_str(&text));
    buf_release(&text);
    return rc;
}

/* The settings of the base must be those that the adapter was trained with, as far as its
 * run says, or whoever opened the base said which. */
static int take_settings(json_t *given, const struct serve_base *b, const json_t *run,
                         struct err *err)
{
    const struct method *m = method_of(given, err);
    for (size_t i = 0; serve_settings[i]; i++) {
        const char *key = serve_settings[i];
        const json_t *ours = json_object_get(b->trial, key),
                     *theirs = json_object_get(json_object_get(run, "trial"), key);
        if (!ours || !trial_reads(opt_find(&trial_options, key), m))
            continue;
        if (theirs && !json_equal(ours, theirs) && !json_object_get(b->settings, key))
            return another_setting(key, theirs, err);
        json_object_set(given, key, (json_t *)ours);
    }
    return 0;
}

static int resolve(struct guest *guest, const struct serve_base *b, const char *dir,
                   const json_t *run, int64_t labels, struct err *err)
{
    json_t *given;
    int rc = adapter_trial(dir, b->session.hf->dir, &given, err);
    if (rc)
        return rc;
    rc = take_settings(given, b, run, err);
    if (!rc && !labels && b->head)
        rc = count_labels(b, dir, method_of(given, err)->files->tensors, &labels, err);
    if (!rc && labels)
        json_object_set_new(given, "num_labels", json_integer(labels));
    const json_t *kind = json_object_get(json_object_get(run, "trial"), "problem_type");
    if (kind)
        json_object_set(given, "problem_type", (json_t *)kind);
    if (!rc)
        rc = trial_resolve_use(given, &guest->resolved, err);
    json_decref(given);
    return rc;
}

static int open_goal(struct guest *guest, const struct serve_base *b, struct err *err)
{
    struct goal *g = &guest->goal;
    g->task = task_find(guest->trial.task, err);
    g->last_token = b->session.arch->last_token;
    if (!g->task)
        return err_code(err);
    int rc = g->task->kind->open(&guest->trial, b->session.hf->config, g, err);
    if (!rc && g->task != b->session.goal.task)
        rc = err_set(err, ERR_CONFIG, "it is for task '%s', the base is served for '%s'",
                     g->task->name, b->session.goal.task->name);
    if (!rc && !g->num_labels)
        g->num_labels = (int32_t)guest->trial.num_labels;
    if (!rc && !g->num_labels)
        rc = err_set(err, ERR_CONFIG, "it has no head: no tensor '%s.weight'", b->head);
    return rc;
}

/* --- its parameters --- */

static bool is_of_base(const struct param *p, const struct param *base)
{
    return base && !base->trainable && !p->trainable && !p->given && !p->added &&
           p->linear == base->linear && p->rows == base->rows && p->cols == base->cols;
}

/* A parameter of its own has the plain form, whether or not it trained. */
static void share_params(struct guest *guest, const struct serve_base *b)
{
    const struct params *all = &guest->net.params;
    for (size_t i = 0; i < all->count; i++) {
        struct param *p = all->items[i];
        const struct param *base = params_find(&b->session.net.params, p->name);
        if (is_of_base(p, base)) {
            p->spec = base->spec;
            p->value = base->value;
            p->prepared = base->prepared;
            continue;
        }
        p->derived &= !p->given || !p->trainable;
        p->trainable = true;
        p->offset = guest->bytes;
        p->bytes = mem_round_up((size_t)param_size(p) * sizeof(float));
        guest->bytes += p->bytes;
    }
}

static int put_own(struct guest *guest, const struct serve_base *b, struct err *err)
{
    const struct backend *d = b->session.backend;
    const struct params *all = &guest->net.params;
    guest->memory = guest->bytes ? d->alloc(d->device, guest->bytes) : NULL;
    if (guest->bytes && !guest->memory)
        return err_set(err, ERR_NOMEM, "no memory for %zu bytes of parameters",
                       guest->bytes);
    int rc = 0;
    for (size_t i = 0; i < all->count && !rc; i++) {
        struct param *p = all->items[i];
        if (!p->trainable)
            continue;
        param_bind(p, guest->memory, NULL);
        float *values = xcalloc((size_t)param_size(p), sizeof *values);
        rc = param_start_values(p, (uint64_t)guest->trial.seed, values, err);
        d->upload(d->device, p->value.data, values,
                  (size_t)param_size(p) * sizeof *values);
        free(values);
        free(p->given);
        p->given = NULL;
    }
    return rc;
}

/* --- opening --- */

/* Some of what the method adds is not in the folder (VeRA's shared matrices may be drawn
 * anew by their seed). */
static bool lacks_values(const struct net *net)
{
    for (size_t i = 0; i < net->params.count; i++) {
        const struct param *p = net->params.items[i];
        if (p->added && !p->derived && !p->given)
            return true;
    }
    return false;
}

static int open_net(struct guest *guest, const struct serve_base *b, const char *dir,
                    struct err *err)
{
    struct net *net = &guest->net;
    int rc = net_init(net, b->session.hf, &guest->trial, &guest->goal, dir, false, err);
    if (!rc && net->method->files->adopt)
        rc = net->method->files->adopt(net, dir, err);
    if (!rc)
        rc = adapter_load(net, dir, err);
    if (!rc && net->change.base_moved && !net->change.converted)
        rc = err_set(err, ERR_CONFIG,
                     "its start is taken out of the base's weights, which others share; "
                     "save it as a LoRA of twice the rank (peftlab convert)");
    return !rc && net->method->start && lacks_values(net)
               ? net->method->start(net, (uint64_t)guest->trial.seed, err)
               : rc;
}

static int open_graph(struct guest *guest, struct serve_base *b, struct err *err)
{
    const struct graph *host = b->host;
    struct graph *g = &guest->graph;
    graph_init(g, &guest->net.params, &guest->net.states, host->mode, host->budget);
    g->capacity = host->capacity;
    g->chunk_rows = host->chunk_rows;
    graph_finish(g, net_record(&guest->net, g), false, NULL);
    int rc = b->writes ? guest_open_text(guest, b, err) : 0;
    if (!rc)
        rc = graft_init(&guest->graft, host, g, b->session.backend, err);
    return rc ? rc : serve_base_workspace(b, guest->graft.workspace_bytes, err);
}

/* The base alone: the trial that it was opened by, with all of it frozen. */
static int open_alone(struct guest *guest, const struct serve_base *b, struct err *err)
{
    guest->resolved = json_incref(b->trial);
    trial_init(&guest->trial, guest->resolved);
    guest->trial.method = method_full.name;
    int rc = open_goal(guest, b, err);
    if (!rc)
        rc = net_init(&guest->net, b->session.hf, &guest->trial, &guest->goal, NULL,
                      false, err);
    for (size_t i = 0; i < guest->net.params.count && !rc; i++)
        guest->net.params.items[i]->trainable = false;
    return rc;
}

static int open_trial(struct guest *guest, const struct serve_base *b, const char *dir,
                      struct err *err)
{
    int64_t labels = 0;
    json_t *run = read_run(dir, err);
    int rc = run ? labels_of_folder(&guest->labels, dir, &labels, err) : err_code(err);
    if (!rc && !guest->labels.count)
        take_names(&guest->labels, run);
    if (!rc)
        rc = resolve(guest, b, dir, run, labels, err);
    json_decref(run);
    if (rc)
        return rc;
    trial_init(&guest->trial, guest->resolved);
    return open_goal(guest, b, err);
}

static int open_all(struct guest *guest, struct serve_base *b, const char *dir,
                    struct err *err)
{
    int rc = dir ? open_trial(guest, b, dir, err) : open_alone(guest, b, err);
    if (rc || (dir && (rc = open_net(guest, b, dir, err))))
        return rc;
    share_params(guest, b);
    if ((rc = put_own(guest, b, err)))
        return rc;
    if (guest->net.method->derive &&
        (rc = guest->net.method->derive(&guest->net, b->session.backend, err)))
        return rc;
    return open_graph(guest, b, err);
}

int guest_open(struct guest *guest, struct serve_base *b, const char *dir,
               const char *name, struct err *err)
{
    *guest = (struct guest){.name = xstrdup(name), .number = ++b->opened};
    const int rc = open_all(guest, b, dir, err);
    if (rc)
        guest_close(guest, b);
    return rc ? err_context(err, "adapter '%s': ", dir ? dir : name) : 0;
}

void guest_close(struct guest *guest, struct serve_base *b)
{
    const struct backend *d = b->session.backend;
    graft_release(&guest->graft);
    graph_release(&guest->graph);
    graph_release(&guest->start);
    net_release(&guest->net);
    if (guest->memory)
        d->release(d->device, guest->memory);
    if (guest->states)
        d->release(d->device, guest->states);
    trial_release(&guest->trial);
    labels_release(&guest->labels);
    json_decref(guest->resolved);
    free(guest->name);
    *guest = (struct guest){0};
}
