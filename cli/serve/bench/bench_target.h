/* cli/serve/bench/bench_target.h - what a bench sends its requests to: an engine in this process,
 * or a server, which may be another program's with the same API.
 *
 * In this process there is an engine for each room (the base alone, a merged adapter, so
 * many slots), opened when it is first asked for; all but the merged one are on the same
 * base, and adapters of different settings with the same room are the same ones. */
#ifndef CLI_SERVE_BENCH_BENCH_TARGET_H
#define CLI_SERVE_BENCH_BENCH_TARGET_H

#include "cli/serve/bench/bench_file.h"
#include "lib/load/generator.h"
#include "runner/serve/engine.h"

/* What is asked: texts (for a server), token ids (for the engine; a server gets them where
 * there are no texts). */
struct bench_texts {
    char **texts;             /* NULL: only ids */
    struct example *examples; /* NULL: only texts */
    size_t count;
};
/* t: tokenizes, NULL: texts stay texts. vocabulary: of ids that are drawn. */
int bench_texts_read(struct bench_texts *x, const struct bench_file *b,
                     const struct tokenizer *t, int32_t vocabulary, int32_t most_tokens,
                     struct err *err);
void bench_texts_release(struct bench_texts *x);

/* What was seen of the server from within, since it was last asked. */
struct bench_inside {
    struct batch_seen *batches; /* the target's, until it is asked again */
    size_t count;
    int64_t loads, evictions;
    double load_s; /* of all loads */
    size_t resident_bytes;
    const double *gaps_s; /* between pieces of answers, as they came; the target's */
    size_t gap_count;
};

struct bench_target {
    size_t adapters;              /* that there are */
    const char *method, *backend; /* "": not known; the target's */
    /* Where requests of this kind and with so much room go. NULL: why not. */
    struct load_target *(*at)(struct bench_target *t, const struct bench_case *c,
                              struct err *err);
    bool known; /* what its batches are is seen */
    void (*look)(struct bench_target *t, struct load_target *at,
                 struct bench_inside *out);
    void (*end)(struct bench_target *t);
    void *own;
};
/* The engine with the base and the adapters of the file; fills `texts`. */
int bench_target_engine(struct bench_target *t, const struct bench_file *b,
                        struct bench_texts *texts, struct err *err);
/* `texts` are borrowed. */
int bench_target_server(struct bench_target *t, const struct bench_file *b,
                        struct bench_texts *texts, struct err *err);

#endif
