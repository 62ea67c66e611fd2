/* An adapter folder from elsewhere, for a small base: the first byte says of which method,
 * the next two how long adapter_config.json is, the rest is the tensors. What is accepted
 * holds finite values only. */
#include "lib/fs.h"
#include "lib/mem.h"
#include "runner/session.h"
#include "runner/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const methods[] = {"lora",    "ia3",    "vera",   "adalora",
                                      "adapter", "prefix", "prompt", "ln-tuning"};

static json_t *resolved_for(const char *method)
{
    json_t *given = json_pack("{s:s, s:s, s:s, s:i}", "model", "tests/golden/models/bert",
                              "train_data", "tests/golden/cases/bert-lora-qv/train.jsonl",
                              "method", method, "num_labels", 3),
           *resolved = NULL;
    if (trial_resolve(given, &resolved, NULL) < 0)
        abort();
    json_decref(given);
    return resolved;
}

static void put(const char *dir, const char *name, const uint8_t *data, size_t size)
{
    char *path = fs_join(dir, name);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    struct err e = ERR_INIT;
    struct session s;
    char dir[64];
    size_t n = (size_t)data[1] | (size_t)data[2] << 8;
    n = n < size - 3 ? n : size - 3;
    snprintf(dir, sizeof dir, "/tmp/peftlab-fuzz-adapter-%d", (int)getpid());
    if (fs_mkdirs(dir, NULL) < 0)
        abort();
    put(dir, "adapter_config.json", data + 3, n);
    put(dir, "adapter_model.safetensors", data + 3 + n, size - 3 - n);
    json_t *trial = resolved_for(methods[data[0] % ARRAY_LEN(methods)]);
    const int rc = session_open(&s, trial, ".", dir, false, &e);
    if (rc < 0 && (!e.msg[0] || e.code == ERR_BUG))
        abort();
    for (size_t i = 0; rc == 0 && i < s.net.params.count; i++) {
        const struct param *p = s.net.params.items[i];
        for (int64_t k = 0; p->added && p->given && k < param_size(p); k++)
            if (!isfinite(p->given[k]))
                abort();
    }
    session_close(&s);
    json_decref(trial);
    fs_remove_tree(dir, NULL);
    return 0;
}
