/* runner/session_memory.c - taking the planned memory, start values, micro-batches. */
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/features.h"
#include "runner/nn/peft/method.h"
#include "runner/session.h"
#include <stdlib.h>
#include <string.h>

/* Says no before the kernel's out-of-memory killer does. */
static int check_room(struct session *s, struct err *err)
{
    const size_t need = session_planned_bytes(s);
    const int64_t limit = proc_memory_limit_bytes();
    if (limit <= 0 || need <= (size_t)limit)
        return 0;
    if (features_give_up(s))
        return check_room(s, err);
    char a[32], b[32];
    str_bytes(a, sizeof a, (double)need);
    str_bytes(b, sizeof b, (double)limit);
    if (s->decoding)
        return err_set(err, ERR_NOMEM,
                       "%d texts of %d tokens at a time need %s, this machine allows %s; "
                       "try fewer at a time, shorter ones, or quantization: nf4",
                       s->decode.sequences, s->decode.capacity, a, b);
    return err_set(err, ERR_NOMEM,
                   "the trial needs %s, this machine allows %s; try a smaller batch_size "
                   "or max_length, gradient_checkpointing, or quantization: nf4",
                   a, b);
}

/* What comes with a turn of a pack. */
static bool is_of_turn(const struct session *s, enum mem_category c)
{
    return s->seat.pack && (c == MEM_activations || c == MEM_workspace);
}

static int take(struct session *s, enum mem_category c, struct err *err)
{
    char text[32];
    const size_t elsewhere = c == MEM_weights    ? s->weights.outside
                             : c == MEM_features ? s->allocated[c]
                                                 : 0,
                 bytes = s->planned[c] - elsewhere;
    if (is_of_turn(s, c))
        s->allocated[c] = bytes;
    if (!bytes || s->arena[c] || is_of_turn(s, c))
        return 0;
    s->arena[c] = s->backend->alloc(s->backend->device, bytes);
    if (!s->arena[c] && c == MEM_features && features_give_up(s))
        return 0;
    if (!s->arena[c])
        return err_set(err, ERR_NOMEM, "no %s for %s",
                       str_bytes(text, sizeof text, (double)bytes), mem_names[c]);
    s->allocated[c] += bytes;
    return 0;
}

/* Start values come before the memory that passes work in is there: while they are made, a
 * matrix may lie in memory twice. */
static int put_params(struct session *s, struct err *err)
{
    static const enum mem_category homes[] = {MEM_weights, MEM_trainable, MEM_gradients};
    int rc =
        s->net.method->start ? s->net.method->start(&s->net, s->course.seed, err) : 0;
    if (!rc)
        session_share_weights(s);
    for (size_t i = 0; i < ARRAY_LEN(homes) && !rc; i++)
        rc = take(s, homes[i], err);
    for (size_t i = 0; i < s->net.params.count && !rc; i++)
        rc = session_put_param(s, i, err);
    if (!rc && s->net.method->derive)
        rc = s->net.method->derive(&s->net, s->backend, err);
    return rc;
}

void session_round(const struct session *s, enum mem_category in)
{
    for (size_t i = 0; i < s->group_count; i++) {
        const struct param_group *g = &s->groups[i];
        float *x = (float *)s->arena[in] + g->offset;
        struct op_args a = {.in[0] = tensor_vector(x, DT_F32, g->count),
                            .out[0] = tensor_vector(x, DT_F32, g->count)};
        if (g->rounded)
            graph_call(s->backend, &s->memory, OP_round_bf16, &a);
    }
}

int session_allocate(struct session *s, struct err *err)
{
    int rc = s->hf->weights
                 ? check_room(s, err)
                 : err_set(err, ERR_NOINPUT,
                           "model '%s': only its configuration is known, there are no "
                           "weights (peftlab pull fetches them)",
                           s->hf->dir);
    s->host_bytes = proc_rss_bytes();
    if (!rc)
        rc = put_params(s, err);
    if (!rc)
        features_open(s);
    for (int c = 0; c < MEM_COUNT && !rc; c++)
        rc = take(s, c, err);
    if (rc)
        return rc;
    s->memory = (struct graph_memory){.activations = s->arena[MEM_activations],
                                      .workspace = s->arena[MEM_workspace],
                                      .batch = s->arena[MEM_batch],
                                      .state = s->arena[MEM_state]};
    graph_batch_bytes(&s->budget, goal_targets(&s->goal), s->memory.batch_offsets);
    for (int i = 0; i < SLOT_COUNT; i++)
        s->host_batch[i] = xcalloc(
            (size_t)graph_slot_rows((enum batch_slot)i, &s->budget) + 1, sizeof(int32_t));
    s->host_targets =
        xcalloc((size_t)s->budget.of[ROWS_PICKED] * (size_t)goal_targets(&s->goal) + 1,
                sizeof(float));
    session_round(s, MEM_trainable);
    return 0;
}

/* --- in a pack --- */

int session_turn_take(struct session *s, bool only, struct err *err)
{
    const size_t first = mem_round_up(s->planned[MEM_activations]);
    void *memory;
    if (!s->seat.pack)
        return 0;
    const int rc = pack_turn_take(
        &s->seat, first + mem_round_up(s->planned[MEM_workspace]), only, &memory, err);
    if (rc)
        return rc;
    s->memory.activations = s->arena[MEM_activations] = memory;
    s->memory.workspace = s->arena[MEM_workspace] = (char *)memory + first;
    return 0;
}

void session_turn_give(struct session *s)
{
    if (!s->seat.pack)
        return;
    s->memory.activations = s->arena[MEM_activations] = NULL;
    s->memory.workspace = s->arena[MEM_workspace] = NULL;
    pack_turn_give(&s->seat);
}

int session_turn_pass(struct session *s, bool only, struct err *err)
{
    session_turn_give(s);
    return session_turn_take(s, only, err);
}

void session_close(struct session *s)
{
    session_turn_give(s);
    for (int c = 0; c < MEM_COUNT; c++)
        if (s->arena[c])
            s->backend->release(s->backend->device, s->arena[c]);
    session_release_weights(s);
    pack_rise(&s->seat);
    for (int i = 0; i < SLOT_COUNT; i++)
        free(s->host_batch[i]);
    free(s->host_targets);
    features_release(s);
    graph_release(&s->train_graph);
    graph_release(&s->eval_graph);
    graph_release(&s->merged_graph);
    graph_release(&s->start_graph);
    graph_release(&s->decode_graph);
    net_release(&s->net);
    free(s->groups);
    free(s->class_weights);
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (s->data[i])
            dataset_free(s->data[i]);
    labels_release(&s->labels);
    tokenizer_free(s->tokenizer);
    language_release(&s->language);
    course_release(&s->course);
    if (s->hf)
        hf_model_close(s->hf);
    json_decref(s->hashes);
    trial_release(&s->trial);
    *s = (struct session){0};
}

int64_t session_picks(const struct session *s, int split, int64_t begin, int64_t end)
{
    const struct example *rows = s->data[split]->rows;
    int64_t picks = 0;
    for (int64_t r = begin; r < end; r++)
        picks += s->goal.task->kind->pick(&s->goal, &rows[r], 0,
                                          rows[r].n + s->net.change.prompt_rows, NULL);
    return picks;
}

void session_upload(struct session *s, const struct extent *filled)
{
    const size_t targets = (size_t)goal_targets(&s->goal);
    char *batch = s->arena[MEM_batch];
    for (int i = 0; i < SLOT_COUNT; i++)
        s->backend->upload(s->backend->device, batch + s->memory.batch_offsets[i],
                           i == SLOT_targets ? (const void *)s->host_targets
                                             : s->host_batch[i],
                           (size_t)graph_slot_rows((enum batch_slot)i, filled) *
                               sizeof(int32_t) * (i == SLOT_targets ? targets : 1));
}

int32_t batch_put_row(const struct net *net, const struct example *e, int32_t at,
                      int32_t *const slots[SLOT_COUNT])
{
    int32_t *const ids = slots[SLOT_ids], *const positions = slots[SLOT_positions],
                   *const types = slots[SLOT_type_ids];
    const int32_t prompt = net->change.prompt_rows;
    for (int32_t t = 0; t < prompt; t++, at++) {
        ids[at] = -1 - t;
        positions[at] = net->shape.first_position + t;
        types[at] = 0;
    }
    int32_t position = net->shape.first_position + net->change.virtual_tokens;
    for (int32_t t = 0; t < e->n; t++, at++) {
        const bool pad = !prompt && e->ids[t] == net->shape.pad_id;
        ids[at] = e->ids[t];
        positions[at] = pad ? net->shape.pad_id : position++;
        types[at] = e->type_ids ? e->type_ids[t] : 0;
    }
    return at;
}

struct extent session_load_batch(struct session *s, int split, const uint32_t *order,
                                 int64_t begin, int64_t end)
{
    int32_t *const *h = s->host_batch;
    const int32_t rows = (int32_t)(end - begin);
    struct picks picks = {h[SLOT_picked], h[SLOT_labels], s->host_targets, 0};
    int32_t tokens = 0;
    for (int32_t r = 0; r < rows; r++) {
        const int64_t at = begin + r;
        const struct example *e = &s->data[split]->rows[order ? order[at] : (uint64_t)at];
        const int32_t first = h[SLOT_seq][r] = tokens;
        tokens = batch_put_row(&s->net, e, tokens, h);
        s->goal.task->kind->pick(&s->goal, e, first, tokens - first, &picks);
    }
    h[SLOT_seq][rows] = tokens;
    const struct extent all = extent_of(tokens, rows, picks.count);
    session_upload(s, &all);
    return all;
}
