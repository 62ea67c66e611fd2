/* tests/bench/bench_write.c - texts of many adapters beside texts of one.
 *   bench_write MODEL ADAPTER [NEW [PROMPT]]
 * The folder is opened 16 times, each with memory of its own. 1, 4 and 16 texts of NEW (32)
 * tokens behind a prompt of PROMPT (64) at the same time: all of the base, all of one adapter,
 * each of another one; in turns, the least of all rounds. `write` is new tokens a second once
 * all prompts are read, `read` is tokens of prompts a second. */
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/serve/write/writing.h"
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 3, MOST = 16, KINDS = 3 };
static const char *const kinds[KINDS] = {"base", "one adapter", "each another"};

struct bench {
    struct serve_base base;
    struct shelf shelf;
    struct writing writing;
    int32_t new, n_prompt;
    int32_t *prompts[MOST];
};

static void must(int rc, const struct err *e)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_write: %s\n", e->msg);
    exit(1);
}

static struct writer_request request(struct bench *b, int kind, int i)
{
    char name[16];
    snprintf(name, sizeof name, "a%d", kind == 2 ? i : 0);
    return (struct writer_request){.adapter =
                                       kind ? shelf_want(&b->shelf, name, 1) : NULL,
                                   .prompt = b->prompts[i],
                                   .n_prompt = b->n_prompt,
                                   .most = b->new,
                                   .ignores_end = true,
                                   .how = SAMPLING_GREEDY,
                                   .top = -1};
}

struct rates {
    double read, write;
};

static bool all_begun(const struct writer_request *all, int texts)
{
    for (int i = 0; i < texts; i++)
        if (!all[i].n)
            return false;
    return true;
}

/* Prompts begin with a token that no other round has, so that nothing is there already. */
static struct rates run(struct bench *b, int kind, int texts, int32_t round)
{
    struct writer_request all[MOST];
    struct writing *w = &b->writing;
    int left = texts;
    for (int i = 0; i < texts; i++) {
        b->prompts[i][0] = 100 + round * MOST + i;
        all[i] = request(b, kind, i);
        if (!writing_begin(w, &all[i]))
            must(all[i].rc, &all[i].err);
    }
    const double begin = clock_mono_s();
    const int64_t before = w->counts.new_tokens;
    while (!all_begun(all, texts))
        writing_step(w);
    const double read = clock_mono_s();
    const int64_t there = w->counts.new_tokens - before;
    while (left)
        for (struct writer_request *r = writing_step(w); r; r = r->after, left--) {
            must(r->rc, &r->err);
            writing_end(w, r);
        }
    const double end = clock_mono_s();
    for (int i = 0; i < texts; i++)
        writer_request_release(&all[i]);
    return (struct rates){texts * b->n_prompt / (read - begin),
                          (double)(texts * (int64_t)b->new - there) / (end - read)};
}

static void open_all(struct bench *b, const char *model, const char *adapter)
{
    struct err err = ERR_INIT;
    const struct serve_options o = {.decode = {MOST, b->n_prompt + b->new, 256}};
    must(serve_base_open(&b->base, model, &o, &err), &err);
    shelf_init(&b->shelf, &b->base, 0);
    for (int i = 0; i < MOST; i++) {
        char name[16];
        snprintf(name, sizeof name, "a%d", i);
        must(shelf_add(&b->shelf, name, adapter, true, &err), &err);
        b->prompts[i] = xcalloc((size_t)b->n_prompt, sizeof *b->prompts[i]);
        for (int32_t t = 1; t < b->n_prompt; t++)
            b->prompts[i][t] = 1000 + (i * 37 + t * 101) % 20000;
    }
    must(writing_init(&b->writing, &b->shelf, NULL, 0, &err), &err);
}

int main(int argc, char **argv)
{
    static struct bench b;
    if (argc < 3)
        return fputs("usage: bench_write MODEL ADAPTER [NEW [PROMPT]]\n", stderr), 64;
    b.new = argc > 3 ? (int32_t)strtol(argv[3], NULL, 10) : 32;
    b.n_prompt = argc > 4 ? (int32_t)strtol(argv[4], NULL, 10) : 64;
    open_all(&b, argv[1], argv[2]);
    const int texts[] = {1, 4, 16};
    struct rates best[ARRAY_LEN(texts)][KINDS] = {0};
    for (int32_t round = 0; round < ROUNDS; round++)
        for (size_t n = 0; n < ARRAY_LEN(texts); n++)
            for (int k = 0; k < KINDS; k++) {
                const struct rates r =
                    run(&b, k, texts[n],
                        (round * (int32_t)ARRAY_LEN(texts) + (int32_t)n) * KINDS + k);
                struct rates *to = &best[n][k];
                to->read = r.read > to->read ? r.read : to->read;
                to->write = r.write > to->write ? r.write : to->write;
            }
    printf("cache %.1f MB\ntexts  of            read/s  write/s  share\n",
           (double)b.writing.counts.cache_bytes / 1e6);
    for (size_t n = 0; n < ARRAY_LEN(texts); n++)
        for (int k = 0; k < KINDS; k++)
            printf("%5d  %-12s %7.0f %8.1f  %.3f\n", texts[n], kinds[k], best[n][k].read,
                   best[n][k].write, best[n][k].write / best[n][0].write);
    return 0;
}
