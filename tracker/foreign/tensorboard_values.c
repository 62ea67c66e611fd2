/* tracker/foreign/tensorboard_values.c - numbers and texts of TensorFlow's tensors. */
#include "tracker/foreign/tensorboard_parts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DTYPE = 1, CONTENT = 4, STRING_VAL = 8 };

/* How numbers of a type lie in tensor_content, and in which field they come else. */
static const struct number_kind {
    int dtype;
    uint32_t field;
    size_t bytes;
    enum pb_type type; /* of an element that is not packed */
    bool whole;
} kinds[] = {
    {1, 5, 4, PB_FIXED32, false}, /* float */
    {2, 6, 8, PB_FIXED64, false}, /* double */
    {3, 7, 4, PB_VARINT, true},   /* int32 */
    {9, 10, 8, PB_VARINT, true},  /* int64 */
};

double shortest_of_float(double v)
{
    char text[32];
    if (!isfinite(v))
        return v;
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtof(text, NULL) == (float)v)
            break;
    }
    return strtod(text, NULL);
}

static double number_of_bits(const struct number_kind *kind, uint64_t bits)
{
    const struct pb_field f = {.type = kind->bytes == 4 ? PB_FIXED32 : PB_FIXED64,
                               .bits = bits};
    if (kind->whole)
        return kind->bytes == 4 ? (double)(int32_t)bits : (double)(int64_t)bits;
    return kind->bytes == 4 ? shortest_of_float(pb_float(&f)) : pb_double(&f);
}

/* Bytes of exactly one number, little endian; packed whole numbers are varints. */
static bool number_of_bytes(const struct number_kind *kind, const struct pb_field *f,
                            double *out)
{
    uint64_t bits = 0;
    const bool packed_whole = kind->whole && f->number != CONTENT;
    if (packed_whole ? f->length == 0 || f->length > 10 : f->length != kind->bytes)
        return false;
    for (size_t i = 0; i < f->length; i++) {
        if (packed_whole && (f->data[i] & 0x80) == (i + 1 < f->length ? 0 : 0x80))
            return false; /* two numbers, or half of one */
        if (packed_whole)
            bits |= i < 9 ? (uint64_t)(f->data[i] & 0x7f) << 7 * i
                          : (uint64_t)(f->data[i] & 1) << 63;
        else
            bits |= (uint64_t)f->data[i] << 8 * i;
    }
    *out = number_of_bits(kind, bits);
    return true;
}

bool tensor_number(struct pb tensor, double *out)
{
    const struct number_kind *kind = NULL;
    struct pb_field f;
    size_t found = 0;
    bool one = true;
    for (struct pb p = tensor; pb_next(&p, &f);)
        for (size_t i = 0; f.number == DTYPE && i < sizeof kinds / sizeof kinds[0]; i++)
            if (pb_int(&f) == kinds[i].dtype)
                kind = &kinds[i];
    while (kind && one && pb_next(&tensor, &f)) {
        if (f.number != kind->field && (f.number != CONTENT || f.length == 0))
            continue;
        found++;
        if (f.type == PB_BYTES)
            one = number_of_bytes(kind, &f, out);
        else if ((one = f.type == kind->type))
            *out = number_of_bits(kind, f.bits);
    }
    return kind && one && found == 1;
}

bool tensor_text(struct pb tensor, struct pb_field *out)
{
    struct pb_field f;
    bool found = false;
    while (pb_next(&tensor, &f))
        if (f.number == STRING_VAL && f.type == PB_BYTES && !found) {
            *out = f;
            found = true;
        }
    return found;
}
