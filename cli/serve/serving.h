/* cli/serve/serving.h - what the routes of `peftlab serve` share (inside cli/serve).
 *
 * routes.c says which paths there are; each path has a function in classify.c (texts to
 * labels), embeddings.c (texts to vectors), asked.c (texts to tokens), write/ (language
 * models), models.c (what is served, adapters that come and go) or counts.c (health,
 * metrics). What is served is a base that classifies or one that writes: it has an engine or
 * a writer, and the routes of its kind. */
#ifndef CLI_SERVE_SERVING_H
#define CLI_SERVE_SERVING_H

#include "lib/net/server.h"
#include "runner/generate/prompter.h"
#include "runner/serve/engine.h"

struct writer;

enum { LATENCY_BUCKETS = 14 };
struct histogram {
    int64_t bucket[LATENCY_BUCKETS + 1], count;
    double sum;
};

struct serving {
    struct serve_base base;
    struct shelf shelf;
    struct engine *engine;    /* NULL: the base writes */
    struct writer *writer;    /* NULL: it classifies */
    struct prompter prompter; /* of a base that writes; the server's thread's */
    struct server *server;
    struct server_route *routes;
    const char *name; /* of the base */
    int64_t begin_ms; /* Unix time */
    int64_t next_id;
    int32_t vector_tokens; /* texts are cut to, for vectors; 0: the model's */
    /* For /metrics, by the engine's or the writer's thread. */
    pthread_mutex_t lock;
    struct histogram answered, first, each;
};

/* The routes of a base that writes, or of one that classifies; those of the other kind say
 * what it is. The caller's. */
struct server_route *serve_routes_of(bool writes, size_t *count);

/* Counts a request's time, from its first byte to its answer. */
void serving_answered(struct serving *s, double seconds);
/* A text's: until its first token was there, then of `more` further ones together. */
void serving_wrote(struct serving *s, double first_s, double rest_s, int32_t more);

/* The only adapter's name, the caller's; NULL: there is none, or *count of them. */
char *serving_only_adapter(struct serving *s, size_t *count);

/* --- replies.c --- */
int serving_status(int rc, bool late); /* of HTTP, for what went wrong */
/* How long a request can wait: X-Deadline-Ms, or "deadline_ms"; 0: it does not say. */
int serving_read_limit(struct server_call *call, const json_t *body, double *limit_s,
                       struct err *err);
/* When it is worth another try, beside 429. */
void serving_put_retry(struct server_call *call, double retry_s);
/* What a text is in tokens, of which the model takes `room`. Ends the call. */
void serving_reply_tokens(struct server_call *call, const int32_t *ids, int32_t n,
                          int32_t room);

/* Handlers; ctx is a struct serving. */
void serve_classify(void *ctx, struct server_call *call);
void serve_predict(void *ctx, struct server_call *call);
void serve_embeddings(void *ctx, struct server_call *call);
void serve_embed(void *ctx, struct server_call *call);
void serve_tokenize(void *ctx, struct server_call *call);
void serve_completions(void *ctx, struct server_call *call);
void serve_chat(void *ctx, struct server_call *call);
void serve_tokenize_text(void *ctx, struct server_call *call);
void serve_detokenize(void *ctx, struct server_call *call);
void serve_models(void *ctx, struct server_call *call);
void serve_model(void *ctx, struct server_call *call);
void serve_base_about(void *ctx, struct server_call *call);
void serve_load(void *ctx, struct server_call *call);
void serve_unload(void *ctx, struct server_call *call);
void serve_health(void *ctx, struct server_call *call);
void serve_metrics(void *ctx, struct server_call *call);

#endif
