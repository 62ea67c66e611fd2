/* runner/train/train.c - see train.h. */
#include "runner/train/train.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/evaluate.h"
#include "runner/metric/metric.h"
#include "runner/nn/peft/method.h"
#include "runner/optim/schedule.h"
#include "runner/train/checkpoint.h"
#include "runner/train/energy.h"
#include "runner/train/finder.h"
#include "runner/train/selection.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct loop {
    struct session *s;
    const struct train_place *place;
    struct schedule schedule;
    double learning_rate, max_grad_norm;
    int64_t eval_steps, save_steps, save_limit;
    uint32_t *order;
    int64_t epoch; /* that `order` is of; -1: none yet */
    float *losses; /* of one micro-batch */
    int64_t done;  /* updates */
    struct trace trace;
    struct selection selection;
    json_t *evaluations;  /* [{"step", metric: value ...}] */
    struct pieces pieces; /* what a checkpoint holds */
    struct energy energy;
    double earlier_j, earlier_s; /* of the runs from which this one goes on */
};

static struct tensor vector(void *data, size_t floats)
{
    return tensor_vector(data, DT_F32, floats);
}

/* Length of the piece at `at` of a run that may be longer than an op takes. */
static size_t piece_at(size_t at, size_t floats)
{
    return floats - at < VECTOR_MAX ? floats - at : VECTOR_MAX;
}

static void call(const struct session *s, enum op op, struct op_args *a)
{
    graph_call(s->backend, &s->memory, op, a);
}

static double sum_losses(struct loop *l, const struct extent *e)
{
    const struct session *s = l->s;
    const struct tensor t =
        graph_tensor(&s->train_graph, &s->memory, s->train_graph.loss, e);
    double sum = 0;
    s->backend->download(s->backend->device, l->losses, t.data,
                         (size_t)t.rows * sizeof(float));
    for (int32_t i = 0; i < t.rows; i++)
        sum += l->losses[i];
    return sum;
}

static int64_t rows_of(const struct course *c, int64_t update)
{
    const int64_t rows = c->batch_rows * c->accumulation;
    const int64_t begin = update % c->updates_per_epoch * rows;
    return begin + rows < c->rows ? rows : c->rows - begin;
}

static void zero_gradients(const struct session *s)
{
    float *const g = s->arena[MEM_gradients];
    const size_t n = s->trainable_floats;
    for (size_t at = 0; at < n; at += VECTOR_MAX) {
        struct op_args a = {.out[0] = vector(g + at, piece_at(at, n))};
        call(s, OP_zero, &a);
    }
}

/* Forward and backward over the rows [begin, end) of the epoch, in micro-batches. */
static void accumulate(struct loop *l, int64_t update, int64_t begin, int64_t end,
                       struct update_log *log)
{
    struct session *s = l->s;
    const double weight = class_weights_sum(s, l->order, begin, end);
    struct op_step step = {.seed = s->course.seed,
                           .step = (uint32_t)update,
                           .loss_scale = weight > 0 ? (float)(1 / weight) : 0};
    zero_gradients(s);
    for (int64_t b = begin; b < end; b += s->course.batch_rows) {
        const int64_t e = b + s->course.batch_rows < end ? b + s->course.batch_rows : end;
        const struct extent rows = session_load_batch(s, SPLIT_TRAIN, l->order, b, e);
        const int32_t tokens = rows.of[ROWS_TOKENS];
        graph_run(&s->train_graph, s->backend, &s->memory, &rows, &step);
        log->loss += sum_losses(l, &rows);
        log->tokens += tokens;
        step.token_base += (uint32_t)tokens;
    }
    log->rows = end - begin;
    log->loss = weight > 0 ? log->loss / weight : 0;
}

static double gradient_norm(const struct session *s)
{
    char *scalar = (char *)s->arena[MEM_batch] + s->scalars_offset;
    const float *const g = s->arena[MEM_gradients];
    const size_t n = s->trainable_floats;
    double sum = 0;
    for (size_t at = 0; at < n; at += VECTOR_MAX) {
        struct op_args a = {.in[0] = vector((float *)g + at, piece_at(at, n)),
                            .out[0] = {scalar, DT_F64, 1, 1, 1, NULL},
                            .accumulate = at > 0};
        call(s, OP_sumsq, &a);
    }
    s->backend->download(s->backend->device, &sum, scalar, sizeof sum);
    return sqrt(sum);
}

/* What gradients are scaled by. */
static double clipping(const struct loop *l, const struct update_log *log)
{
    return l->max_grad_norm > 0 ? fmin(1, l->max_grad_norm / (log->grad_norm + 1e-6)) : 1;
}

static void optimise(const struct loop *l, int64_t update, const struct update_log *log)
{
    const struct session *s = l->s;
    const struct trial *t = &s->trial;
    const double clip = clipping(l, log);
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
                     .t = update + 1},
        };
        s->optimizer->state(q, (char *)s->arena[MEM_optimizer] + q->state, &a);
        call(s, s->optimizer->op, &a);
    }
}

/* Runs the update again with each op watched, to name the first that is not finite. */
static int not_finite(struct loop *l, int64_t update, const struct update_log *log,
                      struct err *err)
{
    struct session *s = l->s;
    struct update_log again = {0};
    struct finder finder;
    const int64_t begin = update % s->course.updates_per_epoch * s->course.batch_rows *
                          s->course.accumulation;
    struct graph_watch *before = s->memory.watch;
    finder_init(&finder, s);
    s->memory.watch = &finder.watch;
    if (!finder.found)
        accumulate(l, update, begin, begin + rows_of(&s->course, update), &again);
    s->memory.watch = before;
    return err_set(err, ERR_NAN,
                   "update %lld: loss %g, gradient norm %g; not finite first: %s; try a "
                   "smaller learning_rate",
                   (long long)update + 1, log->loss, log->grad_norm,
                   finder.found ? finder.what : "the sum of the gradients' squares");
}

static int one_update(struct loop *l, int64_t update, struct update_log *log,
                      struct err *err)
{
    struct session *s = l->s;
    const struct course *c = &s->course;
    const int64_t begin = update % c->updates_per_epoch * c->batch_rows * c->accumulation;
    if (l->epoch != update / c->updates_per_epoch) {
        l->epoch = update / c->updates_per_epoch;
        course_order(c, s->data[SPLIT_TRAIN], l->epoch, l->order);
    }
    *log = (struct update_log){.learning_rate = l->learning_rate *
                                                schedule_factor(&l->schedule, update)};
    accumulate(l, update, begin, begin + rows_of(c, update), log);
    if (s->net.method->penalty)
        log->loss += s->net.method->penalty(&s->net, s->backend);
    log->grad_norm = gradient_norm(s);
    if (!isfinite(log->loss) || !isfinite(log->grad_norm))
        return not_finite(l, update, log, err);
    optimise(l, update, log);
    if (s->net.method->after_update)
        s->net.method->after_update(&s->net, s->backend, update, clipping(l, log));
    s->backend->sync(s->backend->device);
    return 0;
}

/* --- what is told --- */

static void report_update(const struct loop *l, size_t i)
{
    struct sink *sink = l->place->sink;
    const struct update_log *log = &l->trace.log[i];
    double mean, sd;
    sink->ops->metric(sink, "train/loss", (int64_t)i + 1, log->loss);
    sink->ops->metric(sink, "train/grad_norm", (int64_t)i + 1, log->grad_norm);
    sink->ops->metric(sink, "train/learning_rate", (int64_t)i + 1, log->learning_rate);
    if (!trace_spikes(&l->trace, i, &mean, &sd))
        return;
    char text[160];
    snprintf(text, sizeof text,
             "update %zu: loss %.6g lies %.1f sd above the mean %.6g of the last %d",
             i + 1, log->loss, (log->loss - mean) / sd, mean, SPIKE_WINDOW);
    sink->ops->event(sink, "loss_spike", text);
}

/* Sees one evaluation: new, or of before a resume. True where it is the best so far; one
 * made because the training parked ("parked") never is. */
static bool see_evaluation(struct loop *l, const json_t *e)
{
    struct sink *sink = l->place->sink;
    double *values = xcalloc(metric_count, sizeof *values);
    const int64_t update = json_get_int(e, "step", 0);
    char key[96];
    for (size_t m = 0; m < metric_count; m++) {
        values[m] = json_get_num(e, metric_defs[m].name, NAN);
        if (!goal_has_metric(&l->s->goal, m))
            continue;
        snprintf(key, sizeof key, "eval/%s", metric_defs[m].name);
        sink->ops->metric(sink, key, update, values[m]);
    }
    const bool better =
        !json_object_get(e, "parked") && selection_see(&l->selection, update, values);
    free(values);
    return better;
}

/* --- the best parameters, and checkpoints --- */

static void copy_floats(const struct session *s, float *to, const float *from,
                        size_t floats)
{
    for (size_t at = 0; at < floats; at += VECTOR_MAX) {
        const size_t n = piece_at(at, floats);
        struct op_args a = {.in[0] = vector((float *)from + at, n),
                            .out[0] = vector(to + at, n)};
        call(s, OP_copy, &a);
    }
}

/* Copies every piece "best/X" from X (keep), or back. */
static void copy_best(struct loop *l, bool back)
{
    const struct pieces *all = &l->pieces;
    for (size_t i = 0; i < all->count; i++)
        for (size_t k = 0; k < all->count; k++) {
            const struct piece *best = &all->items[i], *x = &all->items[k];
            if (strncmp(best->name, "best/", 5) != 0 ||
                strcmp(best->name + 5, x->name) != 0)
                continue;
            const struct piece *from = back ? best : x, *to = back ? x : best;
            if (x->on_device)
                copy_floats(l->s, to->data, from->data, from->bytes / sizeof(float));
            else
                memcpy(to->data, from->data, from->bytes);
        }
}

static void add_state(void *ctx, const char *name, void *data, size_t bytes)
{
    struct loop *l = ctx;
    char key[64];
    snprintf(key, sizeof key, "method/%s", name);
    pieces_add(&l->pieces, key, data, bytes, false);
}

/* What training changes; the best copies of parameters and method state behind it. */
static void list_pieces(struct loop *l)
{
    struct session *s = l->s;
    const size_t bytes = s->trainable_floats * sizeof(float);
    pieces_add(&l->pieces, "trainable", s->arena[MEM_trainable], bytes, true);
    if (s->net.method->state)
        s->net.method->state(&s->net, add_state, l);
    const size_t count = l->pieces.count;
    for (size_t i = 0; i < count && l->selection.keep; i++) {
        const struct piece p = l->pieces.items[i];
        char key[64];
        snprintf(key, sizeof key, "best/%.50s", p.name);
        pieces_add(&l->pieces, key,
                   i == 0 ? (char *)s->arena[MEM_trainable] + bytes : xcalloc(1, p.bytes),
                   p.bytes, p.on_device);
    }
    pieces_add(&l->pieces, "optimizer", s->arena[MEM_optimizer],
               s->planned[MEM_optimizer], true);
}

static void release_pieces(struct loop *l)
{
    for (size_t i = 0; i < l->pieces.count; i++)
        if (!strncmp(l->pieces.items[i].name, "best/method/", 12))
            free(l->pieces.items[i].data);
    pieces_release(&l->pieces);
}

/* So far, with the slices before; NaN where one of them could not be measured. */
static double joules(struct loop *l)
{
    energy_sample(&l->energy);
    return l->energy.count ? l->earlier_j + l->energy.joules : NAN;
}

static int save(struct loop *l, struct err *err)
{
    struct checkpoint c = {.update = l->done, .evaluations = l->evaluations};
    if (!l->place->run_dir)
        return 0;
    c.energy_j = joules(l);
    c.total_s = l->earlier_s + clock_mono_s() - l->place->started_s;
    int rc = trace_sync(&l->trace, &c.trace_bytes, err);
    return rc ? rc
              : checkpoint_save(l->s, &l->pieces, &c, l->place->run_dir, l->save_limit,
                                err);
}

/* Goes on from the newest sound checkpoint of this run folder or an older one: 1, or 0
 * where there is none. */
static int find_checkpoint(struct loop *l, struct checkpoint *c, struct err *err)
{
    const struct train_place *p = l->place;
    int rc = checkpoint_resume(l->s, &l->pieces, p->run_dir, !p->older, c, err);
    for (size_t i = 0; p->older && p->older[i] && !rc; i++)
        rc = checkpoint_resume(l->s, &l->pieces, p->older[i], false, c, err);
    if (!rc) /* what is left there is of no use, and must not be counted */
        rc = checkpoint_remove_all(p->run_dir, err);
    return rc;
}

static void take_up(struct loop *l, const struct checkpoint *c)
{
    struct sink *sink = l->place->sink;
    char text[64];
    json_t *e;
    size_t i;
    l->done = c->update;
    l->earlier_j = c->energy_j;
    l->earlier_s = c->total_s;
    for (i = 0; i < l->trace.count; i++) {
        l->trace.log[i].rows = rows_of(&l->s->course, (int64_t)i);
        report_update(l, i);
    }
    json_array_foreach(c->evaluations, i, e)
    {
        json_array_append(l->evaluations, e);
        see_evaluation(l, e);
    }
    snprintf(text, sizeof text, "goes on after update %lld", (long long)c->update);
    sink->ops->event(sink, "resumed", text);
}

static int begin(struct loop *l, struct err *err)
{
    struct checkpoint c = {0};
    int rc = l->place->run_dir ? find_checkpoint(l, &c, err) : 0;
    if (rc < 0)
        return rc;
    char *old = rc ? xasprintf("%s/trace.jsonl", c.run_dir) : NULL;
    rc = trace_open(&l->trace, l->place->run_dir, old, c.trace_bytes, c.update, err);
    if (!rc && old)
        take_up(l, &c);
    free(old);
    checkpoint_release(&c);
    return rc;
}

/* --- the loop --- */

static bool evaluation_due(const struct loop *l)
{
    const bool last = l->done == l->s->course.updates;
    return l->s->data[SPLIT_EVAL] && l->eval_steps > 0 &&
           (last ? l->selection.keep : l->done % l->eval_steps == 0);
}

static int evaluate(struct loop *l, bool parked, struct err *err)
{
    struct evaluation e;
    int rc = evaluate_split(l->s, SPLIT_EVAL, &e, err);
    if (!rc) {
        json_t *o = json_object();
        json_object_set_new(o, "step", json_integer(l->done));
        if (parked)
            json_object_set_new(o, "parked", json_true());
        for (size_t m = 0; m < metric_count; m++)
            if (goal_has_metric(&l->s->goal, m))
                json_object_set_new(o, metric_defs[m].name,
                                    json_number_or_word(e.values[m]));
        json_array_append_new(l->evaluations, o);
        if (see_evaluation(l, o) && l->selection.keep)
            copy_best(l, false);
    }
    evaluation_release(&e);
    return rc;
}

/* A checkpoint where one is due; ERR_BUSY where the training was asked to stop. */
static int save_or_stop(struct loop *l, struct err *err)
{
    struct sink *sink = l->place->sink;
    int last = 0;
    const bool stop = proc_signals(&last) > 0 || !sink->ops->alive(sink);
    const bool due = l->save_steps > 0 && l->done % l->save_steps == 0 &&
                     l->done < l->s->course.updates;
    int rc = stop || due ? save(l, err) : 0;
    if (rc || !stop)
        return rc;
    return err_set(err, ERR_BUSY, "stopped after update %lld %s%s", (long long)l->done,
                   last ? "by a signal" : "as asked, or the lease was lost",
                   l->place->run_dir ? "; the same command goes on from there" : "");
}

static bool is_evaluated(const struct loop *l)
{
    const size_t n = json_array_size(l->evaluations);
    return n &&
           json_get_int(json_array_get(l->evaluations, n - 1), "step", -1) == l->done;
}

/* The end of a slice: checkpoints of earlier ones are of no use any more. */
static int park(struct loop *l, struct err *err)
{
    const struct train_place *p = l->place;
    int rc = 0;
    if (p->evaluate_parked && l->s->data[SPLIT_EVAL] && !is_evaluated(l))
        rc = evaluate(l, true, err);
    if (!rc)
        rc = save(l, err);
    for (size_t i = 0; !rc && p->older && p->older[i]; i++)
        checkpoint_remove_all(p->older[i], NULL);
    return rc ? rc : 1;
}

static int loop_run(struct loop *l, struct err *err)
{
    int rc = 0;
    const int64_t all = l->s->course.updates, until = l->place->until;
    const int64_t end = until > 0 && until < all ? until : all;
    while (!rc && l->done < end && !selection_wants_stop(&l->selection)) {
        struct update_log log;
        const double start = clock_mono_s();
        if (l->place->profile)
            profile_begin(l->place->profile);
        rc = one_update(l, l->done, &log, err);
        energy_tick(&l->energy);
        if (l->place->profile)
            profile_end(l->place->profile);
        log.step_ms = 1e3 * (clock_mono_s() - start);
        trace_add(&l->trace, &log);
        report_update(l, l->trace.count - 1);
        if (rc)
            break;
        l->done++;
        if (evaluation_due(l))
            rc = evaluate(l, false, err);
        if (!rc)
            rc = save_or_stop(l, err);
    }
    return !rc && end < all && !selection_wants_stop(&l->selection) ? park(l, err) : rc;
}

static void fill_outcome(struct loop *l, struct train_outcome *out)
{
    const struct session *s = l->s;
    const int64_t batches = l->done * s->course.accumulation;
    out->updates = l->done;
    out->step_ms = xcalloc((size_t)l->done + 1, sizeof *out->step_ms);
    for (int64_t i = 0; i < l->done; i++) {
        const struct update_log *log = &l->trace.log[i];
        out->step_ms[i] = log->step_ms;
        out->train_s += 1e-3 * log->step_ms;
        out->tokens += log->tokens;
        out->samples += log->rows;
    }
    out->stopped_early =
        l->done < s->course.updates && selection_wants_stop(&l->selection);
    if (batches == 0)
        return;
    const int32_t rows = (int32_t)(out->samples / batches);
    const int32_t tokens = (int32_t)(out->tokens / batches);
    const struct extent mean =
        extent_of(tokens, rows, goal_most_picks(&s->goal, tokens, rows));
    out->flops = graph_flops(&s->train_graph, &mean) * (double)batches;
}

int train_run(struct session *s, const struct train_place *place,
              struct train_outcome *out, struct err *err)
{
    const struct trial *t = &s->trial;
    struct loop l = {
        .s = s,
        .place = place,
        .schedule =
            schedule_make(t->lr_scheduler_type, t->warmup_steps, s->course.updates),
        .learning_rate = t->learning_rate,
        .max_grad_norm = t->max_grad_norm,
        .eval_steps = t->eval_steps,
        .save_steps = t->save_steps,
        .save_limit = t->save_total_limit,
        .order = xmalloc((size_t)s->course.rows * sizeof *l.order),
        .epoch = -1,
        .losses = xmalloc((size_t)s->budget.of[ROWS_PICKED] * sizeof *l.losses),
        .evaluations = json_array()};
    *out = (struct train_outcome){0};
    int rc = selection_init(&l.selection, t, err);
    list_pieces(&l);
    if (!rc)
        rc = begin(&l, err);
    out->resumed_from = l.done;
    s->memory.watch = place->profile ? &place->profile->watch : NULL;
    energy_start(&l.energy, NULL);
    if (!rc)
        rc = loop_run(&l, err);
    out->energy_j = joules(&l);
    out->earlier_s = l.earlier_s;
    s->memory.watch = NULL;
    if (!rc && l.selection.keep && l.selection.best_update) {
        copy_best(&l, true);
        out->best_update = l.selection.best_update;
    }
    int closed = trace_close(&l.trace, err);
    fill_outcome(&l, out);
    out->trace = l.trace;
    out->evaluations = l.evaluations;
    release_pieces(&l);
    free(l.order);
    free(l.losses);
    return rc ? rc : closed;
}

void train_outcome_release(struct train_outcome *o)
{
    trace_release(&o->trace);
    json_decref(o->evaluations);
    free(o->step_ms);
    *o = (struct train_outcome){0};
}
