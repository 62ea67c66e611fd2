/* runner/train/step.c - see step.h. */
#include "runner/train/step.h"
#include "lib/mem.h"
#include "runner/features.h"
#include "runner/nn/peft/method.h"
#include "runner/train/finder.h"
#include <math.h>
#include <stdlib.h>

static struct tensor vector(void *data, size_t floats)
{
    return tensor_vector(data, DT_F32, floats);
}

static void call(const struct session *s, enum op op, struct op_args *a)
{
    graph_call(s->backend, &s->memory, op, a);
}

void step_init(struct step *st, struct session *s)
{
    const struct trial *t = &s->trial;
    *st = (struct step){
        .s = s,
        .schedule =
            schedule_make(t->lr_scheduler_type, t->warmup_steps, s->course.updates),
        .losses = xmalloc((size_t)s->budget.of[ROWS_PICKED] * sizeof *st->losses)};
    epoch_init(&st->epoch, &s->course);
}

void step_release(struct step *st)
{
    epoch_release(&st->epoch);
    free(st->losses);
}

static double sum_losses(struct step *st, const struct extent *e)
{
    const struct session *s = st->s;
    const struct tensor t =
        graph_tensor(&s->train_graph, &s->memory, s->train_graph.loss, e);
    double sum = 0;
    s->backend->download(s->backend->device, st->losses, t.data,
                         (size_t)t.rows * sizeof(float));
    for (int32_t i = 0; i < t.rows; i++)
        sum += st->losses[i];
    return sum;
}

static void zero_gradients(const struct session *s)
{
    float *const g = s->arena[MEM_gradients];
    const size_t n = s->trainable_floats;
    for (size_t at = 0; at < n; at += VECTOR_MAX) {
        struct op_args a = {.out[0] = tensor_piece(g, n, at)};
        call(s, OP_zero, &a);
    }
}

/* Forward and backward over the rows of an update, in micro-batches. */
static void accumulate(struct step *st, int64_t update, struct update_log *log)
{
    struct session *s = st->s;
    const struct epoch *e = &st->epoch;
    const struct stretch all = epoch_update(e, &s->course, update);
    const double weight = class_weights_sum(s, e->rows, all.begin, all.end);
    struct op_step step = {.seed = s->course.seed,
                           .step = (uint32_t)update,
                           .loss_scale = weight > 0 ? (float)(1 / weight) : 0};
    zero_gradients(s);
    for (int64_t k = 0; k < s->course.accumulation; k++) {
        const struct stretch b = epoch_batch(e, &s->course, update, k);
        if (b.begin == b.end)
            break;
        features_begin(s, SPLIT_TRAIN, e->rows, b.begin, b.end);
        const struct extent rows =
            session_load_batch(s, SPLIT_TRAIN, e->rows, b.begin, b.end);
        const int32_t tokens = rows.of[ROWS_TOKENS];
        graph_run(&s->train_graph, s->backend, &s->memory, &rows, &step);
        log->reused_tokens += features_end(s, SPLIT_TRAIN);
        log->loss += sum_losses(st, &rows);
        log->tokens += tokens;
        step.token_base += (uint32_t)tokens;
    }
    log->rows = all.end - all.begin;
    log->loss = weight > 0 ? log->loss / weight : 0;
}

static double gradient_norm(const struct session *s)
{
    char *scalar = (char *)s->arena[MEM_batch] + s->scalars_offset;
    const float *const g = s->arena[MEM_gradients];
    const size_t n = s->trainable_floats;
    double sum = 0;
    for (size_t at = 0; at < n; at += VECTOR_MAX) {
        struct op_args a = {.in[0] = tensor_piece(g, n, at),
                            .out[0] = {scalar, DT_F64, 1, 1, 1, NULL},
                            .accumulate = at > 0};
        call(s, OP_sumsq, &a);
    }
    s->backend->download(s->backend->device, &sum, scalar, sizeof sum);
    return sqrt(sum);
}

/* What gradients are scaled by. */
static double clipping(const struct step *st, const struct update_log *log)
{
    const double most = st->s->trial.max_grad_norm;
    return most > 0 ? fmin(1, most / (log->grad_norm + 1e-6)) : 1;
}

static void optimise(const struct step *st, int64_t applied, const struct update_log *log)
{
    const struct session *s = st->s;
    const struct trial *t = &s->trial;
    const double clip = clipping(st, log);
    float *const p = s->arena[MEM_trainable], *const g = s->arena[MEM_gradients];
    for (size_t i = 0; i < s->group_count; i++) {
        const struct param_group *q = &s->groups[i];
        struct op_args a = {
            .in[0] = vector(g + q->offset, q->count),
            .out[0] = vector(p + q->offset, q->count),
            .attr = {.lr = (float)(log->learning_rate * q->lr_ratio),
                     .weight_decay = q->decay ? (float)t->weight_decay : 0,
                     .beta1 = (float)t->adam_beta1,
                     .beta2 = (float)t->adam_beta2,
                     .eps = (float)t->adam_epsilon,
                     .grad_scale = (float)clip,
                     .t = applied + 1},
        };
        s->optimizer->state(q, (char *)s->arena[MEM_optimizer] + q->state, &a);
        call(s, s->optimizer->op, &a);
    }
}

/* Runs the update again with each op watched, to name the first that is not finite. */
int step_not_finite(struct step *st, int64_t update, const struct update_log *log,
                    struct err *err)
{
    struct session *s = st->s;
    struct update_log again = {0};
    struct finder finder;
    struct graph_watch *before = s->memory.watch;
    finder_init(&finder, s);
    features_forget(s, SPLIT_TRAIN);
    s->memory.watch = &finder.watch;
    if (!finder.found)
        accumulate(st, update, &again);
    s->memory.watch = before;
    return err_set(err, ERR_NAN,
                   "update %lld: loss %g, gradient norm %g; not finite first: %s; try a "
                   "smaller learning_rate",
                   (long long)update + 1, log->loss, log->grad_norm,
                   finder.found ? finder.what : "the sum of the gradients' squares");
}

void step_measure(struct step *st, int64_t update, struct update_log *log)
{
    struct session *s = st->s;
    epoch_seek(&st->epoch, &s->course, s->data[SPLIT_TRAIN], update);
    *log = (struct update_log){.learning_rate = s->trial.learning_rate *
                                                schedule_factor(&st->schedule, update)};
    accumulate(st, update, log);
    if (s->net.method->penalty)
        log->loss += s->net.method->penalty(&s->net, s->backend);
    session_round(s, MEM_gradients);
    log->grad_norm = gradient_norm(s);
}

void step_apply(struct step *st, int64_t update, int64_t applied,
                const struct update_log *log)
{
    struct session *s = st->s;
    optimise(st, applied, log);
    session_round(s, MEM_trainable);
    if (s->net.method->after_update)
        s->net.method->after_update(&s->net, s->backend, update, clipping(st, log));
    s->backend->sync(s->backend->device);
}
