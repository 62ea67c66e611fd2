/* runner/hub/hf_model.c - finds a model folder, reads its config.json and maps its
 * weights. */
#include "runner/hub/hf_model.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/bitsandbytes.h"
#include "runner/hub/gguf_model.h"
#include "runner/hub/known.h"
#include "runner/hub/model_text.h"
#include "runner/hub/text_part.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_BYTES ((size_t)64 << 10)
#define SAMPLES      16 /* per weight file, evenly spread; ends included */

/* A hub id is ORGANISATION/NAME, relative and without dots as steps. */
static bool looks_like_hub_id(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash && slash != name && slash[1] && !strchr(slash + 1, '/') &&
           name[0] != '.' && slash[1] != '.';
}

/* What gets it: the name itself, or the hub id of a model that is known by it, where the
 * name says. */
static int not_found(const char *name, const char *cache, struct err *err)
{
    const char *slash = strrchr(name, '/');
    const struct known_model *known = known_model_find(slash ? slash + 1 : name);
    struct buf how = BUF_INIT;
    if (looks_like_hub_id(name))
        buf_printf(&how, "'peftlab pull %s' gets it", name);
    else if (known)
        buf_printf(&how, "'peftlab pull %s --out %s%s%s' gets it", known->hub_id,
                   slash ? "" : cache, slash ? "" : "/", name);
    else
        buf_str_add(&how, "'peftlab pull ORGANISATION/NAME' gets one from a hub");
    int rc = err_set(err, ERR_NOINPUT,
                     "model '%s': no such folder, nor is it in the models cache '%s' "
                     "(PEFTLAB_MODELS); %s",
                     name, cache, buf_str(&how));
    buf_release(&how);
    return rc;
}

/* The folder; or the GGUF file in it, where there is one and no config.json. */
static int in_folder(const char *dir, char **out, struct err *err)
{
    char *config = fs_join(dir, "config.json"), *file = NULL;
    DIR *d = fs_exists(config) ? NULL : opendir(dir);
    size_t count = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (str_has_suffix(e->d_name, ".gguf")) {
            free(file);
            file = fs_join(dir, e->d_name);
            count++;
        }
    if (d)
        closedir(d);
    free(config);
    *out = count == 1 ? file : NULL;
    if (count != 1)
        free(file);
    if (count > 1)
        return err_set(err, ERR_NOINPUT,
                       "model folder '%s': %zu GGUF files: name one of them", dir, count);
    if (!*out)
        *out = xstrdup(dir);
    return 0;
}

int hf_model_find(const char *name, char **dir, struct err *err)
{
    *dir = NULL;
    if (fs_is_dir(name))
        return in_folder(name, dir, err);
    if (gguf_is_file(name)) {
        *dir = xstrdup(name);
        return 0;
    }
    if (fs_exists(name))
        return err_set(
            err, ERR_NOINPUT,
            "model '%s' is a file, but no GGUF file: name the folder that holds "
            "config.json",
            name);
    const char *cache = getenv("PEFTLAB_MODELS");
    if (!cache || !*cache)
        cache = "models";
    const char *slash = strrchr(name, '/');
    const char *tries[] = {name, slash ? slash + 1 : name};
    for (size_t i = 0; i < ARRAY_LEN(tries) && name[0] != '/' && name[0] != '.'; i++) {
        char *path = fs_join(cache, tries[i]);
        const bool found = *tries[i] && fs_is_dir(path);
        int rc = found ? in_folder(path, dir, err) : 0;
        free(path);
        if (found)
            return rc;
    }
    return not_found(name, cache, err);
}

static int read_type(struct hf_model *m, const char *path, struct err *err)
{
    if (!json_is_object(m->config))
        return err_set(err, ERR_PARSE, "'%s': an object expected", path);
    m->model_type = json_get_str(m->config, "model_type", NULL);
    return m->model_type ? 0
                         : err_set(err, ERR_PARSE,
                                   "'%s': no 'model_type' (needed to know the "
                                   "architecture)",
                                   path);
}

static int read_config(struct hf_model *m, struct err *err)
{
    char *path = fs_join(m->dir, "config.json");
    int rc = 0;
    if (!fs_exists(path))
        rc = err_set(err, ERR_NOINPUT,
                     "model folder '%s': no config.json (is it a Hugging Face folder?)",
                     m->dir);
    else if (!(m->config = json_read_file(path, err)))
        rc = err_code(err);
    else
        rc = read_type(m, path, err);
    json_t *inner = rc ? NULL : text_part_config(m->config);
    if (inner) {
        json_decref(m->config);
        m->config = inner;
        rc = read_type(m, path, err);
    }
    free(path);
    return rc;
}

static int read_known(struct hf_model *m, const char *name, struct err *err)
{
    const struct known_model *known = known_model_find(name);
    if (!known)
        return looks_like_hub_id(name) || strpbrk(name, "./") == name
                   ? hf_model_find(name, &m->dir, err)
                   : known_model_missing(name, err);
    m->dir = xstrdup(known->name);
    m->config = known_model_config(known, err);
    return m->config ? read_type(m, known->name, err) : err_code(err);
}

static const char *quant_words(enum quant_kind kind)
{
    return kind == QUANT_NF4 ? "nf4" : kind == QUANT_FP4 ? "fp4" : "no quantisation";
}

/* By its tensors where they are there, and those of what config.json says must be. */
static int read_quantised(struct hf_model *m, struct err *err)
{
    struct weight_spec said;
    int rc = bnb_config(m->config, &said, err);
    if (!rc && !m->weights)
        m->quantised = said;
    else if (!rc)
        rc = bnb_weights(m->weights, &m->quantised, err);
    if (!rc && m->weights && m->quantised.quant != said.quant)
        rc = err_set(err, ERR_PARSE, "config.json says %s, its tensors %s",
                     quant_words(said.quant), quant_words(m->quantised.quant));
    return rc ? err_context(err, "model folder '%s': ", m->dir) : 0;
}

static int done_or_close(struct hf_model *m, int rc, struct hf_model **out,
                         struct err *err)
{
    *out = NULL;
    if (rc >= 0)
        rc = read_quantised(m, err);
    if (rc < 0) {
        hf_model_close(m);
        return rc;
    }
    *out = m;
    return 0;
}

/* All is in one file. */
static int open_gguf(struct hf_model *m, struct err *err)
{
    struct gguf *g;
    int rc = gguf_open(m->dir, &g, err);
    if (rc < 0)
        return rc;
    rc = gguf_model_config(g, &m->config, err);
    if (rc >= 0)
        rc = gguf_model_weights(g, m->dir, &m->weights, err);
    gguf_close(g);
    return rc < 0 ? err_context(err, "GGUF file '%s': ", m->dir)
                  : read_type(m, m->dir, err);
}

int hf_model_open(const char *name, struct hf_model **out, struct err *err)
{
    struct hf_model *m = xcalloc(1, sizeof *m);
    int rc = hf_model_find(name, &m->dir, err);
    if (rc >= 0 && !fs_is_dir(m->dir))
        rc = open_gguf(m, err);
    else if (rc >= 0 && (rc = read_config(m, err)) >= 0)
        rc = st_open_folder(m->dir, &m->weights, err);
    return done_or_close(m, rc, out, err);
}

int hf_model_open_shape(const char *name, struct hf_model **out, struct err *err)
{
    struct hf_model *m = xcalloc(1, sizeof *m);
    int rc;
    if (hf_model_find(name, &m->dir, NULL) < 0)
        rc = read_known(m, name, err);
    else if (!fs_is_dir(m->dir))
        rc = open_gguf(m, err);
    else if ((rc = read_config(m, err)) >= 0 && st_in_folder(m->dir))
        rc = st_open_folder(m->dir, &m->weights, err);
    return done_or_close(m, rc, out, err);
}

void hf_model_close(struct hf_model *m)
{
    if (!m)
        return;
    st_close(m->weights);
    json_decref(m->config);
    free(m->dir);
    free(m);
}

/* The tokenizer in a GGUF file, as a tree. */
static int tokenizer_in_file(const char *path, json_t **out, struct err *err)
{
    struct gguf *g;
    int rc = gguf_open(path, &g, err);
    *out = NULL;
    if (rc < 0)
        return rc;
    rc = gguf_model_tokenizer(g, out, err);
    gguf_close(g);
    return rc < 0 ? err_context(err, "GGUF file '%s': ", path) : 0;
}

int hf_model_tokenizer(const char *path, struct tokenizer **out, struct err *err)
{
    char *file = fs_is_dir(path) ? fs_join(path, "tokenizer.json") : xstrdup(path);
    json_t *tree = NULL;
    int rc = 0;
    *out = NULL;
    if (gguf_is_file(path)) {
        rc = tokenizer_in_file(path, &tree, err);
        if (rc >= 0 && tree)
            rc = tokenizer_of_tree(tree, path, out, err);
    } else if (fs_exists(file)) {
        rc = tokenizer_load(path, out, err);
    }
    json_decref(tree);
    free(file);
    return rc;
}

/* Special tokens by name and the chat template. */
static int write_text(const struct hf_model *m, const char *dir, struct err *err)
{
    struct model_text text;
    int rc = model_text_read(m->dir, &text, err);
    char *path = fs_join(dir, "tokenizer_config.json");
    json_object_set_new(text.config, "tokenizer_class",
                        json_string("PreTrainedTokenizerFast"));
    if (rc >= 0)
        rc = json_write_file(path, text.config, 1, err);
    free(path);
    model_text_release(&text);
    return rc;
}

int hf_model_write_tokenizer(const struct hf_model *m, const char *dir, struct err *err)
{
    json_t *tree;
    int rc = tokenizer_in_file(m->dir, &tree, err);
    if (rc < 0 || !tree)
        return rc;
    char *text = json_dumps(tree, JSON_COMPACT), *path = fs_join(dir, "tokenizer.json");
    rc = fs_write_atomic(path, text, strlen(text), err);
    free(text);
    free(path);
    json_decref(tree);
    return rc < 0 ? rc : write_text(m, dir, err);
}

static void add_file_print(struct buf *b, const struct st_file *f)
{
    char hex[SHA256_HEX];
    const char *name = strrchr(f->path, '/');
    const char *data = (const char *)f->data + f->header_bytes;
    size_t size = f->size - f->header_bytes;
    sha256_hex(f->data, f->header_bytes, hex);
    buf_printf(b, "%s %zu %s", name ? name + 1 : f->path, f->size, hex);
    if (size <= SAMPLES * SAMPLE_BYTES) {
        sha256_hex(data, size, hex);
        buf_printf(b, " %s", hex);
    } else {
        for (size_t i = 0; i < SAMPLES; i++) {
            size_t at = (size - SAMPLE_BYTES) / (SAMPLES - 1) * i;
            if (i == SAMPLES - 1)
                at = size - SAMPLE_BYTES;
            sha256_hex(data + at, SAMPLE_BYTES, hex);
            buf_printf(b, " %s", hex);
        }
    }
    buf_char(b, '\n');
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(const struct st_file *const *)a)->path,
                  (*(const struct st_file *const *)b)->path);
}

/* Beside the weights, what decides tokens and numbers; those that there are. */
static int add_text_prints(const struct hf_model *m, struct buf *b, struct err *err)
{
    static const char *const names[] = {"config.json", "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json", "chat_template.jinja"};
    char hex[SHA256_HEX];
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(names) && !rc; i++) {
        char *path = fs_join(m->dir, names[i]);
        if (fs_exists(path) && !(rc = sha256_file(path, hex, err)))
            buf_printf(b, "%s %s\n", names[i], hex);
        free(path);
    }
    return rc;
}

int hf_model_fingerprint(const struct hf_model *m, char out[65], struct err *err)
{
    struct buf b = BUF_INIT;
    int rc = add_text_prints(m, &b, err);
    if (rc < 0) {
        buf_release(&b);
        return rc;
    }
    size_t n = st_file_count(m->weights);
    const struct st_file **files = xcalloc(n ? n : 1, sizeof *files);
    for (size_t i = 0; i < n; i++)
        files[i] = st_file_at(m->weights, i);
    qsort(files, n, sizeof *files, by_path);
    for (size_t i = 0; i < n; i++)
        add_file_print(&b, files[i]);
    free(files);
    sha256_hex(b.data, b.len, out);
    buf_release(&b);
    return 0;
}
