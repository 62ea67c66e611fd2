/* cli/start/init_tell.c - what was seen in the user's rows, for people and as JSON. */
#include "cli/start/init.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VALUES_SHOWN = 8 };

static const struct look_file *train_file(const struct init *i)
{
    return &i->parts[LOOK_TRAIN].rows;
}

static void tell_classes(const struct look_column *c)
{
    struct buf b = BUF_INIT;
    for (size_t k = 0; k < c->value_count && k < VALUES_SHOWN; k++) {
        const char *text = c->values[k].text;
        const int quoted = text[0] == '"', n = (int)strlen(text) - 2 * quoted;
        buf_printf(&b, "%s%.*s (%zu)", k ? ", " : "", n < 40 ? n : 40, text + quoted,
                   c->values[k].rows);
    }
    text_print(stdout, "  %zu%s values: %s%s\n", c->value_count,
               c->many ? " or more" : "", buf_str(&b),
               c->value_count > VALUES_SHOWN ? ", ..." : "");
    buf_release(&b);
    if (c->value_count < 2)
        text_print(stdout, "  ! one value alone: there is nothing to tell apart\n");
    else if (c->values[0].rows > 4 * c->values[c->value_count - 1].rows)
        text_print(
            stdout,
            "  ! uneven: the largest has %zu rows, the smallest %zu; macro-F1 counts "
            "both alike (class_weights: balanced may help)\n",
            c->values[0].rows, c->values[c->value_count - 1].rows);
}

static void tell_labels(const struct init *i)
{
    const struct look_column *c = look_column(train_file(i), i->guess.roles.label);
    if (i->guess.kind == LOOK_KIND_classes && c)
        tell_classes(c);
    else if (i->guess.kind == LOOK_KIND_numbers && c && !isnan(c->least))
        text_print(stdout, "  numbers from %g to %g\n", c->least, c->most);
}

static void tell_lengths(const struct init *i)
{
    const struct init_lengths *l = &i->lengths;
    if (l->counted)
        text_print(
            stdout,
            "  tokens: half of the rows have up to %d, 95 %% up to %d, the longest "
            "%d; max_length %d\n",
            l->median, l->p95, l->longest, i->max_length);
    else
        text_print(stdout,
                   "  tokens: not counted, the model is not here; max_length %d\n",
                   i->max_length);
}

static void tell_left_out(const char *where, size_t n)
{
    if (n)
        text_print(stdout, "  ! %s%zu %s a text or a label and %s left out\n", where, n,
                   n == 1 ? "row lacks" : "rows lack", n == 1 ? "is" : "are");
}

static void tell_same(const struct init *i, enum look_part p)
{
    const struct look_same *s = &i->same[p];
    if (s->twice)
        text_print(stdout, "  ! %s: %zu %s the text of an earlier one",
                   look_part_names[p], s->twice, s->twice == 1 ? "row has" : "rows have");
    if (s->disagree && s->disagree < s->twice)
        text_print(stdout, ", %zu of them", s->disagree);
    if (s->twice)
        text_print(stdout, "%s\n",
                   s->disagree ? ", with another label: nothing can learn both" : "");
    if (s->in_other)
        text_print(stdout, "  ! %s: %zu %s among the training rows: %s memory\n",
                   look_part_names[p], s->in_other,
                   s->in_other == 1 ? "row is" : "rows are",
                   s->in_other == 1 ? "it measures" : "they measure");
}

static void tell_parts(const struct init *i)
{
    const struct look_file *f = train_file(i);
    text_print(stdout, "  rows:");
    for (int p = 0; p < LOOK_PARTS; p++)
        if (init_rows(i, p))
            text_print(stdout, "%s %s %zu", p ? "," : "", look_part_names[p],
                       init_rows(i, p));
    text_print(stdout, "%s\n",
               i->dealt
                   ? " (dealt from the one file: labels in equal shares, equal texts "
                     "together)"
                   : "");
    if (i->dealt)
        tell_left_out("", f->count - init_rows(i, LOOK_TRAIN) - init_rows(i, LOOK_EVAL) -
                              init_rows(i, LOOK_TEST));
    for (int p = 0; p < LOOK_PARTS && !i->dealt; p++) {
        char where[16];
        snprintf(where, sizeof where, "%s: ", look_part_names[p]);
        tell_left_out(where, i->parts[p].rows.count - i->parts[p].count);
    }
    if (!init_rows(i, LOOK_TEST))
        text_print(
            stdout,
            "  ! no test rows: the report will judge by the rows that it chose by, "
            "which flatters (--test-data)\n");
    for (int p = 0; p < LOOK_PARTS; p++)
        tell_same(i, p);
}

void init_tell(const struct init *i)
{
    text_print(stdout, "%s: %s (%s)\n", i->parts[LOOK_TRAIN].path,
               look_kind_words[i->guess.kind], i->guess.why);
    tell_labels(i);
    tell_lengths(i);
    tell_parts(i);
    text_print(stdout, "  model: %s%s\n", i->model,
               i->model_is_here ? "" : ", which is not here yet");
}

/* --- as JSON --- */

static json_t *part_json(const struct init *i, enum look_part p)
{
    const struct look_same *s = &i->same[p];
    return json_pack("{s:s*, s:I, s:I, s:I, s:I}", "file", i->parts[p].path, "rows",
                     (json_int_t)init_rows(i, p), "twice", (json_int_t)s->twice,
                     "disagree", (json_int_t)s->disagree, "in_train",
                     (json_int_t)s->in_other);
}

static json_t *labels_json(const struct init *i)
{
    const struct look_column *c = look_column(train_file(i), i->guess.roles.label);
    json_t *list = json_array();
    for (size_t k = 0; c && i->guess.kind == LOOK_KIND_classes && k < c->value_count; k++)
        json_array_append_new(list, json_pack("{s:s, s:I}", "label", c->values[k].text,
                                              "rows", (json_int_t)c->values[k].rows));
    return list;
}

json_t *init_json(const struct init *i)
{
    static const char *const kinds[LOOK_KIND_COUNT] = {
#define X(name, words) #name,
        LOOK_KINDS(X)
#undef X
    };
    const struct look_roles *r = &i->guess.roles;
    json_t *parts = json_object();
    for (int p = 0; p < LOOK_PARTS; p++)
        if (init_rows(i, p))
            json_object_set_new(parts, look_part_names[p], part_json(i, p));
    return json_pack("{s:i, s:s, s:s, s:s*, s:s*, s:s*, s:o, s:o, s:s, s:b, s:i, s:i, "
                     "s:i, s:i, s:s, s:I, "
                     "s:o}",
                     "schema_version", 1, "name", i->name, "kind", kinds[i->guess.kind],
                     "text_column", r->text, "text_pair_column", r->pair, "label_column",
                     r->label, "labels", labels_json(i), "splits", parts, "model",
                     i->model, "model_is_here", i->model_is_here, "tokens_median",
                     i->lengths.median, "tokens_p95", i->lengths.p95, "tokens_longest",
                     i->lengths.longest, "max_length", i->max_length, "folder", i->out,
                     "trials", (json_int_t)i->trials, "predicted_s",
                     isnan(i->seconds) ? json_null() : json_real(i->seconds));
}
