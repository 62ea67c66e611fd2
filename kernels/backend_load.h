/* kernels/backend_load.h - backends that come as shared objects.
 *
 * An object exports one symbol, `peftlab_backend_entry`. It is looked for in the folder
 * PEFTLAB_BACKEND_DIR, then next to the program, then in ../lib/peftlab, opened once and never closed. The
 * program gives it a table of its own functions (an object has no other access to them)
 * and a signature; the object answers with a table of ops, or NULL and a reason: it was
 * built for other ops or shapes, or there is no device. */
#ifndef KERNELS_BACKEND_LOAD_H
#define KERNELS_BACKEND_LOAD_H

#include "kernels/backend.h"
#include "kernels/nf4.h"

/* Number, ops in order with their shapes, activations in order: all that the meaning of
 * an op's arguments hangs on. */
#define BACKEND_TEXT_(x) #x
#define BACKEND_TEXT(x)  BACKEND_TEXT_(x)
static const char backend_signature[] = BACKEND_TEXT(BACKEND_ABI)
#define OP(name, n_in, n_out, in_place) " " #name "/" #n_in "/" #n_out "/" #in_place
#include "kernels/ops.def"
#undef OP
#define X(name) " " #name
    ACTS(X)
#undef X
    ;

struct backend_host {
    const char *signature;
    size_t args_bytes, host_bytes; /* sizeof struct op_args, struct backend_host */
    int (*err_set)(struct err *err, enum err_code code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
    const float *nf4_table, *fp4_table, *dynamic_map, *dynamic_map_unsigned;
    struct q4_layout (*q4_layout)(const struct weight_spec *spec);
    int (*q4_check)(const float *src, const struct weight_spec *spec, struct err *err);
    void (*q4_quantize)(const float *src, const struct weight_spec *spec, void *dst);
};

typedef const struct backend *(*backend_entry_fn)(const struct backend_host *host,
                                                  char *reason, size_t size);

/* Where the object of this name lies; newly allocated, NULL when it is nowhere. */
char *backend_find(const char *file);
/* The backend in `file`; NULL with a reason (no full stop) where it is not usable. */
const struct backend *backend_load(const char *file, char *reason, size_t size);

#endif
