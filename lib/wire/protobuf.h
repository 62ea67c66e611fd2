/* lib/wire/protobuf.h - messages of protocol buffers, field by field, without a schema.
 *
 * A message is a range of bytes; nothing is copied, texts and messages within are ranges
 * of the same bytes. Fields come in the order of the file; of one that must not repeat the
 * last counts, as everywhere with protobuf. What a reader does not know it passes over.
 * The first thing that is no field (a length beyond the end, a number 0, a group) ends the
 * message and sets `bad`; what came before it stays. */
#ifndef LIB_WIRE_PROTOBUF_H
#define LIB_WIRE_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb {
    const unsigned char *at, *end;
    bool bad;
};
struct pb_field {
    uint32_t number;
    enum pb_type type;
    uint64_t bits;             /* of the three kinds of numbers */
    const unsigned char *data; /* of PB_BYTES: length bytes, not NUL-terminated */
    size_t length;
};

struct pb pb_of(const void *data, size_t length);
/* The message that a field holds; an empty one where it holds none. */
struct pb pb_within(const struct pb_field *f);
/* false: that was all of it. */
bool pb_next(struct pb *p, struct pb_field *out);
/* A number's value by what the schema says it is; NaN where the field is no such number. */
double pb_double(const struct pb_field *f);
double pb_float(const struct pb_field *f);
/* int32, int64, bool and enums; 0 where the field is no varint. */
int64_t pb_int(const struct pb_field *f);

#endif
