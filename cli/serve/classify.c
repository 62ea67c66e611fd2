/* cli/serve/classify.c - questions whose answers are labels. */
#include "cli/serve/asked.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void scores(const struct guest *g, const float *logits, bool raw, double *out)
{
    const int32_t n = g->mould->goal.num_labels;
    double most = -INFINITY, sum = 0;
    for (int32_t c = 0; c < n; c++)
        most = fmax(most, (double)logits[c]);
    for (int32_t c = 0; c < n; c++)
        sum += exp((double)logits[c] - most);
    for (int32_t c = 0; c < n; c++)
        out[c] = raw || g->mould->goal.labels == LABEL_numbers ? (double)logits[c]
                 : g->mould->goal.labels == LABEL_set
                     ? 1 / (1 + exp(-(double)logits[c]))
                     : exp((double)logits[c] - most) / sum;
}

static json_t *label_name(const struct guest *g, int32_t c)
{
    char made_up[32];
    snprintf(made_up, sizeof made_up, "LABEL_%d", (int)c);
    return json_string((size_t)c < g->labels.count ? g->labels.names[c] : made_up);
}

static int32_t largest(const double *x, int32_t n)
{
    int32_t best = 0;
    for (int32_t c = 1; c < n; c++)
        if (x[c] > x[best])
            best = c;
    return best;
}

static json_t *classify_row(const struct asked *a, size_t row)
{
    const struct engine_row *r = &a->request->rows[row];
    const struct guest *g = &r->adapter->guest;
    const int32_t n = g->mould->goal.num_labels;
    const size_t models = json_array_size(a->models);
    double *p = xcalloc((size_t)n, sizeof *p);
    json_t *probs = json_array(), *logits = json_array();
    scores(g, r->logits, a->raw, p);
    for (int32_t c = 0; c < n; c++) {
        json_array_append_new(probs, json_number_or_word(p[c]));
        json_array_append_new(logits, json_number_or_word((double)r->logits[c]));
    }
    json_t *out =
        json_pack("{s:I, s:o, s:o, s:i}", "index", (json_int_t)(row / models), "label",
                  label_name(g, largest(p, n)), "probs", probs, "num_classes", n);
    if (models > 1)
        json_object_set(out, "model", json_array_get(a->models, row % models));
    if (a->with_logits)
        json_object_set(out, "logits", logits);
    json_decref(logits);
    free(p);
    return out;
}

static json_t *answer_classify(const struct asked *a)
{
    char id[48];
    json_t *data = json_array();
    for (size_t i = 0; i < a->request->count; i++)
        json_array_append_new(data, classify_row(a, i));
    snprintf(id, sizeof id, "classify-%lld", (long long)a->id);
    return json_pack(
        "{s:s, s:s, s:I, s:O, s:o, s:{s:I, s:I, s:i, s:n}}", "id", id, "object", "list",
        "created", (json_int_t)(clock_wall_ms() / 1000), "model",
        json_array_size(a->models) == 1 ? json_array_get(a->models, 0) : a->models,
        "data", data, "usage", "prompt_tokens", (json_int_t)a->tokens, "total_tokens",
        (json_int_t)a->tokens, "completion_tokens", 0, "prompt_tokens_details");
}

/* --- text-embeddings-inference's --- */

/* All labels of a row, the highest score first. */
static json_t *predict_row(const struct asked *a, size_t row)
{
    const struct engine_row *r = &a->request->rows[row];
    const struct guest *g = &r->adapter->guest;
    const int32_t n = g->mould->goal.num_labels;
    double *p = xcalloc((size_t)n, sizeof *p);
    bool *taken = xcalloc((size_t)n, sizeof *taken);
    json_t *list = json_array();
    scores(g, r->logits, a->raw, p);
    for (int32_t k = 0; k < n; k++) {
        int32_t best = -1;
        for (int32_t c = 0; c < n; c++)
            if (!taken[c] && (best < 0 || p[c] > p[best]))
                best = c;
        taken[best] = true;
        json_array_append_new(list, json_pack("{s:o, s:o}", "score",
                                              json_number_or_word(p[best]), "label",
                                              label_name(g, best)));
    }
    free(p);
    free(taken);
    return list;
}

static json_t *answer_predict(const struct asked *a)
{
    if (a->one)
        return predict_row(a, 0);
    json_t *list = json_array();
    for (size_t i = 0; i < a->request->count; i++)
        json_array_append_new(list, predict_row(a, i));
    return list;
}

static int read_flags(struct asked *a, const json_t *body, struct err *err)
{
    (void)err;
    a->raw = json_get_bool(body, "raw_scores", 0);
    a->with_logits = json_get_bool(body, "logits", 0);
    return 0;
}

void serve_classify(void *ctx, struct server_call *call)
{
    static const struct ask_kind kind = {"input", false, read_flags, answer_classify};
    ask(ctx, call, &kind);
}

void serve_predict(void *ctx, struct server_call *call)
{
    static const struct ask_kind kind = {"inputs", false, read_flags, answer_predict};
    ask(ctx, call, &kind);
}
