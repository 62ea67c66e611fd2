/* tracker/foreign/tensorboard_events.c - what TensorBoard's events say of a run. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/foreign/tensorboard_parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Field numbers, by message. */
enum { EVENT_TIME = 1, EVENT_STEP = 2, EVENT_SUMMARY = 5 };
enum { SUMMARY_VALUE = 1 };
enum { VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_TENSOR = 8, VALUE_METADATA = 9 };
enum { METADATA_PLUGIN = 1, PLUGIN_NAME = 1, PLUGIN_CONTENT = 2 };
enum { HPARAMS_START = 3, HPARAMS_END = 4 };
enum { START_HPARAMS = 1, START_GROUP = 4, END_STATUS = 1 };
enum { STATUS_FAILURE = 2, STATUS_RUNNING = 3 };

/* What a summary's value consists of. */
struct value {
    char *tag;
    struct pb_field simple, tensor, content;
    bool has_simple, has_tensor, has_content, hparams;
};

static void read_plugin(struct value *v, struct pb metadata)
{
    static const char name[] = "hparams";
    struct pb_field f, inner;
    while (pb_next(&metadata, &f))
        if (f.number == METADATA_PLUGIN)
            for (struct pb plugin = pb_within(&f); pb_next(&plugin, &inner);) {
                if (inner.number == PLUGIN_NAME)
                    v->hparams = inner.length == strlen(name) &&
                                 !memcmp(inner.data, name, inner.length);
                if (inner.number == PLUGIN_CONTENT) {
                    v->content = inner;
                    v->has_content = true;
                }
            }
}

static void read_value(struct value *v, struct pb message)
{
    struct pb_field f;
    *v = (struct value){0};
    while (pb_next(&message, &f)) {
        if (f.number == VALUE_TAG && f.type == PB_BYTES)
            foreign_text(&v->tag, (const char *)f.data, f.length);
        if (f.number == VALUE_SIMPLE && f.type == PB_FIXED32) {
            v->simple = f;
            v->has_simple = true;
        }
        if (f.number == VALUE_TENSOR && f.type == PB_BYTES) {
            v->tensor = f;
            v->has_tensor = true;
        }
        if (f.number == VALUE_METADATA)
            read_plugin(v, pb_within(&f));
    }
}

/* ---- scalars ---- */

/* Sorts points of earlier steps to the front, as they came; how many there are. */
static size_t from_step(struct foreign_series *s, int64_t step)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->points[i].step < step) {
            const struct foreign_point point = s->points[i];
            s->points[i] = s->points[kept];
            s->points[kept++] = point;
        }
    return kept;
}

/* A later file's first value of a tag takes the place of what earlier files have from its
 * step on. */
static void purge(struct event_run *e, const char *key, int64_t step)
{
    struct foreign_series *s = foreign_series(&e->run, key);
    const size_t at = s ? (size_t)(s - e->run.series) : 0, had = e->last_file_cap;
    if (!s)
        return;
    e->last_file = xgrow(e->last_file, &e->last_file_cap, at + 1, sizeof *e->last_file);
    for (size_t i = had; i < e->last_file_cap; i++)
        e->last_file[i] = e->file;
    if (e->last_file[at] != e->file) {
        const size_t kept = from_step(s, step);
        foreign_left_out(e->run.into, "values that a restart wrote again",
                         s->count - kept);
        foreign_series_cut(s, kept);
    }
    e->last_file[at] = e->file;
}

static int take_scalar(struct event_run *e, const char *tag, int64_t step, double value,
                       struct err *err)
{
    if (e->only_summary) {
        foreign_summary(&e->run, tag, value);
        return 0;
    }
    char *name =
        e->split ? xasprintf("%s/%s", e->split, tag) : xstrdup(e->alias ? e->alias : tag);
    purge(e, name, step);
    const int rc = foreign_value(&e->run, name, step, value, err);
    free(name);
    return rc;
}

/* ---- configurations ---- */

/* What somebody wrote down, with its step. */
static void add_note(struct event_run *e, const char *tag, int64_t step,
                     const struct pb_field *text)
{
    enum { MAX_NOTES = 4096, MAX_BYTES = 65536 };
    struct foreign_run *r = &e->run;
    char *said = NULL;
    if (json_array_size(r->events) >= MAX_NOTES || text->length > MAX_BYTES) {
        foreign_left_out(r->into, "texts", 1);
        return;
    }
    foreign_text(&said, (const char *)text->data, text->length);
    char *note = xasprintf("%s, step %lld: %s", tag, (long long)step, said);
    json_array_append_new(
        r->events,
        json_pack("[I, s, s]", (json_int_t)(r->at_ms > 0 ? r->at_ms : 0), "text", note));
    free(said);
    free(note);
}

/* A text that is a JSON object: transformers' arguments are the run's parameters, another
 * one stands under its tag. Any other is an event. */
static void take_text(struct event_run *e, const char *tag, int64_t step,
                      const struct pb_field *text)
{
    static const char ending[] = "/text_summary";
    char *name = xstrdup(tag);
    json_t *object = foreign_json((const char *)text->data, text->length);
    if (str_has_suffix(name, ending))
        name[strlen(name) - strlen(ending)] = '\0';
    if (!json_is_object(object))
        add_note(e, name, step, text);
    else if (str_eq(name, "args"))
        json_object_update(e->run.params, object);
    else
        json_object_set(e->run.params, name, object);
    json_decref(object);
    free(name);
}

static json_t *hparam_value(struct pb message)
{
    struct pb_field f;
    char *text = NULL;
    json_t *v = NULL;
    while (pb_next(&message, &f) && !v) {
        if (f.number == 2 && f.type == PB_FIXED64) {
            const double x = pb_double(&f);
            v = fabs(x) < 9007199254740992.0 && x == floor(x) && !(x == 0 && signbit(x))
                    ? json_integer((json_int_t)x)
                    : json_number_or_word(x);
        } else if (f.number == 3 && f.type == PB_BYTES) {
            foreign_text(&text, (const char *)f.data, f.length);
            v = json_string(text);
        } else if (f.number == 4) {
            v = json_boolean(pb_int(&f) != 0);
        }
    }
    free(text);
    return v;
}

static void take_hparam(struct event_run *e, struct pb entry)
{
    struct pb_field f;
    char *name = NULL;
    json_t *v = NULL;
    while (pb_next(&entry, &f)) {
        if (f.number == 1 && f.type == PB_BYTES)
            foreign_text(&name, (const char *)f.data, f.length);
        if (f.number == 2 && !v)
            v = hparam_value(pb_within(&f));
    }
    if (name && *name && v)
        json_object_set(e->run.params, name, v);
    json_decref(v);
    free(name);
}

static void take_hparams(struct event_run *e, struct pb content)
{
    struct pb_field f, inner;
    char *group = NULL;
    while (pb_next(&content, &f)) {
        if (f.number == HPARAMS_START)
            for (struct pb start = pb_within(&f); pb_next(&start, &inner);) {
                if (inner.number == START_HPARAMS)
                    take_hparam(e, pb_within(&inner));
                if (inner.number == START_GROUP && inner.type == PB_BYTES)
                    foreign_text(&group, (const char *)inner.data, inner.length);
            }
        if (f.number == HPARAMS_END)
            for (struct pb end = pb_within(&f); pb_next(&end, &inner);)
                if (inner.number == END_STATUS) {
                    e->ended = pb_int(&inner) != STATUS_RUNNING;
                    if (pb_int(&inner) == STATUS_FAILURE)
                        e->run.state = TRIAL_failed;
                }
    }
    if (group && *group)
        json_object_set_new(e->run.tags, "group", json_string(group));
    free(group);
}

/* ---- events ---- */

static int take_value(struct event_run *e, struct pb message, int64_t step,
                      struct err *err)
{
    struct value v;
    struct pb_field text;
    double number;
    int rc = 0;
    read_value(&v, message);
    if (v.hparams && v.has_content)
        take_hparams(e, pb_within(&v.content));
    else if (v.hparams || !v.tag)
        rc = 0; /* a mark of theirs without content */
    else if (v.has_simple)
        rc = take_scalar(e, v.tag, step, shortest_of_float(pb_float(&v.simple)), err);
    else if (v.has_tensor && tensor_number(pb_within(&v.tensor), &number))
        rc = take_scalar(e, v.tag, step, number, err);
    else if (v.has_tensor && tensor_text(pb_within(&v.tensor), &text))
        take_text(e, v.tag, step, &text);
    else
        foreign_left_out(e->run.into, "media and histograms", 1);
    free(v.tag);
    return rc;
}

static void take_time(struct foreign_run *r, double seconds)
{
    const int64_t ms = seconds > 0 && seconds < 9e12 ? (int64_t)(seconds * 1e3) : 0;
    r->at_ms = ms;
    if (ms > 0 && (r->started_ms == 0 || ms < r->started_ms))
        r->started_ms = ms;
    if (ms > r->ended_ms)
        r->ended_ms = ms;
}

int event_take(struct event_run *e, struct pb event, struct err *err)
{
    struct pb_field f, inner;
    int64_t step = 0;
    int rc = 0;
    e->run.at_ms = 0;
    for (struct pb p = event; pb_next(&p, &f);)
        if (f.number == EVENT_STEP)
            step = pb_int(&f);
        else if (f.number == EVENT_TIME && f.type == PB_FIXED64)
            take_time(&e->run, pb_double(&f));
    while (rc == 0 && pb_next(&event, &f)) {
        if (f.number == EVENT_SUMMARY)
            for (struct pb summary = pb_within(&f); rc == 0 && pb_next(&summary, &inner);)
                if (inner.number == SUMMARY_VALUE)
                    rc = take_value(e, pb_within(&inner), step, err);
    }
    e->events++;
    e->bad_records += event.bad;
    return rc;
}

bool event_look(struct pb event, char **tag)
{
    struct pb_field f, inner;
    struct value v;
    bool yes = false;
    while (pb_next(&event, &f))
        if (f.number == EVENT_SUMMARY)
            for (struct pb summary = pb_within(&f); pb_next(&summary, &inner);)
                if (inner.number == SUMMARY_VALUE) {
                    read_value(&v, pb_within(&inner));
                    yes |= v.hparams;
                    if (!*tag && v.tag)
                        *tag = xstrdup(v.tag);
                    free(v.tag);
                }
    return yes;
}
