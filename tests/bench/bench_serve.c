/* tests/bench/bench_serve.c - batches for many adapters beside batches for one.
 *   bench_serve MODEL ADAPTER [ADAPTERS [ROWS [TOKENS]]]
 * The folder is opened ADAPTERS times (1,000), each with memory of its own. Batches of ROWS
 * (32) requests of TOKENS (24) tokens: all for one adapter, and each row for another one;
 * in turns, the least of all rounds; `share`: of the rate of the first row. At the end the
 * same text for all rows' adapters (runner/serve/twins.h). */
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/serve/batch.h"
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 40, MOST = 512 };

struct bench {
    struct serve_base base;
    struct guest *guests;
    size_t adapters, rows;
    int32_t tokens;
    struct serve_row batch[MOST];
    struct example examples[MOST];
    float logits[MOST][64];
};

static void must(int rc, const struct err *e)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_serve: %s\n", e->msg);
    exit(1);
}

/* Of `texts` different ones. */
static double run_s(struct bench *b, size_t different, size_t texts, size_t round)
{
    struct err err = ERR_INIT;
    for (size_t r = 0; r < b->rows; r++)
        b->batch[r] = (struct serve_row){
            &b->guests[(r % different + round * different) % b->adapters],
            &b->examples[r % texts], b->logits[r]};
    const double begin = clock_mono_s();
    must(serve_batch_run(&b->base, b->batch, b->rows, &err), &err);
    return clock_mono_s() - begin;
}

static void open_all(struct bench *b, const char *model, const char *adapter)
{
    struct err err = ERR_INIT;
    const int32_t rows = (int32_t)b->rows;
    const struct serve_options o = {.most =
                                        extent_of(rows * (b->tokens + 64), rows, rows)};
    must(serve_base_open(&b->base, model, &o, &err), &err);
    const int64_t before = proc_rss_bytes();
    const double begin = clock_mono_s();
    b->guests = xcalloc(b->adapters, sizeof *b->guests);
    for (size_t i = 0; i < b->adapters; i++)
        must(guest_open(&b->guests[i], &b->base, adapter, "copy", &err), &err);
    printf("%zu adapters of %zu bytes: %.3f ms and %.0f bytes each\n", b->adapters,
           b->guests[0].mould->bytes,
           (clock_mono_s() - begin) * 1e3 / (double)b->adapters,
           (double)(proc_rss_bytes() - before) / (double)b->adapters);
    for (size_t r = 0; r < b->rows; r++) {
        b->examples[r] = (struct example){
            .ids = xcalloc((size_t)b->tokens, sizeof(int32_t)), .n = b->tokens};
        for (int32_t t = 0; t < b->tokens; t++)
            b->examples[r].ids[t] = 1000 + (int32_t)((r * 37 + (size_t)t * 101) % 20000);
    }
}

int main(int argc, char **argv)
{
    static struct bench b;
    if (argc < 3)
        return fputs("usage: bench_serve MODEL ADAPTER [ADAPTERS [ROWS [TOKENS]]]\n",
                     stderr),
               64;
    b.adapters = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000;
    b.rows = argc > 4 ? strtoul(argv[4], NULL, 10) : 32;
    b.tokens = argc > 5 ? (int32_t)strtol(argv[5], NULL, 10) : 24;
    b.rows = b.rows < MOST ? b.rows : MOST;
    open_all(&b, argv[1], argv[2]);
    const size_t kinds[] = {1, 2, 4, 8, 16, 32, 64, 128};
    double least[ARRAY_LEN(kinds)], one_text = 1e9;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        least[k] = 1e9;
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t k = 0; k < ARRAY_LEN(kinds) && kinds[k] <= b.rows; k++) {
            const double s = run_s(&b, kinds[k], b.rows, round);
            least[k] = s < least[k] ? s : least[k];
        }
        const double s = run_s(&b, b.rows, 1, round);
        one_text = s < one_text ? s : one_text;
    }
    printf("adapters in a batch  ms    rows/s   share\n");
    for (size_t k = 0; k < ARRAY_LEN(kinds) && kinds[k] <= b.rows; k++)
        printf("%19zu %6.2f %7.0f   %.3f\n", kinds[k], least[k] * 1e3,
               (double)b.rows / least[k], least[0] / least[k]);
    printf("%5zu, of one text %6.2f %7.0f   %.3f\n", b.rows, one_text * 1e3,
           (double)b.rows / one_text, least[0] / one_text);
    return 0;
}
