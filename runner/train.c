/* runner/train.c - see train.h. */
#include "runner/train.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "runner/optim/schedule.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct loop {
    struct session *s;
    struct schedule schedule;
    double learning_rate, max_grad_norm;
    uint32_t *order;
    float *losses; /* of one micro-batch */
};

struct update_log {
    double loss, grad_norm, learning_rate;
    int64_t tokens, rows;
};

static struct tensor vector(void *data, size_t floats)
{
    return (struct tensor){data, DT_F32, 1, (int32_t)floats, (int64_t)floats, NULL};
}

static void call(const struct session *s, enum op op, struct op_args *a)
{
    a->workspace = s->arena[MEM_workspace];
    s->backend->ops[op](a);
}

static double sum_losses(struct loop *l, int32_t tokens, int32_t rows)
{
    const struct session *s = l->s;
    const struct tensor t =
        graph_tensor(&s->train_graph, &s->memory, s->train_graph.loss, tokens, rows);
    double sum = 0;
    s->backend->download(l->losses, t.data, (size_t)rows * sizeof(float));
    for (int32_t i = 0; i < rows; i++)
        sum += l->losses[i];
    return sum;
}

/* Forward and backward over the rows [begin, end) of the epoch, in micro-batches. */
static void accumulate(struct loop *l, int64_t update, int64_t begin, int64_t end,
                       struct update_log *log)
{
    struct session *s = l->s;
    struct op_args zero = {.out[0] =
                               vector(s->arena[MEM_gradients], s->trainable_floats)};
    struct op_step step = {.seed = s->course.seed,
                           .step = (uint32_t)update,
                           .loss_scale = 1 / (float)(end - begin)};
    call(s, OP_zero, &zero);
    for (int64_t b = begin; b < end; b += s->course.batch_rows) {
        const int64_t e = b + s->course.batch_rows < end ? b + s->course.batch_rows : end;
        const int32_t tokens = session_load_batch(s, SPLIT_TRAIN, l->order, b, e);
        graph_run(&s->train_graph, s->backend, &s->memory, tokens, (int32_t)(e - b),
                  &step);
        log->loss += sum_losses(l, tokens, (int32_t)(e - b));
        log->tokens += tokens;
        step.token_base += (uint32_t)tokens;
    }
    log->rows = end - begin;
    log->loss /= (double)log->rows;
}

static double gradient_norm(const struct session *s)
{
    char *scalar = (char *)s->arena[MEM_batch] + s->scalars_offset;
    struct op_args a = {
        .in[0] = vector(s->arena[MEM_gradients], s->trainable_floats),
        .out[0] = {scalar, DT_F64, 1, 1, 1, NULL}
    };
    double sum;
    call(s, OP_sumsq, &a);
    s->backend->download(&sum, scalar, sizeof sum);
    return sqrt(sum);
}

static void optimise(const struct loop *l, int64_t update, const struct update_log *log)
{
    const struct session *s = l->s;
    const json_t *t = s->trial;
    const bool adam = s->planned[MEM_optimizer] > 0;
    const double clip =
        l->max_grad_norm > 0 ? fmin(1, l->max_grad_norm / (log->grad_norm + 1e-6)) : 1;
    float *const p = s->arena[MEM_trainable], *const g = s->arena[MEM_gradients];
    float *const m = s->arena[MEM_optimizer], *const v =
                                                  adam ? m + s->trainable_floats : NULL;
    for (size_t i = 0; i < s->group_count; i++) {
        const struct param_group *q = &s->groups[i];
        struct op_args a = {
            .in[0] = vector(g + q->offset, q->count),
            .out[0] = vector(p + q->offset, q->count),
            .attr = {.lr = (float)(log->learning_rate * q->lr_ratio),
                     .weight_decay =
                         q->decay ? (float)json_get_num(t, "weight_decay", 0) : 0,
                     .beta1 = (float)json_get_num(t, "adam_beta1", 0.9),
                     .beta2 = (float)json_get_num(t, "adam_beta2", 0.999),
                     .eps = (float)json_get_num(t, "adam_epsilon", 1e-8),
                     .grad_scale = (float)clip,
                     .t = update + 1},
        };
        if (adam) {
            a.out[1] = vector(m + q->offset, q->count);
            a.out[2] = vector(v + q->offset, q->count);
        }
        call(s, adam ? OP_adamw : OP_sgd, &a);
    }
}

/* Names the first parameter whose gradient is not finite. */
static int not_finite(const struct session *s, int64_t update,
                      const struct update_log *log, struct err *err)
{
    const char *where = "the loss";
    for (size_t i = 0; i < s->net.params.count && isfinite(log->loss); i++) {
        const struct param *p = s->net.params.items[i];
        if (!p->trainable)
            continue;
        const size_t n = (size_t)param_size(p);
        float *g = xmalloc(n * sizeof *g);
        s->backend->download(g, p->grad.data, n * sizeof *g);
        size_t k = 0;
        while (k < n && isfinite(g[k]))
            k++;
        free(g);
        if (k < n) {
            where = p->name;
            break;
        }
    }
    return err_set(err, ERR_NAN,
                   "update %lld: loss %g, gradient norm %g: not finite first in %s; try "
                   "a smaller learning_rate",
                   (long long)update + 1, log->loss, log->grad_norm, where);
}

static void write_trace(FILE *f, int64_t update, const struct update_log *log, double ms)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "{\"step\": %lld, \"loss\": ", (long long)update + 1);
    json_put_double(&b, log->loss);
    buf_str_add(&b, ", \"grad_norm\": ");
    json_put_double(&b, log->grad_norm);
    buf_str_add(&b, ", \"learning_rate\": ");
    json_put_double(&b, log->learning_rate);
    buf_printf(&b, ", \"tokens\": %lld, \"step_ms\": %.3f}\n", (long long)log->tokens,
               ms);
    fputs(buf_str(&b), f);
    buf_release(&b);
}

static int stop_asked(struct sink *sink, int64_t update, struct err *err)
{
    int last = 0;
    if (!proc_signals(&last) && sink->ops->alive(sink))
        return 0;
    return err_set(err, ERR_BUSY, "stopped after update %lld%s", (long long)update + 1,
                   last ? " by a signal" : ": asked to stop, or the lease was lost");
}

static int one_update(struct loop *l, int64_t update, struct update_log *log,
                      struct err *err)
{
    struct session *s = l->s;
    const struct course *c = &s->course;
    const int64_t epoch = update / c->updates_per_epoch,
                  k = update % c->updates_per_epoch;
    const int64_t rows = c->batch_rows * c->accumulation;
    if (k == 0)
        course_order(c, s->data[SPLIT_TRAIN], epoch, l->order);
    *log = (struct update_log){.learning_rate = l->learning_rate *
                                                schedule_factor(&l->schedule, update)};
    accumulate(l, update, k * rows, (k + 1) * rows < c->rows ? (k + 1) * rows : c->rows,
               log);
    log->grad_norm = gradient_norm(s);
    if (!isfinite(log->loss) || !isfinite(log->grad_norm))
        return not_finite(s, update, log, err);
    optimise(l, update, log);
    s->backend->sync();
    return 0;
}

static void report(struct sink *sink, int64_t update, const struct update_log *log)
{
    sink->ops->metric(sink, "train/loss", update + 1, log->loss);
    sink->ops->metric(sink, "train/grad_norm", update + 1, log->grad_norm);
    sink->ops->metric(sink, "train/learning_rate", update + 1, log->learning_rate);
}

int train_run(struct session *s, FILE *trace, struct sink *sink, train_hook *hook,
              void *ctx, struct train_outcome *out, struct err *err)
{
    const json_t *t = s->trial;
    const struct course *c = &s->course;
    const int64_t eval_steps = json_get_int(t, "eval_steps", 0);
    struct loop l = {.s = s,
                     .schedule =
                         schedule_make(json_get_str(t, "lr_scheduler_type", "linear"),
                                       json_get_num(t, "warmup_steps", 0), c->updates),
                     .learning_rate = json_get_num(t, "learning_rate", 0),
                     .max_grad_norm = json_get_num(t, "max_grad_norm", 1),
                     .order = xmalloc((size_t)c->rows * sizeof *l.order),
                     .losses = xmalloc((size_t)s->sequence_budget * sizeof *l.losses)};
    int rc = 0;
    *out = (struct train_outcome){
        .step_ms = xcalloc((size_t)c->updates + 1, sizeof *out->step_ms)};
    for (int64_t u = 0; u < c->updates && !rc; u++) {
        struct update_log log;
        const double begin = clock_mono_s();
        rc = one_update(&l, u, &log, err);
        const double seconds = clock_mono_s() - begin;
        if (trace)
            write_trace(trace, u, &log, 1e3 * seconds);
        report(sink, u, &log);
        if (rc)
            break;
        out->step_ms[out->updates++] = 1e3 * seconds;
        out->train_s += seconds;
        out->tokens += log.tokens;
        out->samples += log.rows;
        out->loss_last = log.loss;
        if (u == 0)
            out->loss_first = log.loss;
        if (hook && eval_steps > 0 && (u + 1) % eval_steps == 0 && u + 1 < c->updates)
            rc = hook(s, u + 1, ctx, err);
        if (!rc && u + 1 < c->updates)
            rc = stop_asked(sink, u, err);
    }
    out->flops =
        out->updates
            ? graph_flops(&s->train_graph,
                          (int32_t)(out->tokens / out->updates / c->accumulation),
                          (int32_t)(out->samples / out->updates / c->accumulation)) *
                  (double)(out->updates * c->accumulation)
            : 0;
    free(l.order);
    free(l.losses);
    return rc;
}

void train_outcome_release(struct train_outcome *o)
{
    free(o->step_ms);
    o->step_ms = NULL;
}
