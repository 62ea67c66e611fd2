/* Fuzzes MLflow's mlruns folder; see foreign_fuzz.h. The input is a run's meta.yaml, then,
 * each behind a NUL, a metric's lines, a parameter and a tag. */
#include "tests/fuzz/foreign_fuzz.h"
#include "tracker/foreign/foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"1/run/meta.yaml", "1/run/metrics/train/loss",
                                        "1/run/params/rank", "1/run/tags/mlflow.runName"};
    char dir[64];
    fuzz_folder(dir, "mlruns");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const uint8_t *end = size ? memchr(data, 0, size) : NULL;
        const size_t n = end ? (size_t)(end - data) : size;
        fuzz_put_file(dir, names[i], data, n);
        data += end ? n + 1 : n;
        size -= end ? n + 1 : n;
    }
    fuzz_import(dir, "mlruns", true);
    fs_remove_tree(dir, NULL);
    return 0;
}
