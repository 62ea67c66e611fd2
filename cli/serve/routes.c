/* cli/serve/routes.c - the paths that are served. */
#include "cli/serve/serving.h"
#include "lib/mem.h"
#include "lib/str.h"

enum { CLASSIFIES = 1, WRITES = 2, ALL = CLASSIFIES | WRITES };

static const struct {
    unsigned bases;
    struct server_route route;
} rows[] = {
    {ALL, {"GET", "/health", serve_health, SERVER_OPEN}},
    {ALL, {"GET", "/metrics", serve_metrics, SERVER_OPEN}},
    {ALL, {"GET", "/v1/models", serve_models, 0}},
    {ALL, {"GET", "/v1/models/*", serve_model, 0}},
    {ALL, {"GET", "/v1/base", serve_base_about, 0}},
    {CLASSIFIES, {"POST", "/v1/classify", serve_classify, 0}}, /* vLLM's, SGLang's */
    {CLASSIFIES, {"POST", "/classify", serve_classify, 0}},
    {CLASSIFIES,
     {"POST", "/predict", serve_predict, 0}}, /* text-embeddings-inference's */
    {CLASSIFIES, {"POST", "/v1/embeddings", serve_embeddings, 0}}, /* OpenAI's */
    {CLASSIFIES, {"POST", "/embed", serve_embed, 0}}, /* text-embeddings-inference's */
    {CLASSIFIES, {"POST", "/tokenize", serve_tokenize, 0}},
    {WRITES, {"POST", "/v1/completions", serve_completions, 0}}, /* OpenAI's */
    {WRITES, {"POST", "/v1/chat/completions", serve_chat, 0}},
    {WRITES, {"POST", "/tokenize", serve_tokenize_text, 0}}, /* vLLM's */
    {WRITES, {"POST", "/detokenize", serve_detokenize, 0}},
    {ALL, {"POST", "/v1/load_lora_adapter", serve_load, 0}}, /* vLLM's, any method */
    {ALL, {"POST", "/v1/unload_lora_adapter", serve_unload, 0}},
};

static void say_kind(void *ctx, struct server_call *call)
{
    const struct serving *s = ctx;
    server_reply_error(call, 400,
                       s->writer
                           ? "'%s' is a language model here: /v1/completions and "
                             "/v1/chat/completions"
                           : "'%s' is a classifier here: /v1/classify, /predict and "
                             "/v1/embeddings",
                       s->name);
}

static bool has_path(const struct server_route *routes, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(routes[i].path, path))
            return true;
    return false;
}

struct server_route *serve_routes_of(bool writes, size_t *count)
{
    const unsigned kind = writes ? WRITES : CLASSIFIES;
    struct server_route *out = xcalloc(ARRAY_LEN(rows), sizeof *out);
    *count = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].bases & kind)
            out[(*count)++] = rows[i].route;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!has_path(out, *count, rows[i].route.path)) {
            out[*count] = rows[i].route;
            out[(*count)++].handle = say_kind;
        }
    return out;
}
