/* runner/train/train.c - see train.h. */
#include "runner/train/train.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/evaluate.h"
#include "runner/features.h"
#include "runner/metric/metric.h"
#include "runner/train/energy.h"
#include "runner/train/kept.h"
#include "runner/train/selection.h"
#include "runner/train/spike.h"
#include "runner/train/step.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct loop {
    struct session *s;
    const struct train_place *place;
    struct step step;
    struct kept kept;
    int64_t eval_steps, save_steps;
    int64_t done; /* updates */
    struct trace trace;
    struct selection selection;
    struct spikes spikes;
    json_t *evaluations; /* [{"step", metric: value ...}] */
    struct energy energy;
    int64_t kept_update;         /* of the good point that a spike ended with; -1 */
    double earlier_j, earlier_s; /* of the runs from which this one goes on */
    int64_t earlier_reused;
};

/* --- what is told --- */

static void report_update(const struct loop *l, size_t i)
{
    struct sink *sink = l->place->sink;
    const struct update_log *log = &l->trace.log[i];
    char what[160], text[240];
    sink->ops->metric(sink, "train/loss", (int64_t)i + 1, log->loss);
    sink->ops->metric(sink, "train/grad_norm", (int64_t)i + 1, log->grad_norm);
    sink->ops->metric(sink, "train/learning_rate", (int64_t)i + 1, log->learning_rate);
    if (!log->spike)
        return;
    spike_text(log, what, sizeof what);
    snprintf(text, sizeof text, "update %zu: %s; loss_spike: %s", i + 1, what,
             log->spike);
    sink->ops->event(sink, "loss_spike", text);
}

/* By the updates of late, that speed may change. */
static void report_progress(const struct loop *l)
{
    enum { LATE = 20 };
    const size_t n = l->trace.count, from = n > LATE ? n - LATE : 0;
    double ms = 0, tokens = 0;
    for (size_t i = from; i < n; i++) {
        ms += l->trace.log[i].step_ms;
        tokens += (double)l->trace.log[i].tokens;
    }
    const int64_t all = l->s->course.updates;
    const struct sink_progress p = {
        .done = l->done,
        .total = all,
        .loss = n ? l->trace.log[n - 1].loss : NAN,
        .tokens_per_s = ms > 0 ? 1e3 * tokens / ms : NAN,
        .seconds_left =
            ms > 0 ? 1e-3 * ms / (double)(n - from) * (double)(all - l->done) : NAN};
    l->place->sink->ops->progress(l->place->sink, &p);
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

/* --- checkpoints --- */

/* Tokens, with the slices before. */
static int64_t reused(const struct loop *l)
{
    int64_t tokens = l->earlier_reused;
    for (size_t i = 0; i < l->trace.count; i++)
        tokens += l->trace.log[i].reused_tokens; /* 0 where the log is of before */
    return tokens;
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
    c.reused_tokens = reused(l);
    c.total_s = l->earlier_s + clock_mono_s() - l->place->started_s - l->s->seat.waited_s;
    int rc = trace_sync(&l->trace, &c.trace_bytes, err);
    return rc ? rc : kept_save(&l->kept, &c, l->place->run_dir, err);
}

static void take_up(struct loop *l, const struct checkpoint *c)
{
    struct sink *sink = l->place->sink;
    char text[64];
    struct epoch epoch;
    json_t *e;
    size_t i;
    l->done = c->update;
    l->earlier_j = c->energy_j;
    l->earlier_s = c->total_s;
    l->earlier_reused = c->reused_tokens;
    epoch_init(&epoch, &l->s->course);
    for (i = 0; i < l->trace.count; i++) {
        struct update_log *log = &l->trace.log[i];
        epoch_seek(&epoch, &l->s->course, l->s->data[SPLIT_TRAIN], (int64_t)i);
        const struct stretch rows = epoch_update(&epoch, &l->s->course, (int64_t)i);
        log->rows = rows.end - rows.begin;
        report_update(l, i);
        if (!spike_acts(l->spikes.action)) /* else a piece of the checkpoint */
            spikes_applied(&l->spikes, log);
    }
    epoch_release(&epoch);
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
    int rc = l->place->run_dir
                 ? kept_find(&l->kept, l->place->run_dir, l->place->older, &c, err)
                 : 0;
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
    int rc = evaluate_split(l->s, SPLIT_EVAL, NULL, &e, err);
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
            kept_copy(&l->kept, "best/", false);
    }
    evaluation_release(&e);
    return rc;
}

/* A checkpoint where one is due; ERR_BUSY where the training was asked to stop. */
static int save_or_stop(struct loop *l, struct err *err)
{
    struct sink *sink = l->place->sink;
    int last = 0;
    const bool stop = proc_signals(&last) > 0 || !sink_alive(sink);
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

/* --- an update, and what is done about a spike --- */

static bool is_finite(const struct update_log *log)
{
    return isfinite(log->loss) && isfinite(log->grad_norm);
}

static void apply(struct loop *l, struct update_log *log)
{
    struct spike_state *at = &l->spikes.state;
    step_apply(&l->step, l->done, at->applied, log);
    spikes_applied(&l->spikes, log);
}

/* What trains has just shown a loss that is no spike. */
static void keep_good(struct loop *l)
{
    struct spike_state *at = &l->spikes.state;
    if (at->good_update >= 0 && l->done < at->good_update + SPIKE_GOOD_EVERY)
        return;
    kept_copy(&l->kept, "good/", false);
    at->good_update = l->done;
    at->good_applied = at->applied;
}

static void go_back(struct loop *l)
{
    struct spike_state *at = &l->spikes.state;
    kept_copy(&l->kept, "good/", true);
    at->applied = at->good_applied;
}

/* The training ends; with the parameters of the last good point, where there is one. */
static int end_by_spike(struct loop *l, const struct update_log *log, struct err *err)
{
    const struct spike_state *at = &l->spikes.state;
    struct err why = ERR_INIT;
    char what[160], kept[96] = "";
    if (!is_finite(log)) {
        step_not_finite(&l->step, l->done, log, &why);
    } else {
        spike_text(log, what, sizeof what);
        err_set(&why, ERR_FAILED, "update %lld: %s", (long long)l->done + 1, what);
    }
    if (at->good_update >= 0) {
        go_back(l);
        l->kept_update = at->good_update;
        snprintf(kept, sizeof kept, "; the adapter before update %lld is kept",
                 (long long)at->good_update + 1);
    }
    return err_set(err, why.code, "%s; loss_spike: %s%s%s", why.msg,
                   l->spikes.action->name,
                   at->in_a_row >= SPIKE_IN_A_ROW ? ", too many in a row" : "", kept);
}

static int on_spike(struct loop *l, struct update_log *log, struct err *err)
{
    const struct spike_action *a = l->spikes.action;
    struct spike_state *at = &l->spikes.state;
    if (!spike_acts(a) && !is_finite(log))
        return step_not_finite(&l->step, l->done, log, err);
    if (a->ends || (a->goes_back && at->good_update < 0) ||
        (spike_acts(a) && at->in_a_row >= SPIKE_IN_A_ROW))
        return end_by_spike(l, log, err);
    if (a->halves) {
        at->factor /= 2;
        log->learning_rate /= 2;
    }
    if (a->goes_back)
        go_back(l);
    if (a->applies && is_finite(log))
        apply(l, log);
    return 0;
}

static int run_update(struct loop *l, struct update_log *log, struct err *err)
{
    step_measure(&l->step, l->done, log);
    log->learning_rate *= l->spikes.state.factor;
    if (spikes_see(&l->spikes, log))
        return on_spike(l, log, err);
    if (spike_acts(l->spikes.action))
        keep_good(l);
    apply(l, log);
    return 0;
}

static int loop_run(struct loop *l, struct err *err)
{
    int rc = 0;
    const int64_t all = l->s->course.updates, until = l->place->until;
    const int64_t end = until > 0 && until < all ? until : all;
    while (!rc && l->done < end && !selection_wants_stop(&l->selection)) {
        struct update_log log;
        if ((rc = session_turn_pass(l->s, false, err)))
            break;
        const double start = clock_mono_s();
        if (l->place->profile)
            profile_begin(l->place->profile);
        rc = run_update(l, &log, err);
        energy_tick(&l->energy);
        if (l->place->profile)
            profile_end(l->place->profile);
        log.step_ms = 1e3 * (clock_mono_s() - start);
        trace_add(&l->trace, &log);
        report_update(l, l->trace.count - 1);
        if (rc)
            break;
        l->done++;
        report_progress(l);
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
    out->reused_tokens = reused(l);
    out->reused_flops = features_flops(s, &mean) * (double)batches *
                        (double)out->reused_tokens / (double)out->tokens;
    out->flops =
        graph_flops(&s->train_graph, &mean) * (double)batches - out->reused_flops;
}

int train_run(struct session *s, const struct train_place *place,
              struct train_outcome *out, struct err *err)
{
    const struct trial *t = &s->trial;
    struct loop l = {.s = s,
                     .place = place,
                     .eval_steps = t->eval_steps,
                     .save_steps = t->save_steps,
                     .kept_update = -1,
                     .evaluations = json_array()};
    *out = (struct train_outcome){0};
    int rc = selection_init(&l.selection, t, err);
    step_init(&l.step, s);
    spikes_init(&l.spikes, spike_action_find(t->loss_spike));
    kept_init(&l.kept, s, &l.spikes.state);
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
        kept_copy(&l.kept, "best/", true);
        out->best_update = l.selection.best_update;
    }
    int closed = trace_close(&l.trace, err);
    fill_outcome(&l, out);
    out->trace = l.trace;
    out->spikes = l.spikes.state.count;
    out->rate_factor = l.spikes.state.factor;
    out->kept_good = l.kept_update >= 0;
    out->evaluations = l.evaluations;
    kept_release(&l.kept);
    step_release(&l.step);
    return rc ? rc : closed;
}

void train_outcome_release(struct train_outcome *o)
{
    trace_release(&o->trace);
    json_decref(o->evaluations);
    free(o->step_ms);
    *o = (struct train_outcome){0};
}
