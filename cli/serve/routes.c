/* cli/serve/routes.c - the paths that are served. */
#include "cli/serve/serving.h"
#include "lib/mem.h"

const struct server_route serve_routes[] = {
    {"GET", "/health", serve_health, true},
    {"GET", "/metrics", serve_metrics, true},
    {"GET", "/v1/models", serve_models, false},
    {"GET", "/v1/base", serve_base_about, false},
    {"POST", "/v1/classify", serve_classify, false}, /* vLLM's and SGLang's */
    {"POST", "/classify", serve_classify, false},
    {"POST", "/predict", serve_predict, false}, /* text-embeddings-inference's */
    {"POST", "/tokenize", serve_tokenize, false},
    {"POST", "/v1/load_lora_adapter", serve_load, false}, /* vLLM's, for any method */
    {"POST", "/v1/unload_lora_adapter", serve_unload, false},
};
const size_t serve_route_count = ARRAY_LEN(serve_routes);
