/* Fuzzes the lines that a user's program prints: whole, in single bytes and in pieces
 * they give the same numbers, every metric has one summary value, and names and their
 * number keep to the limits; a kind of oddity is said once. */
#include "sweep/launch/metric_lines.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct told {
    uint64_t hash;
    size_t summaries, warnings;
};

static void tell(void *ctx, const char *key, int64_t step, double value)
{
    struct told *t = ctx;
    const size_t n = strlen(key);
    if (n < 1 || n > METRIC_NAME_MAX || step < -1)
        abort();
    t->hash = t->hash * 31 + hash64(key, n);
    t->hash = t->hash * 31 + hash64(&step, sizeof step);
    t->hash = t->hash * 31 + (value != value ? 1 : hash64(&value, sizeof value));
    t->summaries += step == -1;
}

static void warn(void *ctx, const char *text)
{
    struct told *t = ctx;
    t->hash = t->hash * 31 + hash64(text, strlen(text));
    if (++t->warnings > METRIC_ODD_COUNT)
        abort();
}

static struct told read_in(const char *data, size_t size, size_t piece)
{
    struct told t = {0};
    struct metric_lines m;
    metric_lines_init(&m, tell, warn, &t);
    for (size_t i = 0; i < size; i += piece)
        metric_lines_feed(&m, data + i, size - i < piece ? size - i : piece);
    metric_lines_end(&m);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const struct told whole = read_in(text, size, size + 1);
    const struct told bytes = read_in(text, size, 1), pieces = read_in(text, size, 7);
    if (whole.hash != bytes.hash || whole.hash != pieces.hash ||
        whole.summaries > METRIC_NAMES_MAX)
        abort();
    return 0;
}
