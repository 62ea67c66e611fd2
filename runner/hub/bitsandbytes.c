/* runner/hub/bitsandbytes.c - see bitsandbytes.h. */
#include "runner/hub/bitsandbytes.h"
#include "kernels/nf4.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STATE      ".quant_state.bitsandbytes__"
#define NESTED     256 /* blocks per absmax2 */
#define STATE_MAX  4096
#define MAP_DIFFER 1e-6

/* ---- config.json ------------------------------------------------------------------- */

static int refuse(const char *key, const char *what, const char *hint, struct err *err)
{
    return err_set(err, ERR_CONFIG, "config.json: %s: %s is not supported%s", key, what,
                   hint);
}

/* Neither null, false nor empty. */
static bool is_set(const json_t *v)
{
    return v && !json_is_null(v) && !json_is_false(v) &&
           !(json_is_object(v) && json_object_size(v) == 0);
}

int bnb_config(const json_t *config, struct weight_spec *spec, struct err *err)
{
    static const char hint[] =
        " (a quantised checkpoint); take the model it was made from, with 'quantization: "
        "nf4' where memory is short";
    const json_t *q = json_object_get(config, "quantization_config");
    const json_t *compressed = json_object_get(config, "compression_config");
    *spec = (struct weight_spec){.quant = QUANT_NONE, .block = 64};
    if (is_set(compressed))
        return refuse("compression_config", "a compressed checkpoint", hint, err);
    if (!is_set(q))
        return 0;
    if (!json_is_object(q))
        return refuse("quantization_config", "what is no object", hint, err);
    const bool four = json_get_bool(q, "load_in_4bit", false);
    const char *method = json_get_str(q, "quant_method", four ? "bitsandbytes" : "none");
    const char *kind = json_get_str(q, "bnb_4bit_quant_type", "fp4");
    char text[80];
    if (!str_eq(method, "bitsandbytes")) {
        snprintf(text, sizeof text, "quant_method '%.40s'", method);
        return refuse("quantization_config", text, hint, err);
    }
    if (json_get_bool(q, "load_in_8bit", false))
        return refuse("quantization_config", "load_in_8bit (LLM.int8())", hint, err);
    if (!four)
        return refuse("quantization_config", "bitsandbytes without load_in_4bit", hint,
                      err);
    if (!str_eq(kind, "nf4") && !str_eq(kind, "fp4")) {
        snprintf(text, sizeof text, "bnb_4bit_quant_type '%.40s'", kind);
        return refuse("quantization_config", text, hint, err);
    }
    spec->quant = str_eq(kind, "nf4") ? QUANT_NF4 : QUANT_FP4;
    spec->double_quant = json_get_bool(q, "bnb_4bit_use_double_quant", false);
    return 0;
}

/* ---- one matrix -------------------------------------------------------------------- */

/* A part of weight `name`; of `bytes` bytes. */
static const struct st_tensor *part(const struct st *s, const char *name,
                                    const char *suffix, size_t bytes, struct err *err)
{
    char *full = xasprintf("%s%s", name, suffix);
    const struct st_tensor *t = st_find(s, full);
    if (!t)
        err_set(err, ERR_PARSE,
                "tensor '%s': in 4 bits by its quant_state, but there is no '%s'", name,
                full);
    else if (t->bytes != bytes) {
        err_set(err, ERR_PARSE,
                "tensor '%s': %zu bytes expected by the quant_state, not %zu", full,
                bytes, t->bytes);
        t = NULL;
    }
    free(full);
    return t;
}

/* Is this map the one that is computed with here? */
static int check_map(const struct st *s, const char *name, const char *suffix,
                     const float *ours, size_t n, struct err *err)
{
    const struct st_tensor *t = part(s, name, suffix, n * sizeof *ours, err);
    if (!t)
        return err_code(err);
    for (size_t i = 0; i < n; i++) {
        float v;
        memcpy(&v, (const char *)t->data + i * sizeof v, sizeof v);
        if (!(fabs((double)v - ours[i]) <= MAP_DIFFER))
            return err_set(err, ERR_CONFIG,
                           "tensor '%s%s': entry %zu is %g, where the 4-bit type has %g",
                           name, suffix, i, (double)v, (double)ours[i]);
    }
    return 0;
}

static int bad_state(const char *name, const char *what, struct err *err)
{
    return err_set(err, ERR_PARSE, "tensor '%s': quant_state: %s", name, what);
}

/* The JSON text to what the matrix is. */
static int read_state(const char *name, const json_t *state, struct st_q4 *q,
                      struct err *err)
{
    const char *kind = json_get_str(state, "quant_type", "");
    const char *dtype = json_get_str(state, "dtype", "float32");
    const json_t *shape = json_object_get(state, "shape");
    const int64_t rows = json_integer_value(json_array_get(shape, 0));
    const int64_t cols = json_integer_value(json_array_get(shape, 1));
    const int64_t block = json_get_int(state, "blocksize", 0);
    const double offset = json_get_num(state, "nested_offset", 0);
    if (!str_eq(kind, "nf4") && !str_eq(kind, "fp4"))
        return bad_state(name, "quant_type must be nf4 or fp4", err);
    if (!str_eq(dtype, "float32") && !str_eq(dtype, "bfloat16") &&
        !str_eq(dtype, "float16"))
        return bad_state(name, "dtype must be float32, bfloat16 or float16", err);
    if (json_array_size(shape) != 2 || rows < 1 || cols < 1 || rows > INT32_MAX ||
        cols > INT32_MAX)
        return bad_state(name, "shape must be two sizes", err);
    if (block < 32 || block > 4096 || (block & (block - 1)))
        return bad_state(name, "blocksize must be a power of two from 32 to 4096", err);
    if (json_object_get(state, "nested_blocksize") &&
        (json_get_int(state, "nested_blocksize", 0) != NESTED ||
         !str_eq(json_get_str(state, "nested_dtype", "float32"), "float32")))
        return bad_state(name, "nested_blocksize must be 256, nested_dtype float32", err);
    if (!isfinite(offset) || fabs(offset) > 1e30)
        return bad_state(name, "nested_offset must be a number", err);
    q->offset = (float)offset;
    q->spec = (struct weight_spec){
        .rows = (int32_t)rows,
        .cols = (int32_t)cols,
        .quant = str_eq(kind, "nf4") ? QUANT_NF4 : QUANT_FP4,
        .block = (int32_t)block,
        .double_quant = json_object_get(state, "nested_blocksize") != NULL,
        .rounded = str_eq(dtype, "bfloat16")  ? DT_BF16
                   : str_eq(dtype, "float16") ? DT_F16
                                              : DT_F32,
    };
    return 0;
}

static int find_parts(const struct st *s, const char *name, struct st_q4 *q,
                      struct err *err)
{
    const bool twice = q->spec.double_quant;
    const struct q4_layout l = q4_layout(&q->spec);
    const struct st_tensor *codes, *absmax, *absmax2 = NULL;
    int rc = check_map(s, name, ".quant_map",
                       q->spec.quant == QUANT_NF4 ? nf4_table : fp4_table, 16, err);
    if (!rc && twice)
        rc = check_map(s, name, ".nested_quant_map", dynamic_map_signed(), 256, err);
    if (rc)
        return rc;
    if (!(codes = part(s, name, "", (l.n + 1) / 2, err)) ||
        !(absmax =
              part(s, name, ".absmax", l.blocks * (twice ? 1 : sizeof(float)), err)) ||
        (twice &&
         !(absmax2 = part(s, name, ".nested_absmax", l.groups * sizeof(float), err))))
        return err_code(err);
    q->codes = codes->data;
    q->absmax = absmax->data;
    q->absmax2 = absmax2 ? absmax2->data : NULL;
    return 0;
}

/* The weight whose state this tensor is. */
static int take(struct st *s, const struct st_tensor *t, struct weight_spec *first,
                struct err *err)
{
    char *name = xstrndup(t->name, (size_t)(strstr(t->name, STATE) - t->name));
    struct st_q4 q = {0};
    json_t *state = t->bytes <= STATE_MAX
                        ? json_parse((const char *)t->data, t->bytes, t->name, err)
                        : NULL;
    int rc = state                  ? read_state(name, state, &q, err)
             : t->bytes > STATE_MAX ? bad_state(name, "longer than 4096 bytes", err)
                                    : err_code(err);
    if (!rc)
        rc = find_parts(s, name, &q, err);
    if (!rc)
        st_set_q4(s, name, &q);
    if (!rc && first->quant == QUANT_NONE)
        *first = q.spec;
    json_decref(state);
    free(name);
    return rc;
}

int bnb_weights(struct st *weights, struct weight_spec *first, struct err *err)
{
    struct weight_spec found = {.quant = QUANT_NONE};
    int rc = 0;
    for (size_t i = 0; i < st_count(weights) && !rc; i++) {
        const struct st_tensor *t = st_at(weights, i);
        if (strstr(t->name, STATE))
            rc = take(weights, t, &found, err);
    }
    if (!rc && found.quant != QUANT_NONE)
        *first = found;
    return rc;
}
