/* tests/fuzz/replay.c - runs a fuzz target over files, without libFuzzer.
 *
 *   fuzz_NAME FILE|FOLDER...
 *
 * One TAP test in all: it is done when no input crashes. Each file is announced before it
 * is run, and the last one announced is the culprit. The empty input comes first. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t runs;

static void die(const char *path)
{
    printf("Bail out! %s: %s\n", path, strerror(errno));
    exit(2);
}

/* The input lies at the end of a block of its own, so that a sanitizer sees a read past
 * it. */
static void run_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1);
    if (!f || !data || fread(data, 1, size, f) != size)
        die(path);
    fclose(f);
    printf("# %s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    runs++;
}

static void run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        die(path);
    if (!S_ISDIR(st.st_mode)) {
        run_file(path, (size_t)st.st_size);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        die(path);
    for (int i = 0; i < count; i++) {
        char child[4096];
        if (entries[i]->d_name[0] != '.' &&
            snprintf(child, sizeof child, "%s/%s", path, entries[i]->d_name) <
                (int)sizeof child)
            run_path(child);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("1..1");
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    printf("%sok 1 - %zu inputs\n", runs ? "" : "not ", runs);
    return runs ? 0 : 1;
}
