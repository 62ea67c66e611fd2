/* sweep/pack.c - see pack.h. */
#include "sweep/pack.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <stdlib.h>
#include <string.h>

/* Of a trial in a pack, beside what is planned: tokenizer, rows, store. */
#define MEMBER_BYTES ((int64_t)16 << 20)

int64_t sweep_alone_bytes(const struct sweep_trial *t)
{
    return t->peak_bytes < 0 ? 0 : t->peak_bytes + PROCESS_BYTES;
}

static bool same_base(const struct sweep_trial *a, const struct sweep_trial *b)
{
    return *a->common.base && strcmp(a->common.base, b->common.base) == 0;
}

/* The largest of its base, the first of those. */
static bool stands_for_base(const struct sweep_trial *const *trials, size_t count,
                            size_t at)
{
    for (size_t i = 0; i < count; i++) {
        const int64_t other = trials[i]->common.base_bytes,
                      own = trials[at]->common.base_bytes;
        if (i != at && same_base(trials[i], trials[at]) &&
            (other > own || (other == own && i < at)))
            return false;
    }
    return true;
}

struct pack_bytes_of sweep_pack_bytes(const struct sweep_trial *const *trials,
                                      size_t count, int threads)
{
    struct pack_bytes_of b = {0, 0, 0, 0};
    int64_t turn = 0;
    for (size_t i = 0; i < count; i++) {
        const struct sweep_common *s = &trials[i]->common;
        const int64_t peak = trials[i]->peak_bytes < 0 ? 0 : trials[i]->peak_bytes;
        b.own += peak - s->base_bytes - s->turn_bytes + MEMBER_BYTES;
        b.bases += stands_for_base(trials, count, i) ? s->base_bytes : 0;
        turn = s->turn_bytes > turn ? s->turn_bytes : turn;
    }
    b.turns = turn * (count < (size_t)threads ? (int64_t)count : threads);
    b.total = b.bases + b.turns + b.own + (count ? PROCESS_BYTES : 0);
    return b;
}

static int larger_first(const void *a, const void *b)
{
    const struct sweep_trial *x = *(const struct sweep_trial *const *)a,
                             *y = *(const struct sweep_trial *const *)b;
    return (x->peak_bytes < y->peak_bytes) - (x->peak_bytes > y->peak_bytes);
}

/* All of them, those that need most first. Caller frees. */
static const struct sweep_trial **by_size(const struct sweep_plan *p)
{
    const struct sweep_trial **all = xcalloc(p->count + 1, sizeof *all);
    for (size_t i = 0; i < p->count; i++)
        all[i] = &p->trials[i];
    qsort(all, p->count, sizeof *all, larger_first);
    return all;
}

static int64_t alone_bytes(const struct sweep_trial *const *all, size_t count)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += sweep_alone_bytes(all[i]);
    return sum;
}

/* Trials go by the environment where the file names no backend. */
static bool on_cpu(const struct sweep_file *f)
{
    const char *backend = f->backend ? f->backend : getenv("PEFTLAB_BACKEND");
    return !backend || !*backend || strcmp(backend, "cpu") == 0;
}

int sweep_pack_check(const struct sweep_file *f, int wanted, struct err *err)
{
    if (wanted == 0 || wanted == 1 || (!f->drives_command && on_cpu(f)))
        return 0;
    return err_set(err, ERR_CONFIG,
                   "sweep '%s': --pack puts trials into one process, which %s; run it "
                   "without --pack",
                   f->name,
                   f->drives_command ? "a program of its own cannot share"
                                     : "only the trainer on the CPU does");
}

int sweep_pack_choose(const struct sweep_plan *p, int wanted, int threads,
                      int64_t memory_bytes)
{
    if (wanted != SWEEP_PACK_AUTO)
        return wanted > 1 ? wanted : 1;
    const struct sweep_trial **all = by_size(p);
    const size_t most = p->count < (size_t)threads ? p->count : (size_t)threads;
    size_t alone = 0, together = 0;
    while (alone < most && alone_bytes(all, alone + 1) <= memory_bytes)
        alone++;
    while (together < most &&
           sweep_pack_bytes(all, together + 1, threads).total <= memory_bytes)
        together++;
    free(all);
    return together > alone ? (int)together : 1;
}

void sweep_pack_words(const struct sweep_plan *p, int wanted, int pack, int threads,
                      FILE *f)
{
    const struct sweep_trial **all = by_size(p);
    const size_t n = p->count < (size_t)pack ? p->count : (size_t)pack;
    const struct pack_bytes_of b = sweep_pack_bytes(all, n, threads);
    char total[32], bases[32], turns[32], own[32], alone[32];
    if (wanted == SWEEP_PACK_AUTO && pack == 1)
        text_print(
            f, "pack auto: 1, a process for each trial: a pack gains no time, no more of "
               "them could compute at once in it\n");
    else if (pack > 1 && n && all[0]->peak_bytes >= 0)
        text_print(
            f,
            "pack%s: %d trials in a process take %s (bases %s, activations %s, their "
            "own %s) instead of up to %s in %zu processes\n",
            wanted == SWEEP_PACK_AUTO ? " auto" : "", pack,
            str_bytes(total, sizeof total, (double)b.total),
            str_bytes(bases, sizeof bases, (double)b.bases),
            str_bytes(turns, sizeof turns, (double)b.turns),
            str_bytes(own, sizeof own, (double)b.own),
            str_bytes(alone, sizeof alone, (double)alone_bytes(all, n)), n);
    free(all);
}
