/* cli/trial/shown.c - see shown.h. */
#include "cli/trial/shown.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRAW_S 0.1 /* between two drawings */

struct shown {
    struct sink base;
    struct sink *inner;
    struct progress *bar;
    double drawn_s;
    int64_t step;    /* of the evaluation that is being told; 0: none */
    struct buf line; /* its values so far */
    struct buf note; /* an event, told when the training goes on (else it is the error) */
};

/* The values of one evaluation come one after the other. */
static void end_line(struct shown *s)
{
    if (s->line.len)
        progress_note(s->bar, buf_str(&s->line));
    buf_clear(&s->line);
    s->step = 0;
}

static void tell_note(struct shown *s)
{
    if (s->note.len)
        progress_note(s->bar, buf_str(&s->note));
    buf_clear(&s->note);
}

static void shown_metric(struct sink *sink, const char *key, int64_t step, double value)
{
    struct shown *s = (struct shown *)sink;
    s->inner->ops->metric(s->inner, key, step, value);
    if (step < 1 || !str_has_prefix(key, "eval/"))
        return;
    if (step != s->step)
        end_line(s);
    if (!s->line.len)
        buf_printf(&s->line, "update %lld: eval", (long long)step);
    buf_printf(&s->line, "%s %s %.4f", s->step ? "," : "", key + strlen("eval/"), value);
    s->step = step;
}

static void shown_progress(struct sink *sink, const struct sink_progress *p)
{
    struct shown *s = (struct shown *)sink;
    const double now = clock_mono_s();
    char extra[120], memory[32];
    s->inner->ops->progress(s->inner, p);
    end_line(s);
    tell_note(s);
    if (now - s->drawn_s < DRAW_S && p->done < p->total)
        return;
    s->drawn_s = now;
    snprintf(extra, sizeof extra, "loss %.4f, %.0f tokens/s, %s", p->loss,
             isnan(p->tokens_per_s) ? 0 : p->tokens_per_s,
             str_bytes(memory, sizeof memory, (double)proc_rss_bytes()));
    if (p->done == p->total) /* how long that takes nobody knows */
        snprintf(extra, sizeof extra, "loss %.4f, evaluating and saving", p->loss);
    progress_set(s->bar, (double)p->done, (double)p->total,
                 isnan(p->seconds_left) || p->done == p->total ? -1 : p->seconds_left,
                 extra);
}

static void shown_event(struct sink *sink, const char *kind, const char *text)
{
    struct shown *s = (struct shown *)sink;
    s->inner->ops->event(s->inner, kind, text);
    if (str_eq(kind, "data")) /* which the trainer says itself */
        return;
    buf_printf(&s->note, "%s%s", s->note.len ? "; " : "", text);
}

static void shown_environment(struct sink *sink, const json_t *environment)
{
    struct shown *s = (struct shown *)sink;
    s->inner->ops->environment(s->inner, environment);
}

static void shown_method(struct sink *sink, const struct method_facts *facts)
{
    struct shown *s = (struct shown *)sink;
    s->inner->ops->method(s->inner, facts);
}

static void shown_artifact(struct sink *sink, const char *name, const char *path)
{
    struct shown *s = (struct shown *)sink;
    s->inner->ops->artifact(s->inner, name, path);
}

static void shown_keep(struct sink *sink, const char *name, const char *path)
{
    struct shown *s = (struct shown *)sink;
    s->inner->ops->keep(s->inner, name, path);
}

static bool shown_alive(struct sink *sink)
{
    struct shown *s = (struct shown *)sink;
    return s->inner->ops->alive(s->inner);
}

static int shown_close(struct sink *sink, struct err *err)
{
    struct shown *s = (struct shown *)sink;
    int rc = sink_close(s->inner, err);
    end_line(s);
    progress_end(s->bar);
    buf_release(&s->line);
    buf_release(&s->note);
    free(s);
    return rc;
}

struct sink *sink_shown(struct sink *inner, FILE *f)
{
    static const struct sink_ops ops = {shown_metric,      shown_progress, shown_event,
                                        shown_environment, shown_method,   shown_artifact,
                                        shown_keep,        shown_alive,    shown_close};
    struct shown *s = xcalloc(1, sizeof *s);
    s->base.ops = &ops;
    s->inner = inner;
    s->bar = progress_new(f, "train");
    s->line = s->note = (struct buf)BUF_INIT;
    return &s->base;
}
