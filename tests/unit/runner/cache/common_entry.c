/* tests/unit/runner/cache/common_entry.c - entries that all who have them write to: one file,
 * zeroed, seen by all; never without a place for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/fs.h"
#include "lib/mem.h"
#include "runner/cache/cache.h"
#include "runner/cache/entries.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 3 << 14, WORKERS = 4 };

static char dir[64];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-common-XXXXXX");
    assert_non_null(mkdtemp(dir));
    setenv("PEFTLAB_CACHE", dir, 1);
    unsetenv("PEFTLAB_CACHE_BYTES");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* The one file there; the caller frees it. */
static char *the_file(void)
{
    struct cache_file *files;
    const size_t count = cache_folder_list(dir, &files);
    assert_int_equal(count, 1);
    char *path = xstrdup(files[0].path);
    cache_folder_free(files, count);
    return path;
}

static bool take(struct cache *c, const char *key, struct cache_entry *out)
{
    return cache_take_common(c, "rows", key, BYTES, out);
}

static bool is_zero(const struct cache_entry *e)
{
    const char *p = e->data;
    for (size_t i = 0; i < e->bytes; i++)
        if (p[i])
            return false;
    return true;
}

static void test_seen_by_all(void **state)
{
    struct cache *a = cache_open(), *b = cache_open();
    struct cache_entry x, y, other;
    (void)state;
    assert_true(take(a, "k", &x));
    assert_true(x.mapped && x.bytes == BYTES && is_zero(&x));
    strcpy(x.data, "from one");
    assert_true(take(b, "k", &y));
    assert_string_equal(y.data, "from one");
    strcpy((char *)y.data + BYTES / 2, "from the other");
    assert_string_equal((char *)x.data + BYTES / 2, "from the other");
    assert_true(take(a, "l", &other));
    assert_true(is_zero(&other));
    cache_entry_release(&other);
    cache_entry_release(&x);
    cache_entry_release(&y);
    assert_true(take(a, "k", &x));
    assert_string_equal(x.data, "from one");
    cache_entry_release(&x);
    cache_close(a);
    cache_close(b);
}

/* Each writes its own part, some are killed behind it. */
static void test_workers(void **state)
{
    pid_t pids[WORKERS];
    struct cache *c = cache_open();
    struct cache_entry e;
    (void)state;
    for (int w = 0; w < WORKERS; w++) {
        pids[w] = fork();
        if (pids[w])
            continue;
        if (!take(c, "k", &e))
            _exit(1);
        memset((char *)e.data + w * (BYTES / WORKERS), w + 1, BYTES / WORKERS);
        if (w % 2)
            raise(SIGKILL);
        _exit(0);
    }
    for (int w = 0; w < WORKERS; w++) {
        int status;
        assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
        assert_true(w % 2 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                          : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_true(take(c, "k", &e));
    for (int i = 0; i < BYTES; i++)
        assert_int_equal(((char *)e.data)[i], i / (BYTES / WORKERS) + 1);
    cache_entry_release(&e);
    free(the_file());
    cache_close(c);
}

/* Of another length, or with another end: it is begun again. */
static void test_damaged(void **state)
{
    struct cache *c = cache_open();
    struct cache_entry e;
    struct stat st;
    (void)state;
    for (int how = 0; how < 3; how++) {
        assert_true(take(c, "k", &e));
        strcpy(e.data, "something");
        cache_entry_release(&e);
        char *path = the_file();
        assert_int_equal(stat(path, &st), 0);
        if (how == 2) {
            FILE *f = fopen(path, "r+b");
            fseek(f, -1, SEEK_END);
            fputc('?', f);
            fclose(f);
        } else {
            assert_int_equal(truncate(path, how ? st.st_size + 1 : BYTES), 0);
        }
        assert_true(take(c, "k", &e));
        assert_true(is_zero(&e));
        cache_entry_release(&e);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
    cache_close(c);
}

/* The folder's bound holds, and what was removed stays where it is mapped. */
static void test_bound(void **state)
{
    struct cache_entry x, y;
    (void)state;
    setenv("PEFTLAB_CACHE_BYTES", "60000", 1);
    struct cache *a = cache_open();
    assert_true(take(a, "k", &x));
    strcpy(x.data, "mine");
    assert_false(take(a, "l", &y)); /* the first is in use */
    assert_null(y.data);
    usleep(20000); /* past the grain of the clock of files */
    struct cache *b = cache_open();
    usleep(20000);
    assert_true(take(b, "l", &y));
    free(the_file());
    assert_string_equal(x.data, "mine");
    cache_entry_release(&x);
    cache_entry_release(&y);
    cache_close(a);
    cache_close(b);
    setenv("PEFTLAB_CACHE_BYTES", "1000", 1);
    struct cache *small = cache_open();
    assert_false(take(small, "k", &x));
    cache_close(small);
}

static void test_no_place(void **state)
{
    char *below = xasprintf("%s/file/below", dir), *file = fs_join(dir, "file");
    struct cache_entry e;
    (void)state;
    fclose(fopen(file, "w"));
    setenv("PEFTLAB_CACHE", below, 1);
    struct cache *c = cache_open();
    assert_false(take(c, "k", &e));
    cache_close(c);
    free(below);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_seen_by_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
