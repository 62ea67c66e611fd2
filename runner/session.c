/* runner/session.c - opening: files, data, net, and the plan. */
#include "runner/session.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/fingerprint.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include "runner/train/selection.h"
#include <stdlib.h>
#include <string.h>

#define EVAL_TOKENS                                                                      \
    512 /* a micro-batch of evaluation, where no row and no training batch is longer */
#define EVAL_ROWS 32

const char *const mem_names[MEM_COUNT] = {
#define X(name, help) #name,
    MEM_CATEGORIES(X)
#undef X
};

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
    return s->goal.task
               ? s->goal.task->kind->open(&s->trial, s->hf->config, &s->goal, err)
               : err_code(err);
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
    static const char *const files[] = {"head_config.json", "config.json"};
    const char *init = s->trial.init_adapter;
    char *from = adapter ? xstrdup(adapter) : init ? fs_join(s->base_dir, init) : NULL;
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(files) && from && !s->known_labels.count && !rc;
         i++) {
        char *path = fs_join(from, files[i]);
        json_t *c = fs_exists(path) ? json_read_file(path, err) : json_object();
        rc = c ? labels_of_model(&s->known_labels, c, path, err) : err_code(err);
        json_decref(c);
        free(path);
    }
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

static void record_graphs(struct session *s)
{
    const struct trial *t = &s->trial;
    const struct graph_loss loss = goal_loss(&s->goal);
    int32_t tokens = s->training ? s->course.max_tokens : EVAL_TOKENS;
    int32_t rows = s->training ? s->course.max_rows : EVAL_ROWS;
    if (s->training) {
        struct graph_loss training = loss;
        graph_init(&s->train_graph, &s->net.params, NULL, GRAPH_TRAIN,
                   extent_of(tokens, rows, goal_most_picks(&s->goal, tokens, rows)));
        training.label_smoothing = (float)t->label_smoothing_factor;
        if (s->class_weights)
            training.class_weights = g_param(&s->train_graph, CLASS_WEIGHTS);
        graph_finish(&s->train_graph, net_record(&s->net, &s->train_graph),
                     t->gradient_checkpointing, &training);
    }
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (s->data[i] && s->data[i]->longest + s->net.change.prompt_rows > tokens)
            tokens = s->data[i]->longest + s->net.change.prompt_rows;
    s->budget = extent_of(tokens, rows, goal_most_picks(&s->goal, tokens, rows));
    graph_init(&s->eval_graph, &s->net.params, &s->net.states, GRAPH_EVAL, s->budget);
    graph_finish(&s->eval_graph, net_record(&s->net, &s->eval_graph), false, &loss);
    if (s->training && s->net.method->merge && s->net.quant == QUANT_NONE) {
        struct net plain = s->net;
        plain.method = &method_full;
        graph_init(&s->merged_graph, &s->net.params, &s->net.states, GRAPH_EVAL,
                   s->budget);
        graph_finish(&s->merged_graph, net_record(&plain, &s->merged_graph), false,
                     &loss);
    }
}

static size_t place_weights(struct session *s)
{
    size_t at = 0;
    for (size_t i = 0; i < s->net.params.count; i++) {
        struct param *p = s->net.params.items[i];
        if (p->trainable)
            continue;
        p->spec.need_dx = s->training && graph_needs_dx(&s->train_graph, (int)i);
        p->bytes = param_frozen_bytes(p, s->backend);
        p->offset = at;
        at += p->bytes;
    }
    return at;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The norm of all gradients is the one op outside of the graph that takes scratch. */
static size_t norm_workspace_bytes(const struct session *s)
{
    const size_t n = s->trainable_floats < VECTOR_MAX ? s->trainable_floats : VECTOR_MAX;
    const struct op_args a = {.in[0] = tensor_vector(NULL, DT_F32, n),
                              .out[0] = tensor_vector(NULL, DT_F64, 1)};
    return s->backend->workspace_bytes(s->backend->device, OP_sumsq, &a);
}

static struct extent larger_extent(struct extent a, const struct extent *b)
{
    for (int k = 0; k < ROWS_KINDS; k++)
        a.of[k] = b->of[k] > a.of[k] ? b->of[k] : a.of[k];
    return a;
}

/* Graphs that were recorded take turns in the same memory. */
static int plan_graphs(struct session *s, struct err *err)
{
    struct graph *const all[] = {&s->eval_graph, &s->merged_graph, &s->train_graph,
                                 &s->start_graph, &s->decode_graph};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(all) && !rc; i++) {
        if (!all[i]->node_count)
            continue;
        rc = graph_plan(all[i], s->backend, err);
        s->budget = larger_extent(s->budget, &all[i]->budget);
        s->planned[MEM_activations] =
            larger(s->planned[MEM_activations], all[i]->activation_bytes);
        s->planned[MEM_workspace] =
            larger(s->planned[MEM_workspace], all[i]->workspace_bytes);
    }
    return rc;
}

static int plan_memory(struct session *s, struct err *err)
{
    size_t offsets[SLOT_COUNT];
    s->optimizer = optimizer_find(s->trial.optim);
    s->groups =
        groups_plan(s->optimizer, &s->net.params, &s->group_count, &s->trainable_floats);
    s->planned[MEM_weights] = place_weights(s);
    const size_t trainable = s->trainable_floats * sizeof(float);
    const bool keep_best = s->training && s->trial.load_best_model_at_end;
    s->planned[MEM_trainable] = keep_best ? 2 * trainable : trainable;
    int rc = plan_graphs(s, err);
    if (rc)
        return rc;
    if (s->training) {
        s->planned[MEM_gradients] = trainable;
        s->planned[MEM_optimizer] =
            optimizer_plan(s->optimizer, s->groups, s->group_count);
        s->planned[MEM_workspace] =
            larger(s->planned[MEM_workspace], mem_round_up(norm_workspace_bytes(s)));
    }
    s->planned[MEM_state] = s->net.states.bytes;
    s->scalars_offset = graph_batch_bytes(&s->budget, goal_targets(&s->goal), offsets);
    s->planned[MEM_batch] = s->scalars_offset + mem_round_up(sizeof(double));
    return 0;
}

size_t session_planned_bytes(const struct session *s)
{
    size_t total = 0;
    for (int c = 0; c < MEM_COUNT; c++)
        total += s->planned[c];
    return total;
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
    if (training && (rc = class_weights_read(s, err)))
        return rc;
    record_graphs(s);
    return plan_memory(s, err);
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

static void record_decoder(struct session *s)
{
    const struct decode_size *d = &s->decode;
    struct graph *start = &s->start_graph, *decode = &s->decode_graph;
    const int32_t virtual = s->net.change.virtual_tokens;
    graph_init(decode, &s->net.params, &s->net.states, GRAPH_DECODE,
               extent_of_cached(d->tokens, d->sequences, d->sequences));
    decode->capacity = d->capacity;
    decode->chunk_rows = d->sequences; /* all logits of a run are there behind it */
    graph_finish(decode, net_record(&s->net, decode), false, NULL);
    graph_init(start, &s->net.params, &s->net.states, GRAPH_DECODE,
               extent_of_cached(virtual, d->sequences, 0));
    start->capacity = d->capacity;
    start->chunk_rows = 1; /* it has no logits */
    net_record_start(&s->net, start);
    graph_finish(start, -1, false, NULL);
}

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

int session_plan_decoder(struct session *s, const struct decode_size *size,
                         struct err *err)
{
    s->decode = *size;
    record_decoder(s);
    return plan_memory(s, err);
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
