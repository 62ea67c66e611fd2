/* tests/unit/lib/os/beneath.c - what is named from outside stays below its folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/beneath.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *root, *outside;
static int dir;

static int open_root(void **state)
{
    (void)state;
    root = fs_temp_folder("beneath", NULL);
    outside = fs_temp_folder("outside", NULL);
    dir = open(root, O_RDONLY | O_DIRECTORY);
    return dir < 0;
}

static int close_root(void **state)
{
    (void)state;
    close(dir);
    fs_remove_tree(root, NULL);
    fs_remove_tree(outside, NULL);
    free(root);
    free(outside);
    return 0;
}

static char *write_file(const char *folder, const char *name, const char *text)
{
    char *path = fs_join(folder, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
    return path;
}

static int open_one(const char *path)
{
    bool is_folder;
    uint64_t size;
    return beneath_open(dir, path, &is_folder, &size);
}

static void test_paths(void **state)
{
    static const char *const good[] = {"", "a", "a/b", "..a", ".a/a..", "..."},
                             *const bad[] = {"/",  "/a",     "a/",  "a//b", ".",
                                             "..", "a/../b", "a/.", "./a"};
    char *longest = xcalloc(257, 1);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(beneath_is_path(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(beneath_is_path(bad[i]));
    memset(longest, 'a', 255);
    assert_true(beneath_is_path(longest));
    longest[255] = 'a';
    assert_false(beneath_is_path(longest));
    free(longest);
}

static void test_files_are_placed_and_read(void **state)
{
    bool is_folder;
    uint64_t size;
    char bytes[8] = "";
    char *from = write_file(outside, "one", "hello");
    (void)state;
    assert_int_equal(beneath_place(dir, "a/b/c", from), 0);
    assert_false(fs_exists(from));
    int fd = beneath_open(dir, "a/b/c", &is_folder, &size);
    assert_true(fd >= 0 && !is_folder && size == 5);
    assert_int_equal(read(fd, bytes, sizeof bytes), 5);
    assert_string_equal(bytes, "hello");
    close(fd);
    fd = beneath_open(dir, "a/b", &is_folder, &size);
    assert_true(fd >= 0 && is_folder);
    close(fd);
    free(write_file(outside, "one", "again"));
    assert_int_equal(beneath_place(dir, "a/b/c", from), 0); /* replaces */
    free(write_file(outside, "one", "again"));
    assert_int_equal(beneath_place(dir, "a/b", from), -1); /* no folder */
    assert_int_equal(errno, EISDIR);
    assert_int_equal(beneath_place(dir, "a/b/c/d", from), -1);
    assert_int_equal(errno, ENOTDIR);
    assert_true(fs_exists(from));
    assert_int_equal(open_one("a/x"), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(beneath_remove(dir, "a/b/c"), 0);
    assert_int_equal(open_one("a/b/c"), -1);
    assert_int_equal(beneath_remove(dir, "a"), 0);
    assert_int_equal(beneath_remove(dir, "a"), -1);
    free(from);
}

static void link_to(const char *what, const char *name)
{
    char *path = fs_join(root, name);
    assert_int_equal(symlink(what, path), 0);
    free(path);
}

static void test_links_do_not_lead_away(void **state)
{
    (void)state;
    char *secret = write_file(outside, "secret", "x"),
         *from = write_file(outside, "from", "y"), *up, *fifo = fs_join(root, "fifo");
    free(write_file(root, "inside", "z"));
    up = xasprintf("../%s/secret", strrchr(outside, '/') + 1);
    link_to(secret, "file");
    link_to(outside, "folder");
    link_to(up, "up");
    link_to("/proc/self/root", "magic");
    assert_int_equal(open_one("file"), -1);
    assert_int_equal(open_one("folder/secret"), -1);
    assert_int_equal(open_one("folder"), -1);
    assert_int_equal(open_one("up"), -1);
    assert_int_equal(open_one("magic/etc/passwd"), -1);
    assert_int_equal(beneath_place(dir, "folder/new", from), -1);
    assert_int_equal(beneath_remove(dir, "folder/secret"), -1);
    assert_true(fs_exists(secret));
    assert_int_equal(beneath_place(dir, "file", from), 0); /* the link itself goes */
    const int fd = open_one("file");
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(beneath_remove(dir, "folder"), 0);
    assert_true(fs_exists(secret));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(open_one("fifo"), -1);
    assert_int_equal(errno, EINVAL);
    free(secret);
    free(from);
    free(up);
    free(fifo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_files_are_placed_and_read),
        cmocka_unit_test(test_links_do_not_lead_away),
    };
    return cmocka_run_group_tests(tests, open_root, close_root);
}
