/* kernels/cuda/emul/emul.cpp - runs a kernel's blocks, each with a fiber per thread.
 *
 * A fiber runs until it waits (for its block or its warp) or ends. When all lanes of a
 * warp wait for the warp at one place they all go on, and so do all threads of a block.
 * Nothing else lets a waiting fiber go on, so that what a GPU may forgive by chance is
 * found here: if nobody can go on and not all have ended, the kernel is wrong. */
#include "cuda_runtime.h"
#include "emul.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

extern "C" void emul_switch(void **save, void *to);

struct uint3 threadIdx, blockIdx;
struct dim3 blockDim, gridDim;

enum { THREADS_MAX = 1024, LANES = 32, STACK = 64 << 10, GUARD = 4096 };
enum { SHARED_BYTES = 48 << 10, SHARED_ARRAYS = 16, SHARED_GUARD = 16 };
enum state { READY, WAITS_FOR_WARP, WAITS_FOR_BLOCK, ENDED };

struct fiber {
    enum state state;
    void *top;   /* of the saved stack; NULL before the start */
    char *stack; /* lowest byte */
    struct uint3 index;
    const char *file; /* where it waits */
    int line;
    unsigned shuffles; /* so far: two slots take turns */
    uint64_t slot[2];
};

struct array {
    const void *site;
    char *data;
    size_t bytes;
};

static struct {
    const char *kernel; /* NULL: none is running */
    void (*thread)(void *context);
    void *context;
    int threads, warps, current;
    void *scheduler; /* its saved stack */
    struct fiber fibers[THREADS_MAX];
    char *free_stacks[THREADS_MAX];
    int free_count;
    alignas(64) char shared[SHARED_BYTES];
    struct array arrays[SHARED_ARRAYS];
    int array_count;
    size_t shared_used;
    int lane_order[LANES], warp_order[THREADS_MAX / LANES];
    uint64_t random;
} g;

void emul_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "cuda-emul: ");
    if (g.kernel)
        fprintf(stderr, "kernel '%s' block (%u,%u,%u) thread (%u,%u,%u): ", g.kernel,
                blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y,
                threadIdx.z);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

/* --------------------------------------------------------------------------- fibers */

static char *take_stack(void)
{
    if (g.free_count > 0)
        return g.free_stacks[--g.free_count];
    void *p = mmap(NULL, GUARD + STACK, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (p == MAP_FAILED || mprotect(p, GUARD, PROT_NONE) != 0)
        emul_fail("no memory for a stack");
    return static_cast<char *>(p) + GUARD;
}

static void leave(void)
{
    emul_switch(&g.fibers[g.current].top, g.scheduler);
}

static void run_thread(void)
{
    g.thread(g.context);
    g.fibers[g.current].state = ENDED;
    leave();
    abort(); /* an ended fiber is not gone back to */
}

/* A stack that looks as if run_thread had been called and left at once. Tops are
 * staggered, or all would share the same lines of the cache. */
static void begin(struct fiber *f, int number)
{
    f->stack = take_stack();
    void **top = reinterpret_cast<void **>(f->stack + STACK - number % LANES * 64);
    *--top = NULL;
    *--top = reinterpret_cast<void *>(run_thread);
    for (int saved = 0; saved < 6; saved++)
        *--top = NULL;
    f->top = top;
}

static void resume(int number)
{
    struct fiber *f = &g.fibers[number];
    if (!f->top)
        begin(f, number);
    g.current = number;
    threadIdx = f->index;
    emul_switch(&g.scheduler, f->top);
    if (f->state == ENDED)
        g.free_stacks[g.free_count++] = f->stack;
}

static void wait_for(enum state what, const char *file, int line)
{
    struct fiber *f = &g.fibers[g.current];
    f->state = what;
    f->file = file;
    f->line = line;
    leave();
}

void emul_sync_block(const char *file, int line)
{
    wait_for(WAITS_FOR_BLOCK, file, line);
}

void emul_sync_warp(unsigned mask, const char *file, int line)
{
    if (mask != 0xffffffffu)
        emul_fail("%s:%d: the mask %08x does not name all lanes", file, line, mask);
    wait_for(WAITS_FOR_WARP, file, line);
}

int emul_lane(void)
{
    return g.current % LANES;
}

void emul_shuffle(unsigned mask, void *value, size_t bytes, int lane, const char *file,
                  int line)
{
    struct fiber *f = &g.fibers[g.current];
    const int turn = f->shuffles++ % 2;
    memcpy(&f->slot[turn], value, bytes);
    emul_sync_warp(mask, file, line);
    memcpy(value, &g.fibers[g.current / LANES * LANES + lane].slot[turn], bytes);
}

/* -------------------------------------------------------------------- shared memory */

void *emul_shared(const void *site, size_t bytes)
{
    for (int i = 0; i < g.array_count; i++)
        if (g.arrays[i].site == site)
            return g.arrays[i].data;
    const size_t end = g.shared_used + (bytes + 15) / 16 * 16;
    if (end + SHARED_GUARD > SHARED_BYTES || g.array_count == SHARED_ARRAYS)
        emul_fail("more shared memory than a block has");
    struct array *a = &g.arrays[g.array_count++];
    *a = {site, g.shared + g.shared_used, bytes};
    memset(a->data, 0xff, end - g.shared_used + SHARED_GUARD); /* NaN */
    g.shared_used = end + SHARED_GUARD;
    return a->data;
}

static void check_shared(void)
{
    for (int i = 0; i < g.array_count; i++) {
        const struct array *a = &g.arrays[i];
        const char *end = i + 1 < g.array_count ? a[1].data : g.shared + g.shared_used;
        for (const char *p = a->data + a->bytes; p < end; p++)
            if (*p != '\xff')
                emul_fail("byte %zu of a shared array of %zu was written",
                          (size_t)(p - a->data), a->bytes);
    }
    g.array_count = 0;
    g.shared_used = 0;
}

/* ------------------------------------------------------------------------ one block */

static const char *const waits[] = {"runs", "waits for its warp", "waits for its block",
                                    "has ended"};

static void report_stuck(void)
{
    int n = 0;
    for (int i = 0; i < g.threads && n < 8; i++) {
        const struct fiber *f = &g.fibers[i];
        if (i > 0 && f->state == f[-1].state && f->file == f[-1].file &&
            f->line == f[-1].line)
            continue;
        fprintf(stderr, "cuda-emul: from thread %d on: %s", i, waits[f->state]);
        if (f->state != ENDED)
            fprintf(stderr, " at %s:%d", f->file, f->line);
        fputc('\n', stderr);
        n++;
    }
    emul_fail("not all threads come to one barrier");
}

/* Lets fibers [first, first + count) go on if all wait for the same. */
static bool release(int first, int count, enum state what)
{
    const struct fiber *f = &g.fibers[first];
    for (int i = 0; i < count; i++)
        if (f[i].state != what || f[i].line != f->line || f[i].file != f->file)
            return false;
    for (int i = 0; i < count; i++)
        g.fibers[first + i].state = READY;
    return true;
}

/* Runs a warp until it ends, waits for the block or is stuck; did it do anything? */
static bool run_warp(int warp)
{
    const int first = warp * LANES;
    bool moved = false;
    do {
        for (int i = 0; i < LANES; i++) {
            const int number = first + g.lane_order[i];
            if (g.fibers[number].state != READY)
                continue;
            resume(number);
            moved = true;
        }
    } while (release(first, LANES, WAITS_FOR_WARP));
    return moved;
}

static bool all_ended(void)
{
    for (int i = 0; i < g.threads; i++)
        if (g.fibers[i].state != ENDED)
            return false;
    return true;
}

static void run_block(void)
{
    for (int i = 0; i < g.threads; i++) {
        struct fiber *f = &g.fibers[i];
        f->state = READY;
        f->top = NULL;
        f->shuffles = 0;
    }
    do {
        bool moved = false;
        for (int w = 0; w < g.warps; w++)
            moved |= run_warp(g.warp_order[w]);
        if (!moved)
            report_stuck();
        release(0, g.threads, WAITS_FOR_BLOCK);
    } while (!all_ended());
    check_shared();
}

/* ---------------------------------------------------------------------------- a launch
 */

static uint64_t seed(void)
{
    static bool asked;
    static uint64_t value;
    const char *text = getenv("PEFTLAB_EMUL_SEED");
    if (!asked && text)
        value = strtoull(text, NULL, 10);
    asked = true;
    return value;
}

/* xorshift64* (Vigna 2016) */
static uint64_t random_below(uint64_t n)
{
    g.random ^= g.random >> 12;
    g.random ^= g.random << 25;
    g.random ^= g.random >> 27;
    return (g.random * 0x2545F4914F6CDD1Dull >> 32) % n;
}

static void order(int *list, int n)
{
    for (int i = 0; i < n; i++)
        list[i] = i;
    for (int i = n - 1; i > 0 && seed(); i--) {
        const int other = (int)random_below(i + 1), kept = list[i];
        list[i] = list[other];
        list[other] = kept;
    }
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
    return b ? greatest_common_divisor(b, a % b) : a;
}

static void prepare(struct dim3 block)
{
    g.threads = (int)(block.x * block.y * block.z);
    g.warps = g.threads / LANES;
    if (g.threads == 0 || g.threads > THREADS_MAX || g.threads % LANES != 0)
        emul_fail("blocks of %d threads: whole warps, at most %d", g.threads,
                  THREADS_MAX);
    if (!g.random)
        g.random = seed() | 1ull << 63;
    order(g.lane_order, LANES);
    order(g.warp_order, g.warps);
    for (int i = 0; i < g.threads; i++)
        g.fibers[i].index = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
}

void emul_run(const char *kernel, struct dim3 grid, struct dim3 block,
              void (*thread)(void *context), void *context)
{
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    if (blocks == 0)
        return;
    if (g.kernel || grid.y > 65535 || grid.z > 65535)
        emul_fail("cannot start kernel '%s' with a grid of %u x %u x %u", kernel, grid.x,
                  grid.y, grid.z);
    g.kernel = kernel;
    g.thread = thread;
    g.context = context;
    blockDim = block;
    gridDim = grid;
    prepare(block);
    /* Blocks first, first + step, ..: each once where step has no divisor in common. */
    uint64_t step = 1, at = 0;
    if (seed()) {
        at = random_below(blocks);
        do
            step = 1 + random_below(blocks);
        while (greatest_common_divisor(step, blocks) != 1);
    }
    emul_memory_open();
    for (uint64_t i = 0; i < blocks; i++, at = (at + step) % blocks) {
        blockIdx = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y),
                    (unsigned)(at / grid.x / grid.y)};
        run_block();
    }
    emul_memory_close();
    g.kernel = NULL;
}
