/* tests/unit/tracker/artifacts.c - files of runs as MLflow's clients name them. */
#include "tests/unit/tracker/fixture.h"
#include "tracker/mlflow/artifacts.h"
#include "tracker/store/upkeep.h"
#include <signal.h>
#include <sys/resource.h>

struct made {
    int64_t run;
    char *base; /* "7/RUN/artifacts" */
};

static struct made make_run(struct fixture *f)
{
    struct made m;
    const int64_t sweep = new_sweep(f->store, "s");
    add_trials(f->store, sweep, 1);
    m.run = claim_one(f->store, sweep, 60000).run;
    json_t *rows = query_rows(f->store, "SELECT id FROM store");
    m.base = xasprintf("7/%s%016llx/artifacts",
                       json_string_value(json_array_get(json_array_get(rows, 0), 0)),
                       (unsigned long long)m.run);
    json_decref(rows);
    return m;
}

static char *path_of(const struct made *m, const char *name)
{
    return xasprintf("%s/%s", m->base, name);
}

static void put(struct fixture *f, const struct made *m, const char *name,
                const char *text)
{
    char *uploads = mlflow_artifact_uploads(f->path), *from = fs_join(uploads, "x"),
         *path = path_of(m, name);
    OK(fs_mkdirs(uploads, err));
    OK(fs_write_atomic(from, text, strlen(text), err));
    OK(mlflow_artifact_place(f->store, path, from, err));
    OK(mlflow_artifact_log(f->store, path, err));
    assert_false(fs_exists(from));
    free(uploads);
    free(from);
    free(path);
}

static void assert_reads(struct fixture *f, const struct made *m, const char *name,
                         const char *text)
{
    char *path = path_of(m, name), bytes[64] = "";
    int fd;
    uint64_t size;
    OK(mlflow_artifact_open(f->store, path, &fd, &size, err));
    assert_int_equal(size, strlen(text));
    assert_int_equal(read(fd, bytes, sizeof bytes), strlen(text));
    assert_string_equal(bytes, text);
    close(fd);
    free(path);
}

static void assert_not_read(struct fixture *f, const struct made *m, const char *name,
                            enum err_code code)
{
    char *path = path_of(m, name);
    int fd;
    uint64_t size;
    FAILS(mlflow_artifact_open(f->store, path, &fd, &size, err), (int)code, "artifact");
    free(path);
}

static void assert_list(struct fixture *f, const char *path, const char *wanted)
{
    json_t *files;
    OK(mlflow_artifact_list(f->store, path, &files, err));
    char *got = json_dumps(files, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(got, wanted);
    free(got);
    json_decref(files);
}

static void test_paths_are_unescaped_until_nothing_changes(void **state)
{
    static const struct {
        const char *sent, *path; /* NULL: refused */
    } cases[] = {
        {"1/r/artifacts/a", "1/r/artifacts/a"},
        {"1//r/./artifacts/", "1/r/artifacts"},
        {"", ""},
        {"a/sub%20dir/f%2Fg", "a/sub dir/f/g"},
        {"a/caf%C3%A9", "a/caf\xc3\xa9"},
        {"100%", "100%"},
        {"a/..", NULL},
        {"../a", NULL},
        {"a/%2e%2e/b", NULL},
        {"a/%252e%252e%252fb", NULL},
        {"a/%25252525252525252525252e./b", NULL},
        {"/etc/passwd", NULL},
        {"%2fetc/passwd", NULL},
        {"C:/x", NULL},
        {"c%3a/x", NULL},
        {"a\\..\\b", NULL},
        {"a%5cb", NULL},
        {"a%00b", NULL},
        {"a%0ab", NULL},
        {"a%c2%85b", NULL},
        {"a%23b", NULL},
        {"a%ff", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *path = NULL;
        struct err e = ERR_INIT;
        const int rc = mlflow_artifact_path(cases[i].sent, &path, &e);
        if (cases[i].path && (rc || strcmp(path, cases[i].path) != 0))
            fail_msg("%s: %s", cases[i].sent, rc ? e.msg : path);
        if (!cases[i].path && rc != -ERR_CONFIG)
            fail_msg("%s is taken: %s", cases[i].sent, path);
        free(path);
    }
}

/* What is taken can be removed, and copied to another place, later. */
static void test_paths_have_an_end(void **state)
{
    enum { MOST = 48 };
    struct buf path = BUF_INIT;
    char *out;
    (void)state;
    for (int i = 0; i < MOST; i++)
        buf_str_add(&path, i ? "/a" : "a");
    OK(mlflow_artifact_path(buf_str(&path), &out, err));
    free(out);
    buf_str_add(&path, "/a");
    FAILS(mlflow_artifact_path(buf_str(&path), &out, err), ERR_CONFIG, "Invalid path");
    buf_clear(&path);
    while (path.len < 2050)
        buf_char(&path, path.len % 200 ? 'a' : '/');
    FAILS(mlflow_artifact_path(buf_str(&path) + 1, &out, err), ERR_CONFIG, "Invalid");
    buf_release(&path);
}

static void test_files_are_put_listed_read_and_removed(void **state)
{
    struct fixture *f = *state;
    struct made m = make_run(f);
    char *sub = path_of(&m, "sub dir"), *file = path_of(&m, "sub dir/b");
    assert_list(f, m.base, "[]");
    put(f, &m, "z", "last");
    put(f, &m, "sub dir/b", "bee");
    put(f, &m, "sub dir/b", "bees"); /* again */
    assert_reads(f, &m, "sub dir/b", "bees");
    assert_list(f, m.base,
                "[{\"is_dir\":true,\"path\":\"sub dir\"},{\"file_size\":4,\"is_dir\":"
                "false,\"path\":\"z\"}]");
    assert_list(f, sub, "[{\"file_size\":4,\"is_dir\":false,\"path\":\"b\"}]");
    assert_list(f, file, "[]");
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM artifact"), 2);
    assert_int_equal(
        query_int(f->store, "SELECT bytes FROM artifact WHERE name = 'sub dir/b'"), 4);
    assert_not_read(f, &m, "sub dir", ERR_CONFIG);
    assert_not_read(f, &m, "other", ERR_NOINPUT);
    assert_not_read(f, &m, "z/other", ERR_NOINPUT);
    OK(mlflow_artifact_remove(f->store, sub, err));
    OK(mlflow_artifact_forget(f->store, sub, err));
    FAILS(mlflow_artifact_remove(f->store, sub, err), ERR_NOINPUT, "sub dir");
    assert_list(f, sub, "[]");
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM artifact"), 1);
    free(sub);
    free(file);
    free(m.base);
}

/* Two clients put and remove the same: rows say what is there in the end. */
static void test_rows_are_of_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct made m = make_run(f);
    char *path = path_of(&m, "a"), *from = fs_join(f->dir, "from");
    put(f, &m, "a", "first");
    OK(fs_write_atomic(from, "the second", 10, err));
    OK(mlflow_artifact_place(f->store, path, from, err));
    OK(mlflow_artifact_log(f->store, path, err)); /* of either */
    assert_int_equal(query_int(f->store, "SELECT bytes FROM artifact"), 10);
    OK(mlflow_artifact_remove(f->store, path, err));
    OK(mlflow_artifact_forget(f->store, path, err));
    OK(mlflow_artifact_log(f->store, path, err)); /* of what was removed since */
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM artifact"), 0);
    free(path);
    free(from);
    free(m.base);
}

static void test_what_a_run_logged_itself_is_read_only(void **state)
{
    struct fixture *f = *state;
    struct made m = make_run(f);
    char *folder = fs_join(f->dir, "adapter"), *deep = fs_join(folder, "deep"),
         *one = fs_join(deep, "w"), *trace = fs_join(f->dir, "trace.csv"),
         *away = fs_join(folder, "away"), *listed = path_of(&m, "adapter"),
         *named = path_of(&m, "trace"), *from = fs_join(f->dir, "from");
    OK(fs_mkdirs(deep, err));
    OK(fs_write_atomic(one, "weights", 7, err));
    OK(fs_write_atomic(trace, "rows", 4, err));
    OK(fs_write_atomic(from, "mine", 4, err));
    assert_int_equal(symlink(trace, away), 0);
    OK(store_log_artifact(f->store, m.run, "adapter", folder, -1, NULL, err));
    OK(store_log_artifact(f->store, m.run, "trace", trace, 4, NULL, err));
    OK(store_log_artifact(f->store, m.run, "plots/loss", trace, 4, NULL, err));
    assert_list(f, m.base,
                "[{\"is_dir\":true,\"path\":\"adapter\"},{\"is_dir\":true,\"path\":"
                "\"plots\"},{\"file_size\":4,\"is_dir\":false,\"path\":\"trace\"}]");
    assert_list(f, listed, "[{\"is_dir\":true,\"path\":\"deep\"}]");
    assert_reads(f, &m, "adapter/deep/w", "weights");
    assert_reads(f, &m, "trace", "rows");
    assert_reads(f, &m, "plots/loss", "rows");
    assert_not_read(f, &m, "adapter/away", ERR_NOINPUT);
    assert_not_read(f, &m, "adapter/x", ERR_NOINPUT);
    FAILS(mlflow_artifact_remove(f->store, named, err), ERR_USAGE, "run itself");
    put(f, &m, "adapter/added", "more"); /* by a program of the sweep */
    assert_reads(f, &m, "adapter/added", "more");
    assert_reads(f, &m, "adapter/deep/w", "weights");
    static const char *const taken[] = {
        "trace", "trace/x",        "adapter",    "adapter/deep",
        "plots", "adapter/deep/w", "plots/loss", "adapter/deep/w/x"};
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        char *path = path_of(&m, taken[i]);
        FAILS(mlflow_artifact_place(f->store, path, from, err), ERR_USAGE, "run itself");
        free(path);
    }
    assert_true(fs_exists(from));
    assert_reads(f, &m, "trace", "rows");
    assert_reads(f, &m, "adapter/deep/w", "weights");
    char *const all[] = {folder, deep, one, trace, away, listed, named, from, m.base};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free(all[i]);
}

static void test_other_runs_have_nothing(void **state)
{
    struct fixture *f = *state;
    struct made m = make_run(f);
    json_t *files;
    char *other = xstrdup(m.base), *from = fs_join(f->dir, "from");
    OK(fs_write_atomic(from, "x", 1, err));
    other[2] = other[2] == 'a' ? 'b' : 'a'; /* another store's */
    FAILS(mlflow_artifact_list(f->store, other, &files, err), ERR_NOINPUT, "not found");
    strcpy(other, m.base);
    other[2 + 31] = other[2 + 31] == '9' ? '8' : '9';
    FAILS(mlflow_artifact_list(f->store, other, &files, err), ERR_NOINPUT, "not found");
    FAILS(mlflow_artifact_list(f->store, "1/x/artifacts", &files, err), ERR_CONFIG,
          "Invalid path");
    FAILS(mlflow_artifact_place(f->store, m.base, from, err), ERR_CONFIG, "Invalid path");
    assert_true(fs_exists(from));
    free(other);
    free(from);
    free(m.base);
}

static void test_what_may_go(void **state)
{
    struct fixture *f = *state;
    struct made m = make_run(f);
    char *root = mlflow_artifact_folder(f->path),
         *gone = fs_join(root, "00000000000000000000000000000009");
    put(f, &m, "kept", "x");
    OK(fs_mkdirs(gone, err));
    json_t *list = store_garbage(f->store, NULL);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_get_str(json_array_get(list, 0), "path", ""), gone);
    json_decref(list);
    free(root);
    free(gone);
    free(m.base);
}

static void test_a_backup_has_them(void **state)
{
    struct fixture *f = *state;
    struct made m = make_run(f);
    char *path = fs_join(f->dir, "copy.db"), *one = path_of(&m, "deep/er");
    put(f, &m, "deep/er", "bytes");
    put(f, &m, ".uploads/x", "of a run");
    OK(store_backup(f->store, path, err));
    store_close(f->store);
    OK(store_open(path, 0, &f->store, err));
    assert_reads(f, &m, "deep/er", "bytes");
    assert_reads(f, &m, ".uploads/x", "of a run");
    /* What is removed from the copy does not come back from the first store's folder. */
    OK(mlflow_artifact_remove(f->store, one, err));
    OK(mlflow_artifact_forget(f->store, one, err));
    assert_not_read(f, &m, "deep/er", ERR_NOINPUT);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM artifact"), 1);
    put(f, &m, ".uploads/x", "again");
    assert_int_equal(query_int(f->store, "SELECT sum(bytes) FROM artifact"), 5);
    free(path);
    free(one);
    free(m.base);
}

/* A limit on file sizes stands for a disk that is full. */
static void test_half_a_backup_is_none(void **state)
{
    enum { LARGE = 4 << 20 };
    struct fixture *f = *state;
    struct made m = make_run(f);
    struct rlimit before, small;
    char *path = fs_join(f->dir, "copy.db"), *folder = mlflow_artifact_folder(path),
         *text = xmalloc(LARGE + 1);
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    put(f, &m, "a", "small");
    put(f, &m, "b", text);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = LARGE / 2;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    FAILS(store_backup(f->store, path, err), ERR_IO, "cannot copy");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(fs_exists(folder));
    assert_false(fs_exists(path));
    OK(store_backup(f->store, path, err));
    free(path);
    free(folder);
    free(text);
    free(m.base);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_unescaped_until_nothing_changes),
        cmocka_unit_test(test_paths_have_an_end),
        TEST(test_files_are_put_listed_read_and_removed),
        TEST(test_rows_are_of_what_is_there),
        TEST(test_what_a_run_logged_itself_is_read_only),
        TEST(test_other_runs_have_nothing),
        TEST(test_what_may_go),
        TEST(test_a_backup_has_them),
        TEST(test_half_a_backup_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
