/* kernels/tensor.h - a view of numbers in a backend's memory.
 *
 * Everything is rows x cols, row-major: rows are tokens (or sequences, or a weight's
 * outputs), cols are features (or a weight's inputs). `ld` is the distance between rows
 * in elements, so a column slice of a matrix is a tensor too. A view owns nothing. A
 * tensor whose `data` is NULL is absent: optional inputs (bias) and outputs that nobody
 * needs.
 *
 * DT_PREPARED marks a frozen weight in the layout of the backend that made it (panels,
 * 4-bit codes); only that backend looks inside, `spec` says what it holds. rows x cols
 * stay those of the plain weight, out x in. */
#ifndef KERNELS_TENSOR_H
#define KERNELS_TENSOR_H

#include <stddef.h>
#include <stdint.h>

/* name, bytes per element, safetensors' word */
#define DTYPES(X)                                                                        \
    X(F32, 4, "F32")                                                                     \
    X(F64, 8, "F64")                                                                     \
    X(BF16, 2, "BF16")                                                                   \
    X(F16, 2, "F16")                                                                     \
    X(I32, 4, "I32")                                                                     \
    X(I64, 8, "I64")                                                                     \
    X(U8, 1, "U8")                                                                       \
    X(PREPARED, 1, "")

enum dtype {
#define X(name, bytes, word) DT_##name,
    DTYPES(X)
#undef X
        DT_COUNT
};

size_t dtype_bytes(enum dtype t);
const char *dtype_word(enum dtype t);

enum quant_kind { QUANT_NONE, QUANT_NF4, QUANT_FP4 };

/* What a prepared weight holds. Lives as long as the tensors that point to it. */
struct weight_spec {
    int32_t rows, cols; /* out, in */
    enum quant_kind quant;
    int32_t block;      /* elements per absmax, 64 */
    int double_quant;   /* absmax itself in 8 bits, blocks of 256 */
    int dx_panels;      /* dy W will be asked for, of few rows at a time: see weight.c */
    enum dtype compute; /* DT_F32, or DT_BF16: both operands of products are rounded */
    enum dtype rounded; /* unpacked 4 bits are rounded to it (DT_BF16, DT_F16); DT_F32 */
    enum dtype stored;  /* of a plain one with fp32 products: all its values are such
                           numbers (DT_BF16, DT_F16), and may be kept as these; DT_F32 */
};

struct tensor {
    void *data;
    enum dtype dtype;
    int32_t rows, cols;
    int64_t ld;                     /* elements between rows; >= cols */
    const struct weight_spec *spec; /* DT_PREPARED only */
};

/* Elements of the longest row: backends may count those of a tensor in 32 bits. Arenas
 * that are longer are worked on in pieces. */
#define VECTOR_MAX ((size_t)1 << 30)
/* A row of `count` elements, VECTOR_MAX at most. */
struct tensor tensor_vector(void *data, enum dtype dtype, size_t count);
/* Of `count` floats those from `at` on, VECTOR_MAX at most. */
struct tensor tensor_piece(const float *data, size_t count, size_t at);

#endif
