/* tests/unit/runner/cache/cache.c - the folder of entries that processes share: made once,
 * whole or not there, bounded, and never needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/cache/cache.h"
#include "runner/cache/entries.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL = 1 << 12, LARGE = 3 << 20, WORKERS = 4 };

static char dir[64];
static int *makes; /* of all processes */

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-cache-XXXXXX");
    assert_non_null(mkdtemp(dir));
    strcat(dir, "/made"); /* with its first entry */
    setenv("PEFTLAB_CACHE", dir, 1);
    unsetenv("PEFTLAB_CACHE_BYTES");
    makes = mmap(NULL, sizeof *makes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    assert_true(makes != MAP_FAILED);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char *above = fs_dirname(dir);
    munmap(makes, sizeof *makes);
    assert_int_equal(fs_remove_tree(above, NULL), 0);
    free(above);
    return 0;
}

struct filling {
    size_t bytes;
    int seed, code;
    void (*also)(void);
};

static unsigned char value_at(size_t i, int seed)
{
    return (unsigned char)((i * 2654435761u >> 16) + (size_t)seed);
}

static int fill(void *ctx, void *dst, struct err *err)
{
    const struct filling *f = ctx;
    unsigned char *p = dst;
    (void)err;
    __atomic_fetch_add(makes, 1, __ATOMIC_SEQ_CST);
    for (size_t i = 0; i < f->bytes; i++)
        p[i] = value_at(i, f->seed);
    if (f->also)
        f->also();
    return f->code;
}

/* Takes it and looks at every byte. */
static bool take(struct cache *c, const char *key, struct filling f,
                 struct cache_entry *out)
{
    struct err err = ERR_INIT;
    assert_int_equal(cache_take(c, "test", key, f.bytes, fill, &f, out, &err), 0);
    for (size_t i = 0; i < f.bytes; i++)
        if (((unsigned char *)out->data)[i] != value_at(i, f.seed))
            fail_msg("%s: byte %zu", key, i);
    return out->mapped;
}

static bool take_small(struct cache *c, const char *key, int seed)
{
    struct cache_entry e;
    const bool mapped = take(c, key, (struct filling){SMALL, seed, 0, NULL}, &e);
    cache_entry_release(&e);
    return mapped;
}

/* Entries and parts in the folder, and the first one's path. */
static size_t count_files(char **first)
{
    struct cache_file *files;
    const size_t count = cache_folder_list(dir, &files);
    if (first)
        *first = count ? xstrdup(files[0].path) : NULL;
    cache_folder_free(files, count);
    return count;
}

static void wait_for(pid_t pid, int signal)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (signal)
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signal);
    else
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* First, before this process has threads. */
static void test_workers_make_it_once(void **state)
{
    pid_t pids[WORKERS];
    int gate[2];
    char word;
    (void)state;
    assert_int_equal(pipe(gate), 0);
    for (int i = 0; i < WORKERS; i++)
        if (!(pids[i] = fork())) {
            struct cache_entry e;
            close(gate[1]);
            if (read(gate[0], &word, 1) != 0) /* all at once, when it is closed */
                _exit(2);
            struct cache *c = cache_open();
            const bool mapped = take(c, "k", (struct filling){LARGE, 3, 0, NULL}, &e);
            _exit(mapped ? 0 : 1);
        }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < WORKERS; i++)
        wait_for(pids[i], 0);
    assert_int_equal(*makes, 1);
    assert_int_equal(count_files(NULL), 1);
}

/* Until the other one comes, and some time for him to wait at the part. */
static void wait_for_the_other(void)
{
    while (__atomic_load_n(makes, __ATOMIC_SEQ_CST) < 2)
        usleep(1000);
    usleep(200000);
}

/* Who made it goes on with its mapping, for hours: others have it as soon as it is there. */
static void test_not_held_up_by_who_uses_it(void **state)
{
    (void)state;
    const pid_t pid = fork();
    if (!pid) {
        struct cache_entry e;
        alarm(60); /* less than the other would wait */
        if (take(cache_open(), "a", (struct filling){SMALL, 1, 0, wait_for_the_other},
                 &e))
            pause();
        _exit(1);
    }
    while (!__atomic_load_n(makes, __ATOMIC_SEQ_CST))
        usleep(1000);
    __atomic_fetch_add(makes, 1, __ATOMIC_SEQ_CST);
    struct cache *c = cache_open();
    assert_true(take_small(c, "a", 1));
    assert_int_equal(*makes, 2);                      /* made once, and counted here */
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it lives, and uses it */
    cache_close(c);
    kill(pid, SIGKILL);
    wait_for(pid, SIGKILL);
}

static void test_found_again(void **state)
{
    struct cache_entry a, b;
    struct cache *c = cache_open();
    (void)state;
    assert_false(cache_holds(c, "test", "k"));
    assert_true(take(c, "k", (struct filling){LARGE, 1, 0, NULL}, &a));
    assert_true(cache_holds(c, "test", "k"));
    assert_false(cache_holds(c, "other", "k"));
    assert_true(take(c, "k", (struct filling){LARGE, 1, 0, NULL}, &b));
    assert_int_equal(*makes, 1);
    assert_true(take_small(c, "l", 2)); /* another key */
    assert_int_equal(*makes, 2);
    /* what its owner writes is his alone */
    assert_int_equal(cache_entry_own(&a, NULL), 0);
    memset(a.data, 0, a.bytes);
    cache_entry_release(&a);
    assert_true(take(c, "k", (struct filling){LARGE, 1, 0, NULL}, &a));
    /* whoever removes it takes it from nobody */
    assert_int_equal(fs_remove_tree(dir, NULL), 0);
    assert_int_equal(((unsigned char *)b.data)[LARGE - 1], value_at(LARGE - 1, 1));
    cache_entry_release(&a);
    cache_entry_release(&b);
    cache_close(c);
}

/* The bytes, the trailer, the length. */
static void test_damaged_is_made_again(void **state)
{
    const long at[] = {0, SMALL - 1, SMALL + 3, SMALL + 20, SMALL + 90, -1};
    struct cache *c = cache_open();
    char *path, byte;
    (void)state;
    assert_true(take_small(c, "k", 1));
    assert_int_equal(count_files(&path), 1);
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        const int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(pread(fd, &byte, 1, at[i] < 0 ? 0 : at[i]), 1);
        byte ^= 0x10;
        if (at[i] < 0)
            assert_int_equal(ftruncate(fd, SMALL), 0);
        else
            assert_int_equal(pwrite(fd, &byte, 1, at[i]), 1);
        close(fd);
        assert_true(take_small(c, "k", 1));
        assert_int_equal(*makes, 2 + (int)i);
        assert_true(take_small(c, "k", 1));
        assert_int_equal(*makes, 2 + (int)i);
    }
    assert_int_equal(count_files(NULL), 1);
    free(path);
    cache_close(c);
}

static void kill_me(void)
{
    raise(SIGKILL);
}

static void die_writing(void)
{
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){SMALL / 2, SMALL / 2}); /* SIGXFSZ */
}

static void test_killed_while_it_is_made(void **state)
{
    const struct {
        void (*when)(void);
        int signal;
    } kills[] = {{kill_me, SIGKILL}, {die_writing, SIGXFSZ}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kills); i++) {
        char *path;
        const pid_t pid = fork();
        if (!pid) {
            struct cache_entry e;
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            take(cache_open(), "k", (struct filling){SMALL, 1, 0, kills[i].when}, &e);
            _exit(0);
        }
        wait_for(pid, kills[i].signal);
        assert_int_equal(count_files(&path), 1);
        assert_true(str_has_suffix(path, CACHE_PART));
        json_t *left = cache_garbage(false);
        assert_int_equal(json_array_size(left), 1);
        json_decref(left);
        struct cache *c = cache_open();
        assert_true(take_small(c, "k", 1));
        assert_int_equal(count_files(NULL), 1);
        left = cache_garbage(false);
        assert_int_equal(json_array_size(left), 0);
        json_decref(left);
        assert_int_equal(fs_remove_tree(dir, NULL), 0);
        free(path);
        cache_close(c);
    }
}

static void look_for_garbage(void)
{
    json_t *left = cache_garbage(true);
    assert_int_equal(json_array_size(left), 0);
    json_decref(left);
    assert_int_equal(count_files(NULL), 1);
}

static void test_being_made_is_no_garbage(void **state)
{
    struct cache *c = cache_open();
    struct cache_entry e;
    (void)state;
    assert_true(take(c, "k", (struct filling){SMALL, 1, 0, look_for_garbage}, &e));
    cache_entry_release(&e);
    json_t *all = cache_garbage(true);
    assert_int_equal(json_array_size(all), 1);
    json_decref(all);
    cache_close(c);
}

/* What was used longest ago goes, but nothing that this process uses. */
static void test_bound(void **state)
{
    char name[8];
    (void)state;
    setenv("PEFTLAB_CACHE_BYTES", "33000", 1); /* four entries of 8 KiB on disk */
    for (int i = 0; i < 4; i++) {
        struct cache *c = cache_open();
        usleep(20000); /* past the grain of the clock of files */
        snprintf(name, sizeof name, "k%d", i);
        assert_true(take_small(c, name, i));
        cache_close(c);
    }
    usleep(20000);
    struct cache *c = cache_open();
    usleep(20000);
    assert_true(take_small(c, "k0", 0)); /* used again */
    assert_int_equal(*makes, 4);
    assert_true(take_small(c, "k4", 4));
    assert_true(cache_holds(c, "test", "k0"));
    assert_false(cache_holds(c, "test", "k1"));
    assert_true(cache_holds(c, "test", "k2"));
    assert_true(take_small(c, "k5", 5));
    assert_true(take_small(c, "k6", 6));
    assert_false(take_small(c, "k7", 7)); /* the others are its own */
    assert_int_equal(count_files(NULL), 4);
    assert_true(cache_has_room(c, 33000));
    assert_false(cache_has_room(c, 33001));
    cache_close(c);
}

static void test_goes_on_without(void **state)
{
    struct rlimit was;
    char *below;
    (void)state;
    assert_false(take_small(NULL, "k", 1));
    setenv("PEFTLAB_CACHE", "off", 1);
    assert_null(cache_open());
    /* a folder that cannot be made */
    assert_int_equal(fs_write_atomic(dir, "", 0, NULL), 0);
    below = fs_join(dir, "below");
    setenv("PEFTLAB_CACHE", below, 1);
    free(below);
    struct cache *c = cache_open();
    assert_false(take_small(c, "k", 1));
    cache_close(c);
    assert_int_equal(unlink(dir), 0);
    /* a disk that is full */
    setenv("PEFTLAB_CACHE", dir, 1);
    c = cache_open();
    assert_true(take_small(c, "k", 1));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){SMALL / 2, was.rlim_max});
    assert_false(take_small(c, "l", 1));
    setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(count_files(NULL), 1);
    /* an error of its maker */
    struct filling f = {SMALL, 1, -ERR_IO, NULL};
    struct cache_entry e;
    assert_int_equal(cache_take(c, "test", "m", SMALL, fill, &f, &e, NULL), -ERR_IO);
    f.code = 1; /* not to be kept */
    assert_false(take(c, "m", f, &e));
    cache_entry_release(&e);
    assert_int_equal(count_files(NULL), 1);
    cache_close(c);
}

static void test_no_home(void **state)
{
    char *home = getenv("HOME") ? xstrdup(getenv("HOME")) : NULL, *found;
    (void)state;
    unsetenv("PEFTLAB_CACHE");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/somebody", 1);
    found = cache_folder_find();
    assert_string_equal(found, "/somebody/.cache/peftlab");
    free(found);
    setenv("XDG_CACHE_HOME", "/elsewhere", 1);
    found = cache_folder_find();
    assert_string_equal(found, "/elsewhere/peftlab");
    free(found);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_null(cache_open());
    if (home)
        setenv("HOME", home, 1);
    free(home);
}

static void hash_of(struct cache *c, const char *path, char hex[SHA256_HEX])
{
    struct fs_stamp stamp;
    char right[SHA256_HEX];
    assert_true(fs_stamp(path, &stamp));
    assert_int_equal(cache_file_hash(c, path, &stamp, hex, NULL), 0);
    assert_int_equal(sha256_file(path, right, NULL), 0);
    assert_string_equal(hex, right);
}

static void test_file_hash(void **state)
{
    struct cache *c = cache_open();
    struct fs_stamp old;
    char *above = fs_dirname(dir), *fresh = fs_join(above, "fresh"), hex[SHA256_HEX];
    (void)state;
    hash_of(c, "/bin/sh", hex); /* long there: remembered */
    assert_int_equal(count_files(NULL), 1);
    hash_of(c, "/bin/sh", hex);
    assert_int_equal(count_files(NULL), 1);
    /* whose next change the clock might not show */
    assert_int_equal(fs_write_atomic(fresh, "one", 3, NULL), 0);
    hash_of(c, fresh, hex);
    assert_true(fs_stamp(fresh, &old));
    assert_int_equal(count_files(NULL), 1);
    assert_int_equal(fs_write_atomic(fresh, "two", 3, NULL), 0);
    hash_of(c, fresh, hex);
    /* another file than the one that was opened */
    assert_true(cache_file_hash(c, fresh, &old, hex, NULL) < 0);
    assert_int_equal(cache_file_hash(c, fresh, NULL, hex, NULL), 0);
    assert_int_equal(unlink(fresh), 0);
    assert_int_equal(cache_file_hash(c, fresh, NULL, hex, NULL), -ERR_NOINPUT);
    free(fresh);
    free(above);
    cache_close(c);
}

/* Files of others in the folder are not touched. */
static void test_only_its_own(void **state)
{
    struct cache *c = cache_open();
    char *foreign = fs_join(dir, "notes.txt");
    (void)state;
    assert_true(take_small(c, "k", 1));
    assert_int_equal(fs_write_atomic(foreign, "x", 1, NULL), 0);
    json_t *all = cache_garbage(true), *facts = cache_facts();
    assert_int_equal(json_array_size(all), 1);
    assert_int_equal(json_integer_value(json_object_get(facts, "entries")), 1);
    assert_string_equal(json_string_value(json_object_get(facts, "folder")), dir);
    json_decref(all);
    json_decref(facts);
    free(foreign);
    cache_close(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_workers_make_it_once),
        TEST(test_not_held_up_by_who_uses_it),
        TEST(test_found_again),
        TEST(test_damaged_is_made_again),
        TEST(test_killed_while_it_is_made),
        TEST(test_being_made_is_no_garbage),
        TEST(test_bound),
        TEST(test_goes_on_without),
        TEST(test_no_home),
        TEST(test_file_hash),
        TEST(test_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
