/* cli/start/init_look.c - what the rows are, which base is meant, how long they are in
 * its tokens. */
#include "cli/start/init.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/hf_model.h"
#include "runner/hub/known.h"
#include <stdlib.h>
#include <string.h>

/* Rows of evaluation and test at the most, where one file is dealt. */
enum { PART_MOST = 2000, DEAL_SEED = 0, MEASURED_MOST = 5000 };

bool init_is_language(const struct init *i)
{
    return i->guess.kind >= LOOK_KIND_messages;
}

const char *init_metric(const struct init *i, const char **goal)
{
    static const struct {
        const char *metric, *goal;
    } metrics[LOOK_KIND_COUNT] = {
        [LOOK_KIND_classes] = {"eval/macro_f1", "maximize"},
        [LOOK_KIND_sets] = {"eval/micro_f1", "maximize"},
        [LOOK_KIND_numbers] = {"eval/spearman", "maximize"},
        [LOOK_KIND_messages] = {"eval/loss", "minimize"},
        [LOOK_KIND_completions] = {"eval/loss", "minimize"},
        [LOOK_KIND_texts] = {"eval/loss", "minimize"},
    };
    *goal = metrics[i->guess.kind].goal;
    return metrics[i->guess.kind].metric;
}

/* --- rows --- */

static size_t whole_rows(const struct look_file *f, const struct look_guess *g)
{
    size_t n = 0;
    for (size_t k = 0; k < f->count; k++)
        n += look_is_whole(f, g, k);
    return n;
}

size_t init_rows(const struct init *i, enum look_part part)
{
    return i->parts[part].count;
}

static void deal(struct init *i)
{
    const struct look_file *all = &i->parts[LOOK_TRAIN].rows;
    i->dealing = xcalloc(all->count, sizeof *i->dealing);
    look_deal(all, &i->guess, PART_MOST, DEAL_SEED, i->dealing);
    for (size_t k = 0; k < all->count; k++)
        if (i->dealing[k] < LOOK_PARTS)
            i->parts[i->dealing[k]].count++;
}

/* The other files have the columns that were found in the first. */
static int check_columns(const struct init *i, enum look_part p, struct err *err)
{
    const struct look_roles *r = &i->guess.roles;
    const char *const names[] = {r->text, r->pair, r->label};
    for (size_t k = 0; k < ARRAY_LEN(names); k++)
        if (names[k] && !look_column(&i->parts[p].rows, names[k]))
            return err_set(err, ERR_CONFIG,
                           "data file '%s': no column '%s', which the training rows have",
                           i->parts[p].path, names[k]);
    return 0;
}

static int read_parts(struct init *i, struct err *err)
{
    const struct look_roles given = {json_get_str(i->values, "text_column", NULL),
                                     json_get_str(i->values, "text_pair_column", NULL),
                                     json_get_str(i->values, "label_column", NULL)};
    int rc = 0;
    for (int p = 0; p < LOOK_PARTS && !rc; p++)
        if (i->parts[p].path)
            rc = look_read(i->parts[p].path, &i->parts[p].rows, err);
    if (!rc)
        rc = look_guess(&i->parts[LOOK_TRAIN].rows, &given, &i->guess, err);
    for (int p = LOOK_EVAL; p < LOOK_PARTS && !rc; p++)
        if (i->parts[p].path)
            rc = check_columns(i, p, err);
    if (rc)
        return rc;
    if (i->dealt)
        deal(i);
    i->copies = i->dealt;
    for (int p = 0; p < LOOK_PARTS; p++)
        i->copies |= i->parts[p].path && look_needs_copy(&i->parts[p].rows, &i->guess);
    for (int p = 0; p < LOOK_PARTS; p++) {
        struct init_part *part = &i->parts[p];
        if (!part->path)
            continue;
        part->count = i->dealt ? part->count : whole_rows(&part->rows, &i->guess);
        look_same(&part->rows, &i->guess, p ? &i->parts[LOOK_TRAIN].rows : NULL,
                  &i->same[p]);
    }
    return 0;
}

/* --- the base --- */

static bool is_here(const char *name)
{
    char *dir = NULL;
    const bool here = !hf_model_find(name, &dir, NULL);
    free(dir);
    return here;
}

static bool is_decoder(const struct known_model *m)
{
    struct model_shape shape;
    json_t *config = known_model_config(m, NULL);
    const int rc = shape_from_config(config, m->name, &shape, NULL);
    json_decref(config);
    return !rc && shape.decoder;
}

/* The first of the known ones of the right kind that is here; else the first of them,
 * which is small: its name, to be fetched. */
static void choose_model(struct init *i)
{
    const char *given = json_get_str(i->values, "model", NULL), *first = NULL;
    i->model_is_here = given && is_here(given);
    i->model = given ? xstrdup(given) : NULL;
    for (size_t k = 0; k < known_model_count && !i->model; k++) {
        const struct known_model *m = &known_models[k];
        if (is_decoder(m) != init_is_language(i))
            continue;
        first = first ? first : m->hub_id;
        i->model_is_here = is_here(m->hub_id);
        i->model = i->model_is_here ? xstrdup(m->hub_id) : NULL;
    }
    if (!i->model)
        i->model = xstrdup(first);
}

/* --- lengths --- */

static int by_size(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Of a conversation: its text as JSON, which is near enough to choose a length by. */
static void row_text_into(const json_t *row, const char *name, struct buf *out)
{
    const json_t *v = name ? json_object_get(row, name) : NULL;
    buf_clear(out);
    if (json_is_string(v))
        buf_add(out, json_string_value(v), json_string_length(v));
    else if (v)
        json_canonical(out, v);
}

static void measure(struct init *i, const struct tokenizer *t)
{
    const struct look_file *f = &i->parts[LOOK_TRAIN].rows;
    const size_t step = f->count / MEASURED_MOST + 1;
    int32_t *n = xcalloc(f->count / step + 1, sizeof *n);
    struct encoding e = {0};
    struct buf text = BUF_INIT, pair = BUF_INIT;
    for (size_t k = 0; k < f->count; k += step) {
        row_text_into(f->rows[k], i->guess.roles.text, &text);
        row_text_into(f->rows[k], i->guess.roles.pair, &pair);
        if (!look_is_whole(f, &i->guess, k) ||
            tokenizer_encode(t, buf_str(&text), text.len,
                             pair.len ? buf_str(&pair) : NULL, pair.len, 0, true, &e,
                             NULL))
            continue;
        n[i->lengths.counted++] = (int32_t)e.n;
    }
    const size_t count = i->lengths.counted;
    if (count) {
        qsort(n, count, sizeof *n, by_size);
        i->lengths.median = n[count / 2];
        i->lengths.p95 = n[(count - 1) * 95 / 100];
        i->lengths.longest = n[count - 1];
    }
    encoding_release(&e);
    buf_release(&text);
    buf_release(&pair);
    free(n);
}

/* A length that cuts few rows, none that the model has no positions for. */
static int32_t choose_length(const struct init *i)
{
    static const int32_t lengths[] = {32, 64, 128, 256, 512, 1024, 2048};
    const int32_t most = (int32_t)i->adviser.base.shape.positions;
    int32_t want = init_is_language(i) ? 512 : 128;
    if (i->lengths.counted) {
        const int32_t need =
            i->lengths.longest < 2 * i->lengths.p95 ? i->lengths.longest : i->lengths.p95;
        for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
            want = lengths[k];
            if (want >= need)
                break;
        }
    }
    return want < most ? want : most;
}

static void measure_lengths(struct init *i)
{
    struct tokenizer *t = NULL;
    if (i->adviser.base.dir && !hf_model_tokenizer(i->adviser.base.dir, &t, NULL) && t)
        measure(i, t);
    tokenizer_free(t);
    i->max_length = choose_length(i);
}

int init_look(struct init *i, struct err *err)
{
    int rc = read_parts(i, err);
    if (rc)
        return rc;
    choose_model(i);
    rc = adviser_open(&i->adviser, i->model, NULL, NULL, NULL, err);
    if (rc)
        return rc;
    if (init_is_language(i) && !i->adviser.base.shape.decoder)
        return err_set(err, ERR_CONFIG,
                       "init: '%s' is an encoder, but the rows are %s; take a language "
                       "model: --model",
                       i->model, look_kind_words[i->guess.kind]);
    measure_lengths(i);
    return 0;
}
