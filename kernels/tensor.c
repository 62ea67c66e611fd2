/* kernels/tensor.c - see tensor.h. */
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

struct tensor tensor_vector(void *data, enum dtype dtype, size_t count)
{
    return (struct tensor){data, dtype, 1, (int32_t)count, (int64_t)count, NULL};
}

struct tensor tensor_piece(const float *data, size_t count, size_t at)
{
    const size_t n = count - at < VECTOR_MAX ? count - at : VECTOR_MAX;
    return tensor_vector((float *)data + at, DT_F32, n);
}
