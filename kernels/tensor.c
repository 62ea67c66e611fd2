/* kernels/tensor.c - what a dtype is called and how wide it is. */
#include "kernels/tensor.h"

static const struct {
    size_t bytes;
    const char *word;
} dtypes[DT_COUNT] = {
#define X(name, bytes, word) [DT_##name] = {bytes, word},
    DTYPES(X)
#undef X
};

size_t dtype_bytes(enum dtype t)
{
    return dtypes[t].bytes;
}

const char *dtype_word(enum dtype t)
{
    return dtypes[t].word;
}
