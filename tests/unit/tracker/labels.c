/* tests/unit/tracker/labels.c - tags, notes, copies of artifacts, git's state of the
 * user's folder, time limit of queries, backup. */
#include "lib/os/git.h"
#include "tests/unit/tracker/fixture.h"
#include "tracker/exchange/exchange.h"
#include "tracker/store/labels.h"
#include "tracker/store/upkeep.h"

static void tags_are_set_replaced_and_taken_away(void **state)
{
    struct fixture *f = *state;
    add_trials(f->store, new_sweep(f->store, "a"), 2);
    OK(store_tag(f->store, 1, "owner", "ana", err));
    OK(store_tag(f->store, 1, "owner", "bob \xff", err));
    OK(store_tag(f->store, 2, "'; DROP TABLE tag; --", "", err));
    OK(store_tag(f->store, 2, "gone", "x", err));
    OK(store_tag(f->store, 2, "gone", NULL, err));
    OK(store_tag(f->store, 2, "never there", NULL, err));
    assert_query_text(f->store,
                      "SELECT group_concat(trial || key || value) FROM (SELECT * FROM "
                      "tag_view ORDER BY trial)",
                      "1ownerbob \xef\xbf\xbd,2'; DROP TABLE tag; --");
    FAILS(store_tag(f->store, 3, "x", "", err), ERR_NOINPUT, "no trial 3");
    FAILS(store_tag(f->store, 1, "", "", err), ERR_CONFIG, "empty");
    OK(store_note_trial(f->store, 1, "a note", err));
    OK(store_note_sweep(f->store, 1, "another", err));
    assert_query_text(f->store, "SELECT note FROM trial_view WHERE id = 1", "a note");
    assert_query_text(f->store, "SELECT note FROM sweep_view", "another");
    OK(store_note_trial(f->store, 1, "", err));
    assert_int_equal(query_int(f->store, "SELECT count(note) FROM trial_view"), 0);
    FAILS(store_note_sweep(f->store, 7, "x", err), ERR_NOINPUT, "no sweep 7");
}

static void same_content_is_kept_once(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 2);
    struct run_claim a = claim_one(f->store, sweep, 60000),
                     b = claim_one(f->store, sweep, 60000);
    OK(store_keep_artifact(f->store, a.run, "diff", "abc", 3, err));
    OK(store_keep_artifact(f->store, b.run, "diff", "abc", 3, err));
    assert_int_equal(query_int(f->store, "SELECT count(DISTINCT path) FROM artifact"), 1);
    assert_int_equal(query_int(f->store, "SELECT sum(stored) FROM artifact"), 2);
    json_t *garbage = store_garbage(f->store, NULL);
    assert_int_equal(json_array_size(garbage), 0);
    json_decref(garbage);
}

static int take_line(void *ctx, const json_t *object, struct err *err)
{
    return import_object(ctx, object, err);
}

/* A backup has the copies, an export those of "rows/..." alone; what was changed is told. */
static void copies_travel(void **state)
{
    struct fixture *f = *state;
    add_trials(f->store, new_sweep(f->store, "a"), 1);
    struct run_claim c = claim_one(f->store, 1, 60000);
    OK(store_keep_artifact(f->store, c.run, "rows/test", "abc", 3, err));
    OK(store_keep_artifact(f->store, c.run, "git-diff", "secret", 6, err));
    OK(store_run_finish(f->store, c.run, TRIAL_complete, 0, NULL, err));
    char *copy = fs_join(f->dir, "copy.db"), *other = fs_join(f->dir, "other.db"), *path,
         sha256[SHA256_HEX];
    struct store *s = NULL;
    struct buf b = BUF_INIT;
    OK(store_backup(f->store, copy, err));
    OK(store_open(copy, 0, &s, err));
    sha256_hex("secret", 6, sha256);
    OK(store_kept_content(s, sha256, 100, &b, err));
    assert_string_equal(buf_str(&b), "secret");
    store_close(s);

    struct import in;
    OK(store_open(other, STORE_CREATE, &s, err));
    OK(import_begin(&in, s, err));
    OK(import_end(&in, store_export(f->store, 0, 0, take_line, &in, NULL), err));
    sha256_hex("abc", 3, sha256);
    buf_clear(&b);
    OK(store_kept_content(s, sha256, 100, &b, err));
    assert_string_equal(buf_str(&b), "abc");
    assert_int_equal(query_int(s, "SELECT count(*) FROM artifact"), 2);
    assert_int_equal(query_int(s, "SELECT sum(stored) FROM artifact"), 1);
    OK(store_keep_content(s, "abc", 3, sha256, &path, err));
    OK(fs_write_atomic(path, "abd", 3, err));
    buf_clear(&b);
    FAILS(store_kept_content(s, sha256, 100, &b, err), ERR_PARSE, "has changed since");
    FAILS(store_kept_content(s, "../../etc/passwd", 100, &b, err), ERR_PARSE,
          "no SHA-256");
    sha256_hex("secret", 6, sha256);
    FAILS(store_kept_content(s, sha256, 100, &b, err), ERR_NOINPUT, "");
    buf_release(&b);
    store_close(s);
    free(path);
    free(copy);
    free(other);
}

static void folder_under_git_is_recorded(void **state)
{
    struct fixture *f = *state;
    char *script = xasprintf(
        "cd %s && mkdir user && cd user && git init -q && git config user.email a@b && "
        "git "
        "config user.name a && echo one > file && git add file && git commit -q -m first "
        "&& echo two > file && echo new > other",
        f->dir);
    if (system("git --version > /dev/null 2>&1") != 0)
        skip();
    assert_int_equal(system(script), 0);
    char *dir = fs_join(f->dir, "user");
    int64_t sweep = new_sweep(f->store, "a");
    struct trial_row row = {.sweep = sweep,
                            .experiment = 1,
                            .key = "k",
                            .base_dir = dir,
                            .config = json_object(),
                            .params = json_object(),
                            .predicted_bytes = -1,
                            .predicted_s = NAN};
    OK(store_add_trials(f->store, &row, 1, NULL, err));
    struct run_claim c = claim_one(f->store, sweep, 60000);
    struct sink *s = sink_local(f->store, c.run, 60000);
    json_t *environment = json_pack("{s:s}", "cpu", "some");
    s->ops->environment(s, environment);
    OK(sink_close(s, err));
    assert_int_equal(
        query_int(f->store, "SELECT environment ->> '$.git.dirty' FROM run_view"), 1);
    assert_int_equal(
        query_int(f->store,
                  "SELECT length(environment ->> '$.git.commit') FROM run_view"),
        40);
    assert_int_equal(
        query_int(f->store, "SELECT environment ->> '$.git.untracked' FROM run_view"), 1);
    assert_query_text(f->store, "SELECT environment ->> 'cpu' FROM run_view", "some");
    json_t *path =
        query_rows(f->store, "SELECT path FROM artifact WHERE name = 'git-diff'");
    struct buf diff = BUF_INIT;
    OK(fs_read(json_string_value(json_array_get(json_array_get(path, 0), 0)), 1 << 20,
               &diff, err));
    assert_non_null(strstr(buf_str(&diff), "-one\n+two"));
    /* neither a folder outside of git nor a limit that is too small is an error */
    assert_null(git_state("/", NULL));
    struct buf small;
    buf_init(&small, 10);
    json_t *cut = git_state(dir, &small);
    assert_true(json_is_true(json_object_get(cut, "diff_dropped")) && small.len == 0);
    buf_release(&diff);
    buf_release(&small);
    json_decref(cut);
    json_decref(path);
    json_decref(environment);
    json_decref(row.config);
    json_decref(row.params);
    free(dir);
    free(script);
}

/* This one would never end. */
static void long_queries_end(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    assert_null(
        store_query_within(f->store,
                           "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 "
                           "FROM t) SELECT count(*) FROM t",
                           NULL, 10, 0.1, &e));
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.msg, "time limit"));
    /* the limit does not outlive its query */
    usleep(150000);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM trial"), 0);
}

static void backup_is_whole_while_others_write(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 500);
    char *copy = fs_join(f->dir, "copy.db");
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = NULL;
        int rc = store_open(f->path, 0, &s, NULL);
        for (int i = 0; rc == 0 && i < 200; i++) {
            struct run_claim c = {0};
            const struct metric_point p = {"x", -1, i};
            rc = store_claim(s, sweep, 0, 60000, NULL, &c, NULL) == 1 ? 0 : -1;
            if (rc == 0)
                rc = store_log_metrics(s, c.run, &p, 1, NULL);
            if (rc == 0)
                rc = store_run_finish(s, c.run, TRIAL_complete, 0, NULL, NULL);
        }
        _exit(rc < 0);
    }
    OK(store_backup(f->store, copy, err));
    int status = 1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    struct store *s = NULL;
    OK(store_open(copy, STORE_READ_ONLY, &s, err));
    assert_query_text(s, "PRAGMA integrity_check", "ok");
    assert_int_equal(query_int(s, "SELECT count(*) FROM trial"), 500);
    assert_int_equal(query_int(s,
                               "SELECT count(*) FROM trial_view WHERE state = 'complete' "
                               "AND id NOT IN (SELECT trial FROM summary_view)"),
                     0);
    store_close(s);
    FAILS(store_backup(f->store, copy, err), ERR_CONFIG, "there already");
    free(copy);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(tags_are_set_replaced_and_taken_away),
        T(same_content_is_kept_once),
        T(copies_travel),
        T(folder_under_git_is_recorded),
        T(long_queries_end),
        T(backup_is_whole_while_others_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
