/* runner/row_file.c - see row_file.h. The loss of a row is the metric "loss" of that row
 * alone, so that nothing is reckoned twice in two ways. */
#include "runner/row_file.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

static double (*loss_of(const struct goal *g))(const struct metric_rows *rows)
{
    size_t m = 0;
    while (!str_eq(metric_defs[m].name, "loss"))
        m++;
    return metric_defs[m].value[g->labels];
}

static void set_bits(unsigned char *bits, const float *values, size_t width, float above)
{
    for (size_t c = 0; c < width; c++)
        bits[c / 8] |= (unsigned char)((values[c] > above) << c % 8);
}

/* Classes, numbers, labels: each row has its logits. */
static void collect_logits(const struct session *s, int split, const struct evaluation *e,
                           struct row_results *out)
{
    double (*loss)(const struct metric_rows *) = loss_of(&s->goal);
    struct metric_rows all = evaluate_labels(s, split);
    const size_t width = all.width, bytes = (width + 7) / 8;
    float *losses = out->columns[COLUMN_loss];
    uint16_t *predicted = out->columns[COLUMN_predicted],
             *label = out->columns[COLUMN_label];
    unsigned char *said = out->columns[COLUMN_said], *truth = out->columns[COLUMN_truth];
    for (size_t i = 0; i < out->count; i++) {
        const struct metric_rows one = {.logits = e->logits + i * width,
                                        .labels = all.labels + i,
                                        .targets = all.targets + i * width,
                                        .count = 1,
                                        .width = width};
        losses[i] = (float)loss(&one);
        if (out->kind == ROW_class) {
            predicted[i] = (uint16_t)metric_class(one.logits, width);
            label[i] = (uint16_t)one.labels[0];
        } else if (out->kind == ROW_set) {
            set_bits(said + i * bytes, one.logits, width, 0);
            set_bits(truth + i * bytes, one.targets, width, 0.5F);
        }
    }
    if (out->kind == ROW_numbers) {
        const size_t n = out->count * width * sizeof(float);
        memcpy(out->columns[COLUMN_outputs], e->logits, n);
        memcpy(out->columns[COLUMN_targets], all.targets, n);
    }
    evaluate_labels_release(&all);
}

static void collect_texts(const struct answers *a, struct row_results *out)
{
    float *exact = out->columns[COLUMN_exact], *rouge = out->columns[COLUMN_rouge_l];
    for (size_t i = 0; i < out->count; i++)
        exact[i] = rouge[i] = -1;
    for (size_t i = 0; i < a->count; i++) {
        exact[a->texts[i].row] = a->texts[i].exact;
        rouge[a->texts[i].row] = (float)a->texts[i].rouge_l;
    }
}

/* Labelled tokens of a row. */
static size_t count_labels(const struct session *s, const struct example *row,
                           struct picks *room)
{
    size_t n = 0;
    room->count = 0;
    s->goal.task->kind->pick(&s->goal, row, 0, row->n + s->net.change.prompt_rows, room);
    for (int32_t k = 0; k < room->count; k++)
        n += room->labels[k] >= 0;
    return n;
}

static void collect_tokens(const struct session *s, int split, const struct evaluation *e,
                           struct row_results *out)
{
    const struct dataset *d = s->data[split];
    const size_t most = (size_t)(d->longest + s->net.change.prompt_rows) + 1;
    struct picks room = {xcalloc(most, sizeof(int32_t)), xcalloc(most, sizeof(int32_t)),
                         NULL, 0};
    float *losses = out->columns[COLUMN_loss];
    uint32_t *tokens = out->columns[COLUMN_tokens], *right = out->columns[COLUMN_right];
    size_t at = 0;
    for (size_t i = 0; i < out->count; i++) {
        double loss = 0;
        tokens[i] = (uint32_t)count_labels(s, &d->rows[i], &room);
        for (size_t end = at + tokens[i]; at < end; at++) {
            loss += e->token_nll[at];
            right[i] += e->token_right[at];
        }
        losses[i] = (float)loss;
    }
    if (out->kind == ROW_texts)
        collect_texts(&e->answers, out);
    free(room.rows);
    free(room.labels);
}

bool row_file_collect(const struct session *s, int split, const struct evaluation *e,
                      struct row_results *out)
{
    static const enum row_kind kinds[LABEL_KINDS] = {[LABEL_class] = ROW_class,
                                                     [LABEL_numbers] = ROW_numbers,
                                                     [LABEL_set] = ROW_set,
                                                     [LABEL_token] = ROW_tokens};
    const struct dataset *d = s->data[split];
    const bool tokens = s->goal.labels == LABEL_token;
    if (!row_results_init(out, e->answers.texts ? ROW_texts : kinds[s->goal.labels],
                          tokens ? 1 : (size_t)s->goal.num_labels, d->count))
        return false;
    uint32_t *lines = xcalloc(d->count + 1, sizeof *lines);
    for (size_t i = 0; i < d->count; i++)
        lines[i] = d->rows[i].line;
    row_results_identify(out, d->sha256, lines);
    free(lines);
    (tokens ? collect_tokens : collect_logits)(s, split, e, out);
    return true;
}

int row_file_write(const struct session *s, int split, const struct evaluation *e,
                   const char *out_dir, struct sink *sink, struct err *err)
{
    struct row_results rows;
    struct buf bytes = BUF_INIT;
    if (!row_file_collect(s, split, e, &rows))
        return 0;
    row_results_write(&rows, &bytes);
    row_results_release(&rows);
    char *file = xasprintf("rows_%s.bin", split_names[split]),
         *name = xasprintf("rows/%s", split_names[split]), *path = fs_join(out_dir, file);
    int rc = fs_write_atomic(path, buf_str(&bytes), bytes.len, err);
    if (!rc)
        sink->ops->keep(sink, name, path);
    buf_release(&bytes);
    free(file);
    free(name);
    free(path);
    return rc;
}
