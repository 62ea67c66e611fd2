/* Fuzzes a model folder: config.json up to the first NUL, then the index of its shards
 * (there are two, a.safetensors and b.safetensors). What opens has a model type and all
 * the tensors of the index. */
#include "lib/fs.h"
#include "runner/hub/hf_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[] = "/tmp/fuzz_hf_config.XXXXXX", index_path[64], config_path[64];

static void remove_folder(void)
{
    fs_remove_tree(dir, NULL);
}

static void make_folder(void)
{
    const float one = 1;
    if (!mkdtemp(dir))
        abort();
    atexit(remove_folder);
    strcat(strcpy(config_path, dir), "/config.json");
    strcat(strcpy(index_path, dir), "/model.safetensors.index.json");
    for (char c = 'a'; c <= 'b'; c++) {
        const char name[] = {c, 0};
        char path[64] = "";
        strcat(strcat(strcat(strcpy(path, dir), "/"), name), ".safetensors");
        struct st_writer *w = st_writer_new();
        st_writer_add(w, name, DT_F32, 1, (int64_t[]){1}, &one);
        if (st_writer_save(w, path, NULL) < 0)
            abort();
        st_writer_free(w);
    }
}

static void put(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!index_path[0])
        make_folder();
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t n = nul ? (size_t)(nul - data) : size;
    put(config_path, data, n);
    put(index_path, nul ? nul + 1 : data, nul ? size - n - 1 : 0);
    struct err err = ERR_INIT;
    struct hf_model *m;
    int rc = hf_model_open(dir, &m, &err);
    if (rc < 0) {
        if (m || rc != -(int)err.code || !err.msg[0])
            abort();
        return 0;
    }
    char print[65];
    if (!m->model_type || st_count(m->weights) == 0 ||
        hf_model_fingerprint(m, print, &err) < 0 || strlen(print) != 64)
        abort();
    hf_model_close(m);
    return 0;
}
