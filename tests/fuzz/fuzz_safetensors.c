/* Fuzzes the reader of safetensors files: whatever is accepted lies within the input,
 * tiles it, is sorted, and can be read; also what bitsandbytes' quant_states make of it. */
#include "runner/hub/bitsandbytes.h"
#include "runner/hub/safetensors.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct st *s;
    int rc = st_open_memory(data, size, "fuzz", &s, &err);
    if (rc < 0) {
        if (s || rc != -(int)err.code || !err.msg[0])
            abort();
        return 0;
    }
    struct weight_spec first = {.quant = QUANT_NONE};
    size_t bytes = 0;
    rc = bnb_weights(s, &first, &err);
    if (rc < 0 && (rc != -(int)err.code || !err.msg[0]))
        abort();
    for (size_t i = 0; i < st_count(s); i++) {
        const struct st_tensor *t = st_at(s, i);
        const uint8_t *p = t->data;
        if (p < data || p + t->bytes > data + size ||
            (!t->q4 && t->dtype != DT_COUNT &&
             t->bytes != (size_t)t->count * dtype_bytes(t->dtype)) ||
            st_find(s, t->name) != t || (i && strcmp(t[-1].name, t->name) >= 0))
            abort();
        bytes += t->bytes;
        float *f = malloc((size_t)t->count * sizeof *f + 1);
        if (!f)
            abort();
        (void)st_read_f32(t, f, NULL);
        free(f);
    }
    if (bytes + st_file_at(s, 0)->header_bytes != size)
        abort();
    st_close(s);
    return 0;
}
