/* runner/serve/guest.c - an adapter folder on a base that is in memory. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/adapter_files/trial_of.h"
#include "runner/nn/peft/method.h"
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

/* What a user would write to have this adapter's net. */
static int read_settings(json_t **out, const struct guest *guest,
                         const struct serve_base *b, const char *dir, const json_t *run,
                         int64_t labels, struct err *err)
{
    json_t *given;
    int rc = adapter_trial(dir, b->session.hf->dir, &given, err);
    if (rc)
        return rc;
    rc = take_settings(given, b, run, err);
    if (!labels)
        labels = (int64_t)guest->labels.count;
    if (!rc && !labels && b->head)
        rc = count_labels(b, dir, method_of(given, err)->files->tensors, &labels, err);
    if (!rc && labels)
        json_object_set_new(given, "num_labels", json_integer(labels));
    const json_t *kind = json_object_get(json_object_get(run, "trial"), "problem_type");
    if (kind)
        json_object_set(given, "problem_type", (json_t *)kind);
    if (rc)
        json_decref(given);
    *out = rc ? NULL : given;
    return rc;
}

static int read_all(struct guest *guest, const struct serve_base *b, const char *dir,
                    json_t **settings, struct err *err)
{
    int64_t labels = 0;
    json_t *run = read_run(dir, err);
    int rc = run ? labels_of_folder(&guest->labels, dir, &labels, err) : err_code(err);
    if (!rc && !guest->labels.count)
        take_names(&guest->labels, run);
    if (!rc)
        rc = read_settings(settings, guest, b, dir, run, labels, err);
    json_decref(run);
    return rc;
}

static int pour(struct guest *guest, struct serve_base *b, const json_t *settings,
                const char *dir, bool alone, struct err *err)
{
    const int rc = mould_join(&guest->mould, b, settings, dir, alone, guest->pool, err);
    return rc ? rc : mould_pour(guest->mould, b, dir, &guest->memory, err);
}

static int take_states(struct guest *guest, const struct serve_base *b, struct err *err)
{
    const struct backend *d = b->session.backend;
    const size_t bytes = guest->mould->state_bytes;
    guest->bytes = guest->mould->bytes + bytes;
    guest->states = bytes ? d->alloc(d->device, bytes) : NULL;
    return !bytes || guest->states
               ? 0
               : err_set(err, ERR_NOMEM, "no memory for %zu bytes of states", bytes);
}

static int open_all(struct guest *guest, struct serve_base *b, const char *dir,
                    struct err *err)
{
    json_t *settings = NULL;
    int rc = dir ? read_all(guest, b, dir, &settings, err) : 0;
    if (rc)
        return rc;
    rc = pour(guest, b, settings, dir, false, err);
    if (rc > 0) {
        mould_leave(guest->mould, b);
        rc = pour(guest, b, settings, dir, true, err);
    }
    json_decref(settings);
    return rc ? rc : take_states(guest, b, err);
}

static int open_as(struct guest *guest, struct serve_base *b, enum pooling pool,
                   const char *dir, const char *name, struct err *err)
{
    *guest = (struct guest){.pool = pool, .name = xstrdup(name), .number = ++b->opened};
    const int rc = open_all(guest, b, dir, err);
    if (rc)
        guest_close(guest, b);
    return rc ? err_context(err, "adapter '%s': ", dir ? dir : name) : 0;
}

int guest_open(struct guest *guest, struct serve_base *b, const char *dir,
               const char *name, struct err *err)
{
    return open_as(guest, b, POOL_NONE, dir, name, err);
}

int guest_open_pooled(struct guest *guest, struct serve_base *b, const char *dir,
                      const char *name, struct err *err)
{
    enum pooling pool;
    *guest = (struct guest){0};
    const int rc = pooling_of_model(&pool, b->session.hf->dir, err);
    return rc ? rc : open_as(guest, b, pool, dir, name, err);
}

void guest_close(struct guest *guest, struct serve_base *b)
{
    const struct backend *d = b->session.backend;
    if (guest->memory)
        d->release(d->device, guest->memory);
    if (guest->states)
        d->release(d->device, guest->states);
    if (guest->mould)
        mould_leave(guest->mould, b);
    labels_release(&guest->labels);
    free(guest->name);
    *guest = (struct guest){0};
}
