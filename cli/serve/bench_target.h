/* cli/serve/bench_target.h - what a bench sends its requests to: an engine in this process,
 * or a server, which may be another program's with the same API. */
#ifndef CLI_SERVE_BENCH_TARGET_H
#define CLI_SERVE_BENCH_TARGET_H

#include "cli/serve/bench_file.h"
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

struct bench_target {
    struct load_target *load;
    size_t adapters; /* that requests go to */
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
