/* Fuzzes data files, as training and then as evaluation data: what is accepted once is
 * accepted again, with the same labels and counts. */
#include "runner/data/dataset.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct tokenizer *make_tokenizer(void)
{
    static const char json[] = "{\"normalizer\":{\"type\":\"BertNormalizer\"},"
                               "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
                               "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\","
                               "\"vocab\":{\"?\":0,\"a\":1,\"##b\":2}}}";
    struct tokenizer *t = NULL;
    if (tokenizer_parse(json, strlen(json), "t", &t, NULL) < 0)
        abort();
    return t;
}

/* As numbers or lists of labels. */
static void parse_targets(const char *text, size_t size, const struct tokenizer *t,
                          enum label_kind p)
{
    const struct data_spec spec = {.max_length = 8, .vocab_size = 100, .labels = p};
    struct labels labels = {0};
    struct dataset *d;
    if (dataset_parse(text, size, "fuzz", &spec, t, &labels, &d, NULL, NULL) < 0)
        return;
    for (size_t i = 0; i < d->count; i++)
        for (size_t c = 0; c < labels.count; c++)
            if (!isfinite(d->rows[i].targets[c]))
                abort();
    dataset_free(d);
    labels_release(&labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *t;
    if (!t)
        t = make_tokenizer();
    const struct data_spec spec = {.max_length = 8, .vocab_size = 100};
    struct labels labels = {0};
    struct dataset *d, *again;
    struct err err = ERR_INIT;
    parse_targets((const char *)data, size, t, LABEL_numbers);
    parse_targets((const char *)data, size, t, LABEL_set);
    int rc = dataset_parse((const char *)data, size, "fuzz", &spec, t, &labels, &d, NULL,
                           &err);
    if (rc < 0) {
        if (d || labels.count || rc != -(int)err.code || !err.msg[0])
            abort();
        return 0;
    }
    if (dataset_parse((const char *)data, size, "fuzz", &spec, t, &labels, &again, NULL,
                      NULL) < 0)
        abort();
    if (d->count == 0 || d->count != again->count ||
        d->total_tokens != again->total_tokens)
        abort();
    for (size_t i = 0; i < d->count; i++) {
        const struct example *e = &d->rows[i];
        if (e->n < 1 || e->n > d->longest || e->label < 0 ||
            (size_t)e->label >= labels.count || e->label != again->rows[i].label)
            abort();
        for (int32_t k = 0; k < e->n; k++)
            if (e->ids[k] < 0 || e->ids[k] >= spec.vocab_size)
                abort();
    }
    dataset_free(d);
    dataset_free(again);
    labels_release(&labels);
    return 0;
}
