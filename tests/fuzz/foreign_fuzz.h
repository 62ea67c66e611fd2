/* tests/fuzz/foreign_fuzz.h - files of other trackers out of what a fuzzer says.
 *
 * An input whose first byte is 0 is a file as it stands. Otherwise it is a row of records,
 * each behind its length (two bytes), which get the right checksums: no fuzzer guesses
 * those. Whatever it is, a reader ends without a fault, and what it hands to the store is
 * never something that the store must refuse as malformed. */
#ifndef TESTS_FUZZ_FOREIGN_FUZZ_H
#define TESTS_FUZZ_FOREIGN_FUZZ_H

#include "lib/fs.h"
#include "lib/wire/crc.h"
#include "tracker/foreign/foreign.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef void fuzz_put_record(struct buf *file, const uint8_t *data, size_t size);

static inline void fuzz_little(struct buf *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_char(out, (char)(v >> 8 * i & 0xff));
}

static inline void fuzz_make_file(struct buf *file, const uint8_t *data, size_t size,
                                  fuzz_put_record *put)
{
    if (data[0] == 0) {
        buf_clear(file); /* the head that the caller put there is the input's affair */
        buf_add(file, data + 1, size - 1);
        return;
    }
    for (size_t at = 1; size - at >= 2;) {
        size_t n = data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        n = n > size - at ? size - at : n;
        put(file, data + at, n);
        at += n;
    }
}

static inline struct store *fuzz_store(const char *tracker)
{
    static struct store *s;
    char path[64];
    if (s)
        return s;
    snprintf(path, sizeof path, "/tmp/peftlab-fuzz-%s-%d.db", tracker, (int)getpid());
    if (store_open(path, STORE_CREATE, &s, NULL) < 0)
        abort();
    unlink(path);
    return s;
}

static inline void fuzz_put_file(const char *dir, const char *name, const void *data,
                                 size_t size)
{
    char *path = fs_join(dir, name), *folder = fs_dirname(path);
    FILE *out = fs_mkdirs(folder, NULL) < 0 ? NULL : fopen(path, "wb");
    if (!out || fwrite(data, 1, size, out) != size || fclose(out))
        abort();
    free(folder);
    free(path);
}

/* Into a store that forgets it. May it say "bad input"? */
static inline void fuzz_import(const char *path, const char *tracker, bool may_refuse)
{
    struct err err = ERR_INIT;
    struct import in;
    struct foreign f = {&in, NULL, NULL};
    if (import_begin(&in, fuzz_store(tracker), NULL) < 0)
        abort();
    const int rc = foreign_find(tracker)->read(&f, path, &err);
    if (rc < 0 &&
        (!err.msg[0] || err.code == ERR_BUG || (err.code == ERR_PARSE && !may_refuse))) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    (void)import_end(&in, -1, NULL);
    json_decref(f.left_out);
}

static inline void fuzz_folder(char dir[64], const char *tracker)
{
    snprintf(dir, 64, "/tmp/peftlab-fuzz-%s-%d", tracker, (int)getpid());
}

/* Reads it as the tracker's file of that name. */
static inline void fuzz_read(const struct buf *file, const char *tracker,
                             const char *name, bool may_refuse)
{
    char dir[64];
    fuzz_folder(dir, tracker);
    fuzz_put_file(dir, name, buf_str(file), file->len);
    char *path = fs_join(dir, name);
    fuzz_import(path, tracker, may_refuse);
    free(path);
    fs_remove_tree(dir, NULL);
}

#endif
