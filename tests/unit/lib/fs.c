/* Files: reading with a ceiling, atomic writes, maps, folders, paths. */
#include "lib/fs.h"
#include "lib/mem.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char *folder;

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    folder = xasprintf("%s/lib_fs-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    int rc = fs_remove_tree(folder, NULL);
    rc |= fs_exists(folder);
    free(folder);
    return rc;
}

static char *in(const char *name)
{
    return fs_join(folder, name);
}

static size_t files_in(const char *path)
{
    size_t n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void write_and_read(void **state)
{
    (void)state;
    char *path = in("a.txt");
    struct err err = ERR_INIT;
    struct buf b = BUF_INIT;
    assert_int_equal(fs_write_atomic(path, "old text", 8, &err), 0);
    assert_int_equal(fs_write_atomic(path, "new", 3, &err), 0);
    assert_int_equal(fs_read(path, 3, &b, &err), 0);
    assert_string_equal(buf_str(&b), "new");
    assert_int_equal(fs_size(path), 3);
    assert_int_equal(files_in(folder), 1); /* no temp file is left */
    buf_clear(&b);
    assert_int_equal(fs_read(path, 2, &b, &err), -ERR_PARSE);
    assert_non_null(strstr(err.msg, "larger than 2 bytes"));
    struct stat st;
    mode_t mask = umask(022);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
    buf_release(&b);
    unlink(path);
    free(path);
}

static void write_parts(void **state)
{
    (void)state;
    char *path = in("parts");
    struct err err = ERR_INIT;
    struct buf b = BUF_INIT;
    const struct fs_part parts[] = {{"one ", 4}, {NULL, 0}, {"two", 3}};
    assert_int_equal(fs_write_atomic_parts(path, parts, 3, &err), 0);
    assert_int_equal(fs_read(path, 100, &b, &err), 0);
    assert_string_equal(buf_str(&b), "one two");
    buf_release(&b);
    unlink(path);
    free(path);
}

static void failed_write_leaves_nothing(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char *path = in("no/such/folder/x");
    assert_int_equal(fs_write_atomic(path, "x", 1, &err), -ERR_IO);
    assert_non_null(strstr(err.msg, path));
    free(path);
    /* The rename onto a folder fails after everything was written. */
    path = in("busy");
    assert_int_equal(mkdir(path, 0777), 0);
    err_clear(&err);
    assert_int_equal(fs_write_atomic(path, "x", 1, &err), -ERR_IO);
    assert_int_equal(files_in(folder), 1);
    rmdir(path);
    free(path);
}

/* Piece by piece: nothing is seen before the end, and what was there stays when it is not
 * reached. */
static void write_in_pieces(void **state)
{
    (void)state;
    char *path = in("pieces");
    struct err err = ERR_INIT;
    struct buf b = BUF_INIT;
    struct fs_writer *w;
    for (int ends = 0; ends < 2; ends++) {
        assert_int_equal(fs_write_atomic(path, "old", 3, &err), 0);
        assert_int_equal(fs_writer_begin(path, &w, &err), 0);
        assert_int_equal(fs_writer_add(w, "one ", 4, &err), 0);
        assert_int_equal(fs_writer_add(w, "two", 3, &err), 0);
        assert_int_equal(fs_size(path), 3);
        if (ends)
            assert_int_equal(fs_writer_finish(w, &err), 0);
        else
            fs_writer_abandon(w);
        buf_clear(&b);
        assert_int_equal(fs_read(path, 100, &b, &err), 0);
        assert_string_equal(buf_str(&b), ends ? "one two" : "old");
        assert_int_equal(files_in(folder), 1);
    }
    fs_writer_abandon(NULL);
    buf_release(&b);
    unlink(path);
    free(path);
}

/* A full disk, as the limit of a file's size shows it: the first failure stays. */
static void full_disk(void **state)
{
    (void)state;
    char *path = in("full"), block[1000] = "";
    struct err err = ERR_INIT;
    struct fs_writer *w;
    struct rlimit old, few;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    few = (struct rlimit){1500, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    assert_int_equal(fs_writer_begin(path, &w, &err), 0);
    assert_int_equal(fs_writer_add(w, block, sizeof block, &err), 0);
    assert_int_equal(fs_writer_add(w, block, sizeof block, &err), -ERR_IO);
    assert_int_equal(fs_writer_add(w, block, 1, NULL), -ERR_IO);
    assert_int_equal(fs_writer_finish(w, NULL), -ERR_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(files_in(folder), 0);
    free(path);
}

static void missing_input(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct buf b = BUF_INIT;
    struct fs_map m;
    char *path = in("missing");
    assert_int_equal(fs_read(path, 10, &b, &err), -ERR_NOINPUT);
    assert_non_null(strstr(err.msg, "missing"));
    err_clear(&err);
    assert_int_equal(fs_map(path, &m, &err), -ERR_NOINPUT);
    err_clear(&err);
    assert_int_equal(fs_read(folder, 10, &b, &err), -ERR_NOINPUT);
    assert_non_null(strstr(err.msg, "is a folder"));
    assert_int_equal(fs_size(path), -1);
    assert_false(fs_exists(path) || fs_is_dir(path));
    free(path);
}

static void maps(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct fs_map m;
    char *path = in("map");
    assert_int_equal(fs_write_atomic(path, "bytes", 5, &err), 0);
    assert_int_equal(fs_map(path, &m, &err), 0);
    assert_int_equal(m.size, 5);
    assert_memory_equal(m.data, "bytes", 5);
    fs_unmap(&m);
    assert_null(m.data);
    fs_unmap(&m);
    assert_int_equal(fs_write_atomic(path, "", 0, &err), 0);
    assert_int_equal(fs_map(path, &m, &err), 0); /* an empty file maps to no bytes */
    assert_int_equal(m.size, 0);
    assert_non_null(m.data);
    fs_unmap(&m);
    unlink(path);
    free(path);
}

static void folders(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char *deep = in("x/y//z/"), *top = in("x"), *file = in("x/y/file"),
         *below = in("x/y/file/sub"), *link = in("x/link"), *kept = in("kept");
    assert_int_equal(fs_mkdirs(deep, &err), 0);
    assert_int_equal(fs_mkdirs(deep, &err), 0);
    assert_true(fs_is_dir(deep));
    assert_int_equal(fs_write_atomic(file, "1", 1, &err), 0);
    assert_int_equal(fs_mkdirs(below, &err), -ERR_IO);
    err_clear(&err);
    /* A link out of the tree is removed, not followed. */
    assert_int_equal(fs_write_atomic(kept, "1", 1, &err), 0);
    assert_int_equal(symlink(folder, link), 0);
    assert_int_equal(fs_remove_tree(top, &err), 0);
    assert_false(fs_exists(top));
    assert_true(fs_exists(kept));
    assert_int_equal(fs_remove_tree(top, &err), 0); /* gone already is fine */
    unlink(kept);
    char *const all[] = {deep, top, file, below, link, kept};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free(all[i]);
}

/* A folder NAME with a file that says `text`. */
static char *made(const char *name, const char *text)
{
    char *dir = in(name), *file = fs_join(dir, "x");
    assert_int_equal(fs_mkdirs(dir, NULL), 0);
    assert_int_equal(fs_write_atomic(file, text, strlen(text), NULL), 0);
    free(file);
    return dir;
}

static void says(const char *dir, const char *text)
{
    struct buf b = BUF_INIT;
    char *file = fs_join(dir, "x");
    assert_int_equal(fs_read(file, 100, &b, NULL), 0);
    assert_string_equal(buf_str(&b), text);
    buf_release(&b);
    free(file);
}

static void replaced_folders(void **state)
{
    (void)state;
    char *to = in("r/to"), *old = in("r/to.old");
    char *from = made("r/from", "first");
    assert_int_equal(fs_replace_folder(from, to, NULL), 0); /* nothing is there */
    says(to, "first");
    free(made("r/from", "second"));
    assert_int_equal(fs_replace_folder(from, to, NULL), 0);
    says(to, "second");
    assert_false(fs_exists(from));
    /* what a kill leaves where names cannot be exchanged: before and after the new name */
    free(made("r/to.old", "older"));
    assert_int_equal(fs_folder_recover(to, NULL), 0);
    says(to, "second");
    assert_false(fs_exists(old));
    assert_int_equal(fs_rename(to, old, NULL), 0);
    assert_int_equal(fs_folder_recover(to, NULL), 0);
    says(to, "second");
    assert_int_equal(fs_remove_tree(to, NULL), 0);
    free(made("r/to.old", "third"));
    free(made("r/from", "fourth"));
    assert_int_equal(fs_replace_folder(from, to, NULL), 0);
    says(to, "fourth");
    assert_int_equal(files_in(to), 1);
    free(to);
    free(old);
    free(from);
}

static void check_path(char *got, const char *expected)
{
    assert_string_equal(got, expected);
    free(got);
}

static void paths(void **state)
{
    (void)state;
    check_path(fs_join("a", "b"), "a/b");
    check_path(fs_join("a/", "b"), "a/b");
    check_path(fs_join("a", "/b"), "/b");
    check_path(fs_join("", "b"), "b");
    check_path(fs_dirname("a"), ".");
    check_path(fs_dirname("a/b/c"), "a/b");
    check_path(fs_dirname("a/b/"), "a");
    check_path(fs_dirname("/a"), "/");
    check_path(fs_dirname("/"), "/");
    check_path(fs_absolute("/a/./b//../c/"), "/a/c");
    check_path(fs_absolute("/../.."), "/");
    char *cwd = getcwd(NULL, 0);
    char *expected = fs_join(cwd, "q");
    check_path(fs_absolute("p/../q"), expected);
    free(expected);
    free(cwd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_and_read),
        cmocka_unit_test(write_parts),
        cmocka_unit_test(failed_write_leaves_nothing),
        cmocka_unit_test(write_in_pieces),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(missing_input),
        cmocka_unit_test(maps),
        cmocka_unit_test(folders),
        cmocka_unit_test(paths),
        cmocka_unit_test(replaced_folders),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
