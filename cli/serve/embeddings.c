/* cli/serve/embeddings.c - questions whose answers are vectors: OpenAI's form, and that of
 * text-embeddings-inference. */
#include "cli/serve/asked.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- a vector --- */

static int32_t width_of(const struct asked *a)
{
    return a->serving->base.session.net.shape.hidden;
}

/* As long as one, unless that was not wanted. */
static void scale(const struct asked *a, float *v, int32_t n)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    const double length = a->as_they_are || !(sum > 0) ? 1 : sqrt(sum);
    for (int32_t i = 0; i < n; i++)
        v[i] = (float)((double)v[i] / length);
}

/* Nine digits tell a float. */
static json_t *number(float x)
{
    char text[32];
    snprintf(text, sizeof text, "%.9g", (double)x);
    return json_number_or_word(strtod(text, NULL));
}

static json_t *vector(const struct asked *a, size_t row)
{
    const int32_t n = width_of(a);
    float *v = a->request->rows[row].logits;
    scale(a, v, n);
    if (a->as_bytes) {
        char *text = str_base64_encode(v, (size_t)n * sizeof *v);
        json_t *out = json_string(text);
        free(text);
        return out;
    }
    json_t *out = json_array();
    for (int32_t i = 0; i < n; i++)
        json_array_append_new(out, number(v[i]));
    return out;
}

/* --- answers --- */

static json_t *answer_openai(const struct asked *a)
{
    json_t *data = json_array();
    for (size_t i = 0; i < a->request->count; i++)
        json_array_append_new(data,
                              json_pack("{s:s, s:I, s:o}", "object", "embedding", "index",
                                        (json_int_t)i, "embedding", vector(a, i)));
    return json_pack("{s:s, s:o, s:O, s:{s:I, s:I}}", "object", "list", "data", data,
                     "model", json_array_get(a->models, 0), "usage", "prompt_tokens",
                     (json_int_t)a->tokens, "total_tokens", (json_int_t)a->tokens);
}

/* A list also for one text. */
static json_t *answer_lists(const struct asked *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->request->count; i++)
        json_array_append_new(list, vector(a, i));
    return list;
}

/* --- what is read --- */

static int check_model(const struct asked *a, struct err *err)
{
    return json_array_size(a->models) == 1
               ? 0
               : err_set(err, ERR_PARSE, "vectors are of one 'model'");
}

static int read_openai(struct asked *a, const json_t *body, struct err *err)
{
    const json_t *format = json_object_get(body, "encoding_format"),
                 *dimensions = json_object_get(body, "dimensions");
    const char *word = json_string_value(format);
    if (format && !json_is_null(format) && !str_eq(word, "float") &&
        !str_eq(word, "base64"))
        return err_set(err, ERR_PARSE, "'encoding_format' is \"float\" or \"base64\"");
    if (dimensions && !json_is_null(dimensions) &&
        !(json_is_integer(dimensions) && json_integer_value(dimensions) == width_of(a)))
        return err_set(err, ERR_PARSE, "'dimensions': vectors of this base have %d",
                       (int)width_of(a));
    a->as_bytes = str_eq(word, "base64");
    return check_model(a, err);
}

static int read_lists(struct asked *a, const json_t *body, struct err *err)
{
    a->as_they_are = !json_get_bool(body, "normalize", 1);
    return check_model(a, err);
}

void serve_embeddings(void *ctx, struct server_call *call)
{
    static const struct ask_kind kind = {"input", true, read_openai, answer_openai};
    ask(ctx, call, &kind);
}

void serve_embed(void *ctx, struct server_call *call)
{
    static const struct ask_kind kind = {"inputs", true, read_lists, answer_lists};
    ask(ctx, call, &kind);
}
