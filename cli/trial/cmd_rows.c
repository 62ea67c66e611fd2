/* cli/trial/cmd_rows.c - `peftlab rows`: what the model will see of a trial's data: text,
 * ids, which tokens are learned, and which rows share a bin. */
#include "cli/trial/trial_command.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/data/bins.h"
#include "runner/session.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SPLITS "train|eval|test"

/* clang-format off */
static const struct opt_def rows[] = {
    {.key = "split", .type = OPT_CHOICE, .preset = "train", .choices = SPLITS,
     .group = "input", .help = "which of the trial's files"},
    {.key = "limit", .type = OPT_INT, .preset = "0", .max = INT32_MAX, .metavar = "N",
     .group = "output", .help = "the first N rows or bins; 0: all"},
    {.key = "packed", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "the bins that packing puts the rows into"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table options = {"rows", rows, ARRAY_LEN(rows)};

struct job {
    struct session s;
    int split;
    size_t limit;
    bool json;
};

static const struct dataset *data_of(const struct job *j)
{
    return j->s.data[j->split];
}

/* --- labels --- */

/* Is token t learned? Its label says so; the label of a row of ids may be another token,
 * which is one too. */
static bool is_learned(const struct example *e, int32_t t)
{
    return e->token_labels && e->token_labels[t] >= 0;
}

/* The end of the stretch of tokens that are like token t. */
static int32_t stretch_end(const struct example *e, int32_t t)
{
    const bool learned = is_learned(e, t);
    while (t < e->n && is_learned(e, t) == learned)
        t++;
    return t;
}

static size_t count_learned(const struct example *e)
{
    size_t n = 0;
    for (int32_t t = 0; t < e->n; t++)
        n += is_learned(e, t);
    return n;
}

/* --- as JSON --- */

static void put_label(struct buf *b, const struct session *s, const struct example *e)
{
    if (e->token_labels)
        return;
    buf_str_add(b, ",\"label\":");
    for (size_t i = 0; e->targets && i < s->labels.count; i++) {
        buf_char(b, i ? ',' : '[');
        json_put_double(b, (double)e->targets[i]);
    }
    if (e->targets)
        buf_char(b, ']');
    else if (s->labels.from_strings)
        json_put_string(b, s->labels.names[e->label], strlen(s->labels.names[e->label]));
    else
        buf_printf(b, "%" PRId32, e->label);
}

static void put_row(struct buf *b, const struct session *s, const struct example *e)
{
    buf_printf(b, "{\"row\":%" PRIu32 ",\"ids\":[", e->row);
    for (int32_t t = 0; t < e->n; t++)
        buf_printf(b, "%s%" PRId32, t ? "," : "", e->ids[t]);
    buf_str_add(b, "],\"labelled\":[");
    bool first = true;
    for (int32_t t = 0, end; t < e->n; t = end) {
        end = stretch_end(e, t);
        if (is_learned(e, t)) {
            buf_printf(b, "%s[%" PRId32 ",%" PRId32 "]", first ? "" : ",", t, end);
            first = false;
        }
    }
    buf_str_add(b, "]");
    put_label(b, s, e);
    buf_printf(b, ",\"truncated\":%" PRId32 ",\"dropped\":%s}\n", e->cut,
               e->dropped ? "true" : "false");
}

static int print_buffer(const struct buf *b, struct err *err)
{
    return fwrite(b->data, 1, b->len, stdout) == b->len
               ? 0
               : err_set(err, ERR_IO, "cannot write the output");
}

/* --- for people --- */

static void print_stretch(const char *text, size_t n, bool learned)
{
    char *copy = xstrndup(text, n);
    if (learned)
        text_highlight(stdout, copy, "{+", "+}");
    else
        text_print(stdout, "%s", copy);
    free(copy);
}

/* Where the text of the first `n` ids ends in that of all. */
static size_t text_end(const struct tokenizer *t, const struct example *e, int32_t n,
                       const struct buf *whole, struct buf *part)
{
    size_t same = 0;
    buf_clear(part);
    if (tokenizer_decode(t, e->ids, (size_t)n, false, part, NULL) < 0)
        return 0;
    while (same < part->len && same < whole->len && part->data[same] == whole->data[same])
        same++;
    return n == e->n ? whole->len : same;
}

static void print_text(const struct job *j, const struct example *e)
{
    const struct tokenizer *t = j->s.tokenizer;
    struct buf whole = BUF_INIT, part = BUF_INIT;
    size_t from = 0;
    if (!t || tokenizer_decode(t, e->ids, (size_t)e->n, false, &whole, NULL) < 0)
        text_print(stdout, "(the model has no text for these ids)");
    for (int32_t at = 0, end; at < e->n && whole.len; at = end) {
        end = stretch_end(e, at);
        const size_t to = text_end(t, e, end, &whole, &part);
        if (to > from)
            print_stretch(buf_str(&whole) + from, to - from, is_learned(e, at));
        from = to > from ? to : from;
    }
    text_print(stdout, "\n");
    buf_release(&whole);
    buf_release(&part);
}

static void print_row(const struct job *j, const struct example *e)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "row %" PRIu32 ": %" PRId32 " tokens", e->row, e->n);
    if (e->token_labels)
        buf_printf(&b, ", %zu learned", count_learned(e));
    else if (!e->targets && j->s.labels.from_strings)
        buf_printf(&b, ", label '%s'", j->s.labels.names[e->label]);
    else if (!e->targets)
        buf_printf(&b, ", label %" PRId32, e->label);
    for (size_t i = 0; e->targets && i < j->s.labels.count; i++)
        buf_printf(&b, "%s%g", i ? " " : ", label ", (double)e->targets[i]);
    if (e->cut)
        buf_printf(&b, ", %" PRId32 " more cut off", e->cut);
    if (e->dropped)
        buf_str_add(&b, ", left out: nothing to learn");
    text_print(stdout, "%s\n", buf_str(&b));
    buf_release(&b);
    print_text(j, e);
}

static void print_summary(const struct job *j)
{
    const struct dataset *d = data_of(j);
    size_t learned = 0;
    for (size_t i = 0; i < d->count; i++)
        learned += d->rows[i].dropped ? 0 : count_learned(&d->rows[i]);
    text_print(stdout, "%zu rows, %zu tokens", d->count - d->dropped, d->total_tokens);
    if (j->s.goal.task->kind->per_token)
        text_print(stdout, ", %zu learned", learned);
    text_print(stdout, "; %zu rows cut, %zu left out\n", d->truncated, d->dropped);
}

static int print_rows(const struct job *j, struct err *err)
{
    const struct dataset *d = data_of(j);
    int rc = 0;
    for (size_t i = 0; i < d->count && (!j->limit || i < j->limit) && rc >= 0; i++) {
        struct buf b = BUF_INIT;
        if (j->json) {
            put_row(&b, &j->s, &d->rows[i]);
            rc = print_buffer(&b, err);
        } else {
            print_row(j, &d->rows[i]);
        }
        buf_release(&b);
    }
    if (rc >= 0 && !j->json)
        print_summary(j);
    return rc;
}

/* --- bins --- */

static void put_bin(struct buf *b, const struct job *j, const struct bins *bins, size_t k)
{
    const struct dataset *d = data_of(j);
    const uint32_t begin = k ? bins->ends[k - 1] : 0;
    size_t tokens = 0;
    if (j->json)
        buf_str_add(b, "{\"bin\":[");
    for (uint32_t i = begin; i < bins->ends[k]; i++) {
        const struct example *e = &d->rows[bins->rows[i]];
        buf_printf(
            b, j->json ? "%s[%" PRIu32 ",0,%" PRId32 "]" : "%s%" PRIu32 " (%" PRId32 ")",
            i == begin ? ""
            : j->json  ? ","
                       : ", ",
            e->row, e->n);
        tokens += (size_t)e->n;
    }
    if (j->json)
        buf_str_add(b, "]}\n");
    else
        buf_printf(b, ": %zu tokens\n", tokens);
}

static int print_bins(const struct job *j, struct err *err)
{
    const struct dataset *d = data_of(j);
    struct bins bins;
    if (!j->s.goal.task->kind->per_token)
        return err_set(err, ERR_CONFIG, "--packed: rows of task '%s' are not packed",
                       j->s.goal.task->name);
    dataset_pack(d, j->s.row_tokens, &bins);
    int rc = 0;
    for (size_t k = 0; k < bins.count && (!j->limit || k < j->limit) && rc >= 0; k++) {
        struct buf b = BUF_INIT;
        if (!j->json)
            buf_printf(&b, "bin %zu: rows ", k);
        put_bin(&b, j, &bins, k);
        rc = print_buffer(&b, err);
        buf_release(&b);
    }
    if (rc >= 0 && !j->json)
        text_print(
            stdout, "%zu rows in %zu bins of up to %" PRId32 " tokens, %.1f %% full\n",
            d->count - d->dropped, bins.count, j->s.row_tokens,
            100.0 * (double)d->total_tokens / ((double)bins.count * j->s.row_tokens));
    bins_release(&bins);
    return rc;
}

/* --- the command --- */

static int show(struct job *j, const struct trial_command *t, struct err *err)
{
    static const char *const names[SPLIT_COUNT] = {"train", "eval", "test"};
    const char *name = json_get_str(t->values, "split", "train");
    while (!str_eq(names[j->split], name))
        j->split++;
    int rc = session_open_rows(&j->s, t->trial, t->base_dir, err);
    if (!rc && !data_of(j))
        rc = err_set(err, ERR_CONFIG, "--split %s: the trial has no '%s_data'", name,
                     name);
    const json_t *notes = rc ? NULL : data_of(j)->notes;
    for (size_t i = 0; i < json_array_size(notes); i++)
        text_print(stderr, "peftlab: data file '%s': %s\n", data_of(j)->path,
                   json_string_value(json_array_get(notes, i)));
    if (!rc)
        rc = json_get_bool(t->values, "packed", 0) ? print_bins(j, err)
                                                   : print_rows(j, err);
    session_close(&j->s);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    struct trial_command t;
    int rc = trial_command_open(&t, &cmd_rows, trial_resolve_use, argc, argv, err);
    if (!rc && !t.done) {
        struct job j = {.limit = (size_t)json_get_int(t.values, "limit", 0),
                        .json = json_get_bool(t.values, "json", 0)};
        rc = show(&j, &t, err);
    }
    trial_command_release(&t);
    return rc;
}

const struct command cmd_rows = {
    .name = "rows",
    .usage = "rows TRIAL.yaml [key=value ...] [--split train|eval|test] [--limit N] "
             "[--packed]",
    .help = "Show what the model will see of a trial's data, and what is learned of it.",
    .group = "Models and data",
    .options = &options,
    .run = run,
};
