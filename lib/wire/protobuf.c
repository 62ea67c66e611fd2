/* lib/wire/protobuf.c - see protobuf.h. */
#include "lib/wire/protobuf.h"
#include <math.h>
#include <string.h>

struct pb pb_of(const void *data, size_t length)
{
    const unsigned char *at = data;
    return (struct pb){at, length ? at + length : at, false};
}

struct pb pb_within(const struct pb_field *f)
{
    return pb_of(f->data, f->type == PB_BYTES ? f->length : 0);
}

static bool take_varint(struct pb *p, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && p->at < p->end; shift += 7) {
        const unsigned char byte = *p->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* Little endian, whatever this machine is. */
static bool take_fixed(struct pb *p, int bytes, uint64_t *out)
{
    *out = 0;
    if (p->end - p->at < bytes)
        return false;
    for (int i = 0; i < bytes; i++)
        *out |= (uint64_t)p->at[i] << 8 * i;
    p->at += bytes;
    return true;
}

static bool take_value(struct pb *p, struct pb_field *f)
{
    switch (f->type) {
    case PB_VARINT:
        return take_varint(p, &f->bits);
    case PB_FIXED64:
        return take_fixed(p, 8, &f->bits);
    case PB_FIXED32:
        return take_fixed(p, 4, &f->bits);
    case PB_BYTES:
        if (!take_varint(p, &f->bits) || f->bits > (uint64_t)(p->end - p->at))
            return false;
        f->data = p->at;
        f->length = (size_t)f->bits;
        p->at += f->length;
        return true;
    }
    return false; /* groups, which nobody writes any more */
}

bool pb_next(struct pb *p, struct pb_field *out)
{
    uint64_t tag;
    *out = (struct pb_field){0};
    if (p->at >= p->end || p->bad)
        return false;
    p->bad = !take_varint(p, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX;
    if (p->bad)
        return false;
    out->number = (uint32_t)(tag >> 3);
    out->type = (enum pb_type)(tag & 7);
    p->bad = !take_value(p, out);
    return !p->bad;
}

double pb_double(const struct pb_field *f)
{
    double v;
    memcpy(&v, &f->bits, sizeof v);
    return f->type == PB_FIXED64 ? v : NAN;
}

double pb_float(const struct pb_field *f)
{
    const uint32_t bits = (uint32_t)f->bits;
    float v;
    memcpy(&v, &bits, sizeof v);
    return f->type == PB_FIXED32 ? (double)v : NAN;
}

int64_t pb_int(const struct pb_field *f)
{
    return f->type == PB_VARINT ? (int64_t)f->bits : 0;
}
