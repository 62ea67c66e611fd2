/* runner/data/look/look_deal.c - rows that are there twice, and rows dealt into training,
 * evaluation and test. */
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/str.h"
#include "runner/data/look/look.h"
#include <stdlib.h>

const char *const look_part_names[LOOK_PARTS] = {"train", "dev", "test"};

/* Text -> the first row that has it. */
static struct strmap *texts_of(const struct look_file *f, const struct look_guess *g)
{
    struct strmap *m = strmap_new();
    struct buf text = BUF_INIT;
    int64_t at;
    for (size_t i = 0; i < f->count; i++)
        if (look_text_of(f, g, i, &text) && !strmap_get(m, buf_str(&text), text.len, &at))
            strmap_put(m, buf_str(&text), text.len, (int64_t)i);
    buf_release(&text);
    return m;
}

static bool same_label(const struct look_file *f, const struct look_guess *g, size_t a,
                       size_t b)
{
    struct buf x = BUF_INIT, y = BUF_INIT;
    look_label_of(f, g, a, &x);
    look_label_of(f, g, b, &y);
    const bool same = str_eq(buf_str(&x), buf_str(&y));
    buf_release(&x);
    buf_release(&y);
    return same;
}

void look_same(const struct look_file *f, const struct look_guess *g,
               const struct look_file *other, struct look_same *out)
{
    struct strmap *own = texts_of(f, g), *theirs = other ? texts_of(other, g) : NULL;
    struct buf text = BUF_INIT;
    int64_t at;
    *out = (struct look_same){0};
    for (size_t i = 0; i < f->count; i++) {
        if (!look_text_of(f, g, i, &text))
            continue;
        strmap_get(own, buf_str(&text), text.len, &at);
        out->twice += (size_t)at < i;
        out->disagree += (size_t)at < i && !same_label(f, g, i, (size_t)at);
        out->in_other += theirs && strmap_get(theirs, buf_str(&text), text.len, &at);
    }
    buf_release(&text);
    strmap_free(own);
    if (theirs)
        strmap_free(theirs);
}

/* --- dealing --- */

struct dealing {
    const struct look_file *file;
    const struct look_guess *guess;
    struct strmap *texts, *labels; /* text -> part; label -> its number */
    double share[LOOK_PARTS];
    size_t (*dealt)[LOOK_PARTS]; /* per label */
    size_t labels_cap;
};

/* Of a number nothing is balanced: all rows count as one label. */
static size_t label_index(struct dealing *d, size_t row)
{
    struct buf b = BUF_INIT;
    int64_t at = 0;
    if (d->guess->kind == LOOK_KIND_classes || d->guess->kind == LOOK_KIND_sets)
        look_label_of(d->file, d->guess, row, &b);
    if (!strmap_get(d->labels, buf_str(&b), b.len, &at)) {
        at = (int64_t)strmap_count(d->labels);
        strmap_put(d->labels, buf_str(&b), b.len, at);
        d->dealt = xgrow(d->dealt, &d->labels_cap, (size_t)at + 1, sizeof *d->dealt);
        for (int p = 0; p < LOOK_PARTS; p++)
            d->dealt[at][p] = 0;
    }
    buf_release(&b);
    return (size_t)at;
}

/* The part that lags most behind its share of the label's rows so far. */
static enum look_part lagging(const struct dealing *d, const size_t dealt[LOOK_PARTS])
{
    size_t n = 1;
    enum look_part best = LOOK_TRAIN;
    double lag = -1e300;
    for (int p = 0; p < LOOK_PARTS; p++)
        n += dealt[p];
    for (int p = 0; p < LOOK_PARTS; p++) {
        const double behind = d->share[p] * (double)n - (double)dealt[p];
        if (behind > lag) {
            lag = behind;
            best = (enum look_part)p;
        }
    }
    return best;
}

/* Rows of the same text go to the same part. */
static enum look_part part_of(struct dealing *d, size_t row)
{
    struct buf text = BUF_INIT;
    int64_t to;
    look_text_of(d->file, d->guess, row, &text);
    const size_t label = label_index(d, row);
    if (!strmap_get(d->texts, buf_str(&text), text.len, &to)) {
        to = lagging(d, d->dealt[label]);
        strmap_put(d->texts, buf_str(&text), text.len, to);
    }
    buf_release(&text);
    d->dealt[label][to]++;
    return (enum look_part)to;
}

void look_deal(const struct look_file *f, const struct look_guess *g, size_t most,
               uint64_t seed, enum look_part *parts)
{
    struct dealing d = {
        .file = f, .guess = g, .texts = strmap_new(), .labels = strmap_new()};
    const struct philox_key key = rng_key(seed, "deal");
    uint32_t *order = xmalloc((f->count + 1) * sizeof *order);
    const double fifth = f->count && (double)most < 0.2 * (double)f->count
                             ? (double)most / (double)f->count
                             : 0.2;
    d.share[LOOK_EVAL] = d.share[LOOK_TEST] = fifth;
    d.share[LOOK_TRAIN] = 1 - 2 * fifth;
    rng_permutation(&key, 0, f->count, order);
    for (size_t i = 0; i < f->count; i++)
        parts[i] = LOOK_PARTS;
    for (size_t i = 0; i < f->count; i++)
        if (look_is_whole(f, g, order[i]))
            parts[order[i]] = part_of(&d, order[i]);
    free(order);
    free(d.dealt);
    strmap_free(d.texts);
    strmap_free(d.labels);
}

/* --- writing --- */

static void rename_key(json_t *row, const char *from, const char *to)
{
    json_t *v = from ? json_object_get(row, from) : NULL;
    if (!v || str_eq(from, to))
        return;
    json_object_set(row, to, v);
    json_object_del(row, from);
}

/* Classes are all texts or all integers. */
static bool is_mixed(const struct look_file *f, const struct look_guess *g)
{
    const struct look_column *c = look_column(f, g->roles.label);
    return c && g->kind == LOOK_KIND_classes && c->types[LOOK_text] != c->filled &&
           c->types[LOOK_whole] != c->filled;
}

bool look_needs_copy(const struct look_file *f, const struct look_guess *g)
{
    for (size_t i = 0; i < f->count; i++)
        if (!look_is_whole(f, g, i))
            return true;
    return is_mixed(f, g);
}

static void label_as_text(json_t *row)
{
    const json_t *label = json_object_get(row, "label");
    struct buf text = BUF_INIT;
    if (json_is_string(label))
        return;
    json_canonical(&text, label);
    json_object_set_new(row, "label", json_string(buf_str(&text)));
    buf_release(&text);
}

/* What a trial reads without being told names. */
static json_t *as_trial_row(const struct look_file *f, const struct look_guess *g,
                            bool mixed, size_t i)
{
    json_t *row = json_copy(f->rows[i]);
    if (g->kind == LOOK_KIND_messages || g->kind == LOOK_KIND_completions)
        return row;
    rename_key(row, g->roles.text, "text");
    rename_key(row, g->roles.pair, "text_pair");
    rename_key(row, g->roles.label, "label");
    if (mixed)
        label_as_text(row);
    return row;
}

static bool belongs(const struct look_file *f, const struct look_guess *g,
                    const enum look_part *parts, enum look_part part, size_t i)
{
    return parts ? parts[i] == part : look_is_whole(f, g, i);
}

int look_write_part(const struct look_file *f, const struct look_guess *g,
                    const enum look_part *parts, enum look_part part, const char *path,
                    struct err *err)
{
    const bool mixed = is_mixed(f, g);
    struct fs_writer *w;
    int rc = fs_writer_begin(path, &w, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < f->count && !rc; i++) {
        struct buf line = BUF_INIT;
        if (!belongs(f, g, parts, part, i))
            continue;
        json_t *row = as_trial_row(f, g, mixed, i);
        json_write(&line, row, 0);
        buf_char(&line, '\n');
        rc = fs_writer_add(w, buf_str(&line), line.len, err);
        json_decref(row);
        buf_release(&line);
    }
    if (!rc)
        return fs_writer_finish(w, err);
    fs_writer_abandon(w);
    return rc;
}
