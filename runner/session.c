/* runner/session.c - opening: files, data, net, and the plan. */
#include "runner/session.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/fingerprint.h"
#include "runner/generate/answers.h"
#include "runner/generate/generator.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include "runner/train/selection.h"
#include "runner/train/spike.h"
#include <stdlib.h>
#include <string.h>

static int open_model(struct session *s, struct err *err)
{
    const char *name = s->trial.model;
    char *path = fs_join(s->base_dir, name);
    int (*const open)(const char *, struct hf_model **, struct err *) =
        s->assume || s->only_rows ? hf_model_open_shape : hf_model_open;
    int rc = open(fs_exists(path) ? path : name, &s->hf, err);
    if (!rc && !(s->arch = arch_find(s->hf->model_type, err)))
        rc = err_context(err, "model folder '%s': ", s->hf->dir);
    if (!rc)
        rc = hf_model_tokenizer(s->hf->dir, &s->tokenizer, err);
    free(path);
    return rc;
}

static int open_task(struct session *s, struct err *err)
{
    s->goal.task = task_find(s->trial.task, err);
    s->goal.last_token = s->arch->last_token;
    if (!s->goal.task)
        return err_code(err);
    s->goal.generates = s->trial.predict_with_generate;
    if (s->goal.generates && !s->goal.task->kind->text_metrics)
        return err_set(err, ERR_CONFIG,
                       "'predict_with_generate' has no meaning for task %s",
                       s->goal.task->name);
    if (s->trial.max_new_tokens && !s->goal.generates)
        return err_set(err, ERR_CONFIG,
                       "'max_new_tokens' is read with predict_with_generate: true only");
    return s->goal.task->kind->open(&s->trial, s->hf->config, &s->goal, err);
}

static int open_language(struct session *s, struct err *err)
{
    return s->goal.task->kind->reader == &language_rows
               ? language_open(&s->language, &s->trial, s->base_dir, s->hf, s->tokenizer,
                               err)
               : language_unread(&s->trial, err);
}

/* The names of classes that go with the head which will be used: those of the adapter's
 * folder, where it has some, else the model's. */
static int read_known_labels(struct session *s, const char *adapter, struct err *err)
{
    const char *init = s->trial.init_adapter;
    char *from = adapter ? xstrdup(adapter) : init ? fs_join(s->base_dir, init) : NULL;
    int rc = from ? labels_of_folder(&s->known_labels, from, NULL, err) : 0;
    if (!rc && !s->known_labels.count) {
        char *path = fs_join(s->hf->dir, "config.json");
        rc = labels_of_model(&s->known_labels, s->hf->config, path, err);
        free(path);
    }
    for (size_t i = 0; s->hf->weights && i < st_count(s->hf->weights); i++)
        s->head_is_used |= !s->training && !from &&
                           task_saves(s->goal.task, st_at(s->hf->weights, i)->name);
    free(from);
    return rc;
}

/* --- graphs --- */

static int count_classes(struct session *s, struct err *err)
{
    if (!s->goal.num_labels)
        s->goal.num_labels = s->trial.num_labels ? (int32_t)s->trial.num_labels
                             : s->labels.count   ? (int32_t)s->labels.count
                                                 : session_classes_of_model(s);
    return s->goal.num_labels
               ? 0
               : err_set(err, ERR_CONFIG,
                         "'num_labels' is missing: neither rows nor the model's "
                         "config.json say how many classes there are");
}

static int open_net(struct session *s, const char *adapter, struct err *err)
{
    const char *init = s->trial.init_adapter;
    char *from = adapter ? xstrdup(adapter) : init ? fs_join(s->base_dir, init) : NULL;
    int rc = count_classes(s, err);
    if (!rc)
        rc = net_init(&s->net, s->hf, &s->trial, &s->goal, from, s->training, err);
    free(from);
    return rc;
}

static int start_values(struct session *s, const char *adapter, struct err *err)
{
    const char *init = s->trial.init_adapter;
    if (!adapter && !init)
        return 0;
    int rc = 0;
    if (init && (!adapter || s->net.change.base_moved)) {
        char *path = fs_join(s->base_dir, init);
        rc = adapter_load(&s->net, path, err);
        free(path);
    }
    if (!rc && adapter && s->net.method->files->adopt)
        rc = s->net.method->files->adopt(&s->net, adapter, err);
    if (!rc && adapter)
        rc = adapter_load(&s->net, adapter, err);
    return rc;
}

static int open_base(struct session *s, struct err *err)
{
    const char *backend = getenv("PEFTLAB_BACKEND");
    if (!s->backend)
        s->backend = backend_get(backend && *backend ? backend : "cpu", err);
    int rc = s->backend ? open_model(s, err) : err_code(err);
    if (!rc)
        rc = open_task(s, err);
    return rc ? rc : open_language(s, err);
}

static int open_all(struct session *s, const char *adapter, struct err *err)
{
    const bool training = s->training;
    struct selection selection;
    int rc = training ? selection_init(&selection, &s->trial, err) : 0;
    if (rc) /* before anything is read */
        return rc;
    if ((rc = open_base(s, err)) ||
        (training && (rc = selection_fits(&selection, &s->goal, err))) ||
        (rc = read_known_labels(s, adapter, err)) || (rc = session_open_data(s, err)))
        return rc;
    if ((rc = open_net(s, adapter, err)) || (rc = session_check_rows(s, err)) ||
        (rc = start_values(s, adapter, err)))
        return rc;
    if (!s->assume)
        s->hashes = fingerprint_session(s);
    s->course.seed = (uint64_t)s->trial.seed;
    if (training &&
        (rc = course_plan(&s->course, &s->trial, s->data[SPLIT_TRAIN],
                          s->net.change.prompt_rows,
                          str_eq(s->trial.packing, "bfd") ? s->row_tokens : 0, err)))
        return rc;
    if (training && s->net.method->plan &&
        (rc = s->net.method->plan(&s->net, s->course.updates, err)))
        return rc;
    if (training &&
        (rc = spike_fits(spike_action_find(s->trial.loss_spike),
                         s->net.method->after_update, s->net.method->name, err)))
        return rc;
    if (training && (rc = class_weights_read(s, err)))
        return rc;
    if (s->goal.generates && (rc = answers_plan(s, err)))
        return rc;
    return session_plan_memory(s, err);
}

int session_open(struct session *s, const json_t *resolved, const char *base_dir,
                 const char *adapter, bool training, struct err *err)
{
    *s = (struct session){.base_dir = base_dir, .training = training};
    trial_init(&s->trial, resolved);
    return open_all(s, adapter, err);
}

int session_plan(struct session *s, const json_t *resolved, const char *base_dir,
                 enum assume assume, const struct backend *on, struct err *err)
{
    *s = (struct session){
        .base_dir = base_dir, .training = true, .assume = assume, .backend = on};
    trial_init(&s->trial, resolved);
    return open_all(s, NULL, err);
}

/* --- to generate --- */

/* Frozen weights are prepared, whatever the method trained. */
static void freeze_base(struct session *s)
{
    for (size_t i = 0; i < s->net.params.count; i++)
        s->net.params.items[i]->trainable &= s->net.params.items[i]->added;
}

int session_open_decoder(struct session *s, const json_t *resolved, const char *base_dir,
                         const char *adapter, struct err *err)
{
    *s = (struct session){.base_dir = base_dir, .decoding = true};
    trial_init(&s->trial, resolved);
    if (!adapter && !s->trial.init_adapter) /* the base alone */
        s->trial.method = method_full.name;
    int rc = open_base(s, err);
    if (!rc && s->goal.labels != LABEL_token)
        rc = err_set(err, ERR_CONFIG,
                     "task '%s' does not write text; texts come of task causal-lm",
                     s->goal.task->name);
    if (rc || (rc = open_net(s, adapter, err)) || (rc = start_values(s, adapter, err)))
        return rc;
    s->course.seed = (uint64_t)s->trial.seed;
    freeze_base(s);
    return 0;
}

/* --- to serve --- */

int session_open_base(struct session *s, const json_t *resolved, const char *base_dir,
                      struct extent most, struct err *err)
{
    *s = (struct session){.base_dir = base_dir, .serves = most};
    trial_init(&s->trial, resolved);
    int rc = open_base(s, err);
    if (rc || (rc = read_known_labels(s, NULL, err)))
        return rc;
    s->goal.num_labels = session_classes_of_model(s);
    if (!s->goal.num_labels) /* it has no head: any will do, nobody asks for it */
        s->goal.num_labels = 2;
    if ((rc = open_net(s, NULL, err)))
        return rc;
    s->hashes = fingerprint_session(s);
    return session_plan_memory(s, err);
}

int session_open_writer(struct session *s, const json_t *resolved, const char *base_dir,
                        struct decode_size size, struct err *err)
{
    const int rc = session_open_decoder(s, resolved, base_dir, NULL, err);
    if (rc)
        return rc;
    const int32_t most = generator_length(s, generator_room(s), 0);
    s->decode = size;
    if (size.capacity > most)
        s->decode.capacity = most;
    if ((int64_t)size.sequences * net_kv_width(&s->net) * s->decode.capacity > INT32_MAX)
        return err_set(err, ERR_CONFIG,
                       "%d texts of %d tokens at a time are more than a cache can hold",
                       size.sequences, s->decode.capacity);
    s->serves = extent_of_cached(size.tokens, size.sequences, size.sequences);
    s->hashes = fingerprint_session(s);
    return session_plan_memory(s, err);
}

/* --- rows alone --- */

int session_open_rows(struct session *s, const json_t *resolved, const char *base_dir,
                      struct err *err)
{
    *s = (struct session){.base_dir = base_dir, .training = true, .only_rows = true};
    trial_init(&s->trial, resolved);
    int rc = open_model(s, err);
    if (!rc && !(rc = open_task(s, err)) && !(rc = open_language(s, err)) &&
        !(rc = read_known_labels(s, NULL, err)))
        rc = session_open_data(s, err);
    return rc;
}
