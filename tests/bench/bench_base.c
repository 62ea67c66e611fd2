/* tests/bench/bench_base.c - a model folder of a known shape with generated weights, as a stand-in
 * for weights that are not here: sharded safetensors, the same bytes each time.
 *   bench_base NAME FOLDER [F16|BF16|F32]
 * NAME is one of known.def with the parts of Llama ("llama-2-7b"). Matrices are normal with
 * the configuration's initializer_range, norms are one. A shard is 5 GB at most; what is held
 * in memory is a few megabytes. */
#include "kernels/half.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/hash.h"
#include "runner/hub/known.h"
#include "runner/hub/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE = 65536, PIECE = 1 << 20, SHARD_GB = 5 };

struct part {
    char name[96];
    int ndim;
    int64_t shape[2];
};

struct model {
    struct part *parts;
    size_t count, cap;
    enum dtype dtype;
    char (*table)[4]; /* a normal's quantiles, in the dtype */
};

static void must(int rc, const struct err *e)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_base: %s\n", e->msg);
    exit(1);
}

static void add(struct model *m, const char *name, int64_t rows, int64_t cols)
{
    m->parts = xgrow(m->parts, &m->cap, m->count + 1, sizeof *m->parts);
    struct part *p = &m->parts[m->count++];
    *p = (struct part){.ndim = rows ? 2 : 1, .shape = {rows ? rows : cols, cols}};
    snprintf(p->name, sizeof p->name, "%s", name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

static void list_parts(struct model *m, const json_t *c)
{
    const int64_t d = json_get_int(c, "hidden_size", 0);
    const int64_t f = json_get_int(c, "intermediate_size", 0);
    const int64_t heads = json_get_int(c, "num_attention_heads", 1);
    const int64_t dim = json_get_int(c, "head_dim", d / heads), q = heads * dim;
    const int64_t kv = json_get_int(c, "num_key_value_heads", heads) * dim;
    const int64_t words = json_get_int(c, "vocab_size", 0);
    const struct {
        const char *name;
        int64_t rows, cols;
    } layer[] = {{"input_layernorm", 0, d},   {"post_attention_layernorm", 0, d},
                 {"self_attn.q_proj", q, d},  {"self_attn.k_proj", kv, d},
                 {"self_attn.v_proj", kv, d}, {"self_attn.o_proj", d, q},
                 {"mlp.gate_proj", f, d},     {"mlp.up_proj", f, d},
                 {"mlp.down_proj", d, f}};
    char name[96];
    add(m, "model.embed_tokens.weight", words, d);
    add(m, "model.norm.weight", 0, d);
    if (!json_get_bool(c, "tie_word_embeddings", false))
        add(m, "lm_head.weight", words, d);
    for (int64_t l = 0; l < json_get_int(c, "num_hidden_layers", 0); l++)
        for (size_t i = 0; i < ARRAY_LEN(layer); i++) {
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", (int)l,
                     layer[i].name);
            add(m, name, layer[i].rows, layer[i].cols);
        }
    qsort(m->parts, m->count, sizeof *m->parts, by_name);
}

static size_t put(enum dtype t, float x, void *dst)
{
    const uint16_t h = t == DT_F16 ? half_of_float(x) : bf16_of_float(x);
    if (t == DT_F32)
        memcpy(dst, &x, sizeof x);
    else
        memcpy(dst, &h, sizeof h);
    return dtype_bytes(t);
}

/* The inverse of the normal's distribution by bisection on erfc. */
static float quantile(double p)
{
    double low = -6, high = 6;
    for (int i = 0; i < 40; i++) {
        const double x = (low + high) / 2;
        *(erfc(-x / sqrt(2)) / 2 < p ? &low : &high) = x;
    }
    return (float)low;
}

static void fill_table(struct model *m, double range)
{
    m->table = xcalloc(TABLE, sizeof *m->table);
    for (int i = 0; i < TABLE; i++)
        put(m->dtype, (float)range * quantile((i + 0.5) / TABLE), m->table[i]);
}

static int64_t count_of(const struct part *p)
{
    return p->ndim == 1 ? p->shape[0] : p->shape[0] * p->shape[1];
}

static void write_part(const struct model *m, const struct part *p, char *piece,
                       struct fs_writer *file, struct err *e)
{
    const struct philox_key key = rng_key(1, p->name);
    const size_t bytes = dtype_bytes(m->dtype);
    const int64_t n = count_of(p);
    for (int64_t at = 0; at < n; at += PIECE) {
        const int64_t count = n - at < PIECE ? n - at : PIECE;
        for (int64_t i = 0; i < count; i += 8) {
            const uint64_t block = (uint64_t)(at + i) / 8;
            uint32_t r[4] = {0};
            if (p->ndim == 2)
                philox4x32(&key,
                           (uint32_t[]){(uint32_t)block, (uint32_t)(block >> 32), 0, 0},
                           r);
            for (int64_t k = 0; k < 8 && i + k < count; k++)
                if (p->ndim == 1)
                    put(m->dtype, 1, piece + (size_t)(i + k) * bytes);
                else
                    memcpy(piece + (size_t)(i + k) * bytes,
                           m->table[r[k / 2] >> 16 * (k % 2) & 0xffff], bytes);
        }
        must(fs_writer_add(file, piece, (size_t)count * bytes, e), e);
    }
}

/* Parts [begin, end) as one file. */
static void write_shard(const struct model *m, const char *path, size_t begin, size_t end,
                        struct err *e)
{
    struct st_writer *w = st_writer_new();
    struct fs_writer *file;
    char *piece = xmalloc((size_t)PIECE * 4);
    st_writer_meta(w, "format", "pt");
    for (size_t i = begin; i < end; i++)
        st_writer_add(w, m->parts[i].name, m->dtype, m->parts[i].ndim, m->parts[i].shape,
                      NULL);
    must(st_writer_begin(w, path, &file, e), e);
    for (size_t i = begin; i < end; i++)
        write_part(m, &m->parts[i], piece, file, e);
    must(fs_writer_finish(file, e), e);
    st_writer_free(w);
    free(piece);
}

static size_t shard_end(const struct model *m, size_t begin)
{
    double left = SHARD_GB * 1e9;
    size_t end = begin;
    while (end < m->count) {
        left -= (double)count_of(&m->parts[end]) * (double)dtype_bytes(m->dtype);
        if (left < 0 && end > begin)
            break;
        end++;
    }
    return end;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct model m = {.dtype = DT_F16};
    const struct known_model *known = argc > 2 ? known_model_find(argv[1]) : NULL;
    if (!known) {
        fprintf(stderr, "usage: bench_base NAME FOLDER [F16|BF16|F32]\n");
        return 2;
    }
    for (int t = 0; argc > 3 && t < DT_COUNT; t++)
        if (!strcmp(dtype_word((enum dtype)t), argv[3]))
            m.dtype = (enum dtype)t;
    json_t *config = known_model_config(known, &e), *map = json_object();
    list_parts(&m, config);
    fill_table(&m, json_get_num(config, "initializer_range", 0.02));
    must(fs_mkdirs(argv[2], &e), &e);
    size_t shards = 0;
    for (size_t at = 0; at < m.count; at = shard_end(&m, at))
        shards++;
    for (size_t at = 0, s = 1; at < m.count; at = shard_end(&m, at), s++) {
        char name[64];
        snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", s, shards);
        char *path = fs_join(argv[2], name);
        for (size_t i = at; i < shard_end(&m, at); i++)
            json_object_set_new(map, m.parts[i].name, json_string(name));
        write_shard(&m, path, at, shard_end(&m, at), &e);
        free(path);
    }
    char *path = fs_join(argv[2], "config.json"),
         *index = fs_join(argv[2], "model.safetensors.index.json");
    json_t *all = json_pack("{s:{},s:o}", "metadata", "weight_map", map);
    must(json_write_file(path, config, 2, &e), &e);
    must(json_write_file(index, all, 2, &e), &e);
    return 0;
}
