/* tests/unit/support/golden_model.h - models of tests/golden with another config.json. */
#ifndef TESTS_SUPPORT_GOLDEN_MODEL_H
#define TESTS_SUPPORT_GOLDEN_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* DIR/NAME: the weights of a golden model, its config.json with `change` (JSON) put in. */
static void golden_model(const char *dir, const char *folder, const char *name,
                         const char *change)
{
    struct err err = ERR_INIT;
    char *from = xasprintf("tests/golden/models/%s", folder), *to = fs_join(dir, name);
    char *absolute = fs_absolute(from);
    fs_remove_tree(to, NULL);
    assert_int_equal(fs_mkdirs(to, &err), 0);
    DIR *d = opendir(from);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char *file = fs_join(absolute, e->d_name), *link = fs_join(to, e->d_name);
        if (e->d_name[0] != '.' && !str_eq(e->d_name, "config.json"))
            assert_int_equal(symlink(file, link), 0);
        free(file);
        free(link);
    }
    closedir(d);
    char *path = fs_join(from, "config.json"), *out = fs_join(to, "config.json");
    json_t *config = json_read_file(path, &err),
           *changes = json_parse(change, strlen(change), "change", &err);
    assert_non_null(changes);
    json_object_update(config, changes);
    assert_int_equal(json_write_file(out, config, 2, &err), 0);
    json_decref(config);
    json_decref(changes);
    free(path), free(out), free(from), free(to), free(absolute);
}

#endif
