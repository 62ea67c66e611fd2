/* The manifest of a checkpoint: passed over or refused, whatever stands in it. */
#include "lib/fs.h"
#include "lib/mem.h"
#include "runner/train/checkpoint.h"
#include "runner/trial.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct session *open_once(void)
{
    static struct session s;
    static bool opened;
    json_t *given = NULL, *resolved = NULL;
    if (opened)
        return &s;
    opened = true;
    given = json_pack("{s:s, s:s, s:s, s:i}", "model", "tests/golden/models/bert",
                      "train_data", "tests/golden/cases/bert-lora-qv/train.jsonl",
                      "method", "head", "num_labels", 3);
    if (trial_resolve(given, &resolved, NULL) < 0 ||
        session_open(&s, resolved, ".", NULL, true, NULL) < 0)
        abort();
    json_decref(given);
    stderr = fopen("/dev/null", "w"); /* "is passed over"; the fuzzer has its own */
    if (!stderr)
        abort();
    return &s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct checkpoint c = {0};
    struct pieces pieces = {0};
    char run[64], state[8] = "abcdefg";
    snprintf(run, sizeof run, "/tmp/peftlab-fuzz-checkpoint-%d", (int)getpid());
    char *dir = xasprintf("%s/checkpoints/00000005", run);
    char *manifest = fs_join(dir, "manifest.json"), *file = fs_join(dir, "state.bin");
    if (fs_mkdirs(dir, NULL) < 0)
        abort();
    FILE *f = fopen(manifest, "w"), *g = fopen(file, "w");
    if (!f || !g || fwrite(data, 1, size, f) != size || fclose(f) != 0 ||
        fwrite(state, 1, 8, g) != 8 || fclose(g) != 0)
        abort();
    pieces_add(&pieces, "trainable", state, sizeof state, false);
    const int rc = checkpoint_resume(open_once(), &pieces, run, true, &c, &e);
    if (rc == 1 || (rc < 0 && e.code != ERR_CONFIG)) /* there is no trace it could fit */
        abort();
    checkpoint_release(&c);
    pieces_release(&pieces);
    free(manifest);
    free(file);
    free(dir);
    fs_remove_tree(run, NULL);
    return 0;
}
