/* runner/serve/base.c - opening the base that adapters share. */
#include "runner/serve/base.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include <stdlib.h>

const char *const serve_settings[] = {"dtype",        "base_dtype",       "quantization",
                                      "double_quant", "quant_block_size", NULL};

/* A model of a family with a head for language, unless its own is one for classes. */
static int find_kind(struct serve_base *b, const char *model, struct err *err)
{
    const struct task *classifier = task_find("seq-cls", NULL);
    struct hf_model *hf = NULL;
    int rc = hf_model_open_shape(model, &hf, err);
    const struct arch *arch = rc ? NULL : arch_find(hf->model_type, err);
    if (!rc && !arch)
        rc = err_context(err, "model folder '%s': ", hf->dir);
    if (!rc) {
        const char *class = json_string_value(
            json_array_get(json_object_get(hf->config, "architectures"), 0));
        b->writes = arch->language_head.record &&
                    !(class && str_has_suffix(class, classifier->kind->class_suffix));
    }
    if (hf)
        hf_model_close(hf);
    return rc;
}

/* A classifier by itself is a model whose head alone would train: all of it lies in memory
 * as frozen weights do. It has as many labels as its own head, else two, which nobody asks
 * for. Of a language model the head is the base's. */
static int resolve(struct serve_base *b, const char *model, const json_t *settings,
                   struct err *err)
{
    json_t *given =
        b->writes ? json_pack("{s:s, s:s}", "model", model, "task", "causal-lm")
                  : json_pack("{s:s, s:s}", "model", model, "method", method_head.name);
    json_object_update(given, (json_t *)settings);
    const int rc = trial_resolve_use(given, &b->trial, err);
    json_decref(given);
    return rc;
}

static char *find_head(const struct net *net)
{
    const char *path = NULL;
    for (size_t i = 0; i < net->sites.count; i++)
        if (role_is_head(net->sites.items[i].role))
            path = net->sites.items[i].path;
    return path ? xstrdup(path) : NULL;
}

static int open_session(struct serve_base *b, const struct serve_options *o,
                        struct err *err)
{
    struct session *s = &b->session;
    int rc = b->writes ? session_open_writer(s, b->trial, ".", o->decode, err)
                       : session_open_base(s, b->trial, ".", o->most, err);
    if (!rc)
        rc = session_allocate(s, err);
    if (rc)
        return rc;
    b->host = b->writes ? &s->decode_graph : &s->eval_graph;
    b->head = b->writes ? NULL : find_head(&s->net);
    b->threads = str_eq(s->backend->name, "cpu") ? pool_threads() : 1;
    b->workspaces = xcalloc((size_t)b->threads, sizeof *b->workspaces);
    return 0;
}

int serve_base_open(struct serve_base *b, const char *model,
                    const struct serve_options *o, struct err *err)
{
    *b = (struct serve_base){0};
    b->settings = o->settings ? json_deep_copy(o->settings) : json_object();
    int rc = o->decode.sequences ? find_kind(b, model, err) : 0;
    if (!rc)
        rc = resolve(b, model, o->settings, err);
    return rc ? rc : open_session(b, o, err);
}

/* Grows `*memory` where it has less; without room for more it stays as it is. */
static int grow(struct serve_base *b, void **memory, size_t have, size_t bytes,
                struct err *err)
{
    const struct backend *d = b->session.backend;
    if (have >= bytes)
        return 0;
    void *more = d->alloc(d->device, bytes);
    if (!more)
        return err_set(err, ERR_NOMEM, "no memory for %zu bytes", bytes);
    if (*memory)
        d->release(d->device, *memory);
    *memory = more;
    return 0;
}

void *serve_base_batch(struct serve_base *b, size_t bytes, struct err *err)
{
    const int rc = grow(b, &b->batch, b->batch_bytes, bytes, err);
    if (!rc && bytes > b->batch_bytes)
        b->batch_bytes = bytes;
    return rc ? NULL : b->batch;
}

int serve_base_workspace(struct serve_base *b, size_t bytes, struct err *err)
{
    int rc = 0;
    for (int t = 0; t < b->threads && !rc; t++)
        rc = grow(b, &b->workspaces[t], b->workspace_bytes, bytes, err);
    if (!rc && bytes > b->workspace_bytes)
        b->workspace_bytes = bytes;
    return rc;
}

void serve_base_close(struct serve_base *b)
{
    const struct backend *d = b->session.backend;
    for (int t = 0; t < b->threads; t++)
        if (b->workspaces[t])
            d->release(d->device, b->workspaces[t]);
    if (b->batch)
        d->release(d->device, b->batch);
    free(b->workspaces);
    free(b->moulds);
    free(b->head);
    session_close(&b->session);
    json_decref(b->trial);
    json_decref(b->settings);
    *b = (struct serve_base){0};
}
