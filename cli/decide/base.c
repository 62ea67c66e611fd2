/* cli/decide/base.c - see base.h. */
#include "cli/decide/base.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/hub/hf_model.h"
#include "runner/hub/known.h"
#include "runner/nn/arch/arch.h"
#include <stdlib.h>

static int shape_of_known(const char *name, struct model_shape *out, struct err *err)
{
    const struct known_model *known = known_model_find(name);
    if (!known)
        return known_model_missing(name, err);
    json_t *config = known_model_config(known, err);
    int rc = config ? shape_from_config(config, known->name, out, err) : err_code(err);
    json_decref(config);
    return rc;
}

/* Of a GGUF file: what its metadata says; the caller's. */
static json_t *config_of_file(const char *path, struct err *err)
{
    struct hf_model *m = NULL;
    if (hf_model_open_shape(path, &m, err) < 0)
        return NULL;
    json_t *config = json_incref(m->config);
    hf_model_close(m);
    return config;
}

static int shape_of_file(const char *path, struct model_shape *out, struct err *err)
{
    json_t *config = config_of_file(path, err);
    int rc = config ? shape_from_config(config, path, out, err) : err_code(err);
    json_decref(config);
    return rc;
}

/* The trainer has the family, and honours what this one's config.json says. */
static bool is_trained(const struct base *b)
{
    const struct arch *arch = arch_find(b->shape.model_type, NULL);
    char *path = b->dir ? fs_join(b->dir, "config.json") : NULL;
    json_t *config = !b->dir ? known_model_config(known_model_find(b->name), NULL)
                     : fs_is_dir(b->dir) ? json_read_file(path, NULL)
                                         : config_of_file(b->dir, NULL);
    const bool takes = arch && arch_takes(arch, config);
    json_decref(config);
    free(path);
    return takes;
}

int base_find(const char *name, const char *base_dir, struct base *out, struct err *err)
{
    char *path = fs_join(base_dir, name);
    *out = (struct base){.name = xstrdup(name)};
    if (hf_model_find(path, &out->dir, NULL) < 0)
        hf_model_find(name, &out->dir, NULL);
    free(path);
    int rc = !out->dir             ? shape_of_known(name, &out->shape, err)
             : fs_is_dir(out->dir) ? shape_from_folder(out->dir, &out->shape, err)
                                   : shape_of_file(out->dir, &out->shape, err);
    out->trains = !rc && is_trained(out);
    if (rc)
        base_release(out);
    return rc;
}

void base_release(struct base *b)
{
    free(b->name);
    free(b->dir);
    *b = (struct base){0};
}

void prediction_bytes(const struct trial_prediction *p, double bytes[EST_COUNT])
{
    static const enum estimate_bytes places[MEM_COUNT] = {
        [MEM_weights] = EST_weights,         [MEM_trainable] = EST_trainable,
        [MEM_gradients] = EST_gradients,     [MEM_optimizer] = EST_optimizer,
        [MEM_activations] = EST_activations, [MEM_workspace] = EST_workspace,
        [MEM_batch] = EST_workspace,         [MEM_state] = EST_activations,
        [MEM_features] = EST_activations};
    for (int i = 0; i < EST_COUNT; i++)
        bytes[i] = 0;
    for (int i = 0; i < MEM_COUNT; i++)
        bytes[places[i]] += (double)p->bytes[i];
}

struct counts prediction_counts(const struct trial_prediction *p)
{
    return (struct counts){.trainable = (double)p->trainable_parameters,
                           .adapter_bytes = (double)p->adapter_bytes,
                           .base = (double)p->base_parameters};
}
