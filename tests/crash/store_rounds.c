/* tests/crash/store_rounds.c - kill -9 at random moments over one store.
 *   store_rounds FOLDER ROUNDS [PEFTLAB [SEED]]
 *
 * Eight workers claim trials, log ten times five values and finish; a controller adds
 * trials; a reaper takes back what dead workers held; an importer brings in tables
 * through `PEFTLAB import`. Every round some of the eleven are killed and started again.
 * What the store acknowledged is written to shared memory, which outlives its process. In
 * the end the rest is worked off, and then
 *   - the file is whole (integrity_check, foreign_key_check),
 *   - every acknowledged value, end and table is there, and no table is there in part,
 *   - every trial has been completed by exactly one run. */
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/store/store.h"
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    WORKERS = 8,
    PROCESSES = WORKERS + 3, /* and controller, reaper, importer */
    STEPS = 10,
    VALUES = 5,
    ADDED = 16, /* trials at a time */
    TABLE_ROWS = 500,
    MAX_ACKS = 1 << 20,
    MAX_ROUNDS = 10000,
};

/* Only grows; each process claims its place by an atomic add before it writes. */
struct board {
    long count, errors, added, tables;
    bool drain; /* no more new trials; workers leave when nothing is left */
    struct ack {
        int64_t run;
        int step; /* STEPS: the end */
    } acks[MAX_ACKS];
};

static struct board *board;
static const char *folder, *program;
static char *path;

static void fail(const char *what, const struct err *e)
{
    __atomic_add_fetch(&board->errors, 1, __ATOMIC_SEQ_CST);
    fprintf(stderr, "store_rounds: %s: %s\n", what, e->msg);
}

static void acknowledge(int64_t run, int step)
{
    long at = __atomic_fetch_add(&board->count, 1, __ATOMIC_SEQ_CST);
    if (at < MAX_ACKS)
        board->acks[at] = (struct ack){run, step};
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
              NULL);
}

static double value_of(int64_t run, int step, int i)
{
    return (double)run * 1000 + step * VALUES + i + 0.25;
}

static struct store *open_store(unsigned flags)
{
    struct store *s = NULL;
    struct err e = ERR_INIT;
    if (store_open(path, flags, &s, &e) < 0) {
        fail("open", &e);
        _exit(1);
    }
    return s;
}

/* ---- the processes ---- */

static int work(struct store *s, const struct run_claim *c, struct err *e)
{
    for (int step = 0; step < STEPS; step++) {
        struct metric_point p[VALUES];
        for (int i = 0; i < VALUES; i++)
            p[i] = (struct metric_point){"train/loss", step * VALUES + i,
                                         value_of(c->run, step, i)};
        int rc = store_log_metrics(s, c->run, p, VALUES, e);
        if (rc < 0)
            return rc;
        acknowledge(c->run, step);
    }
    int rc = store_run_finish(s, c->run, TRIAL_complete, 0, NULL, e);
    if (rc == 0)
        acknowledge(c->run, STEPS);
    return rc;
}

static void worker(void)
{
    struct store *s = open_store(0);
    for (;;) {
        struct run_claim c = {0};
        struct err e = ERR_INIT;
        int rc = store_claim(s, 1, 0, 600000, NULL, &c, &e);
        if (rc == 1)
            rc = work(s, &c, &e);
        else if (rc == 0 && board->drain)
            break;
        else if (rc == 0)
            pause_ms(2);
        if (rc < 0)
            fail("worker", &e);
    }
    store_close(s);
}

static void controller(void)
{
    struct store *s = open_store(0);
    while (!board->drain) {
        struct err e = ERR_INIT;
        struct trial_row rows[ADDED];
        char keys[ADDED][32];
        size_t added = 0;
        for (int i = 0; i < ADDED; i++) {
            /* the same numbers may be added twice, by one who did not see the answer */
            snprintf(keys[i], sizeof keys[i], "k%ld", board->added + i);
            rows[i] = (struct trial_row){.experiment = 1,
                                         .sweep = 1,
                                         .number = board->added + i,
                                         .key = keys[i],
                                         .config = json_object(),
                                         .params = json_object(),
                                         .predicted_bytes = -1,
                                         .predicted_s = NAN};
        }
        if (store_add_trials(s, rows, ADDED, &added, &e) < 0)
            fail("controller", &e);
        else
            board->added += ADDED;
        for (int i = 0; i < ADDED; i++) {
            json_decref(rows[i].config);
            json_decref(rows[i].params);
        }
        pause_ms(5);
    }
    store_close(s);
}

static void reaper(void)
{
    struct store *s = open_store(0);
    for (;;) {
        struct err e = ERR_INIT;
        int reaped = 0;
        if (store_reap(s, 1, 1000000, &reaped, &e) < 0)
            fail("reaper", &e);
        pause_ms(5);
    }
}

static void write_table(const char *file, long number)
{
    struct buf text = BUF_INIT;
    struct err e = ERR_INIT;
    buf_str_add(&text, "table,row,score\n");
    for (int i = 0; i < TABLE_ROWS; i++)
        buf_printf(&text, "%ld,%d,%d.5\n", number, i, i);
    if (fs_write_atomic(file, text.data, text.len, &e) < 0)
        fail("table", &e);
    buf_release(&text);
}

/* `PEFTLAB import`, which dies with this process. Its exit status. */
static int run_import(const char *file)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(program, program, "import", file, "--store", path, "--experiment", "tables",
              "--metrics", "score", "--json", (char *)NULL);
        _exit(127);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    return status;
}

/* Table after table; one that was not acknowledged comes again. */
static void importer(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDOUT_FILENO);
    while (!board->drain) {
        long number = board->tables;
        char *file = xasprintf("%s/table-%ld.csv", folder, number);
        write_table(file, number);
        int status = run_import(file);
        if (status != 0) {
            struct err e = ERR_INIT;
            snprintf(e.msg, sizeof e.msg, "ended with %d", status);
            fail("importer", &e);
        } else {
            board->tables = number + 1;
        }
        free(file);
        pause_ms(5);
    }
}

static pid_t start(int role)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (role < WORKERS)
        worker();
    else if (role == WORKERS)
        controller();
    else if (role == WORKERS + 1)
        reaper();
    else if (program)
        importer();
    _exit(0);
}

/* ---- what must hold in the end ---- */

static json_t *rows_of(struct store *s, const char *sql)
{
    struct err e = ERR_INIT;
    json_t *r = store_query(s, sql, NULL, 100000000, &e);
    if (!r) {
        fail(sql, &e);
        return json_array();
    }
    json_t *rows = json_incref(json_object_get(r, "rows"));
    json_decref(r);
    return rows;
}

static int64_t number(struct store *s, const char *sql)
{
    json_t *rows = rows_of(s, sql);
    int64_t v = json_integer_value(json_array_get(json_array_get(rows, 0), 0));
    json_decref(rows);
    return v;
}

static long check(const char *what, bool ok)
{
    printf("%s: %s\n", ok ? "ok" : "FAILED", what);
    return !ok;
}

/* Values that were acknowledged and are not there, or are others. */
static long missing_values(struct store *s)
{
    json_t *rows = rows_of(s, "SELECT run, step, value FROM metric"), *row;
    json_t *ended = rows_of(s, "SELECT id FROM run WHERE state = 'complete'");
    int64_t runs = number(s, "SELECT max(id) FROM run") + 1;
    unsigned char *seen = xcalloc((size_t)runs, STEPS + 1);
    long missing = 0;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        int64_t run = json_integer_value(json_array_get(row, 0)),
                step = json_integer_value(json_array_get(row, 1));
        bool right = json_real_value(json_array_get(row, 2)) ==
                     value_of(run, (int)(step / VALUES), (int)(step % VALUES));
        if (right)
            seen[run * (STEPS + 1) + step / VALUES]++;
        else
            missing++;
    }
    json_array_foreach(ended, i, row)
    {
        seen[json_integer_value(json_array_get(row, 0)) * (STEPS + 1) + STEPS] = VALUES;
    }
    for (long k = 0; k < board->count && k < MAX_ACKS; k++)
        if (board->acks[k].run > 0)
            missing +=
                board->acks[k].run >= runs ||
                seen[board->acks[k].run * (STEPS + 1) + board->acks[k].step] != VALUES;
    free(seen);
    json_decref(rows);
    json_decref(ended);
    return missing;
}

static long check_all(long rounds)
{
    struct store *s = open_store(STORE_READ_ONLY);
    char sql[256];
    json_t *whole = rows_of(s, "PRAGMA integrity_check");
    long bad = check(
        "integrity_check",
        !strcmp(json_string_value(json_array_get(json_array_get(whole, 0), 0)), "ok"));
    json_decref(whole);
    json_t *keys = rows_of(s, "PRAGMA foreign_key_check");
    bad += check("foreign_key_check", json_array_size(keys) == 0);
    json_decref(keys);
    bad += check("no error in any process", board->errors == 0);
    bad += check("acknowledged values and ends are there", missing_values(s) == 0);
    bad += check("acknowledged trials are there",
                 number(s, "SELECT count(*) FROM trial WHERE sweep = 1") >= board->added);
    bad += check("every trial is complete",
                 number(s, "SELECT count(*) FROM trial WHERE state <> 'complete'") == 0);
    bad += check("by exactly one run",
                 number(s, "SELECT count(*) FROM (SELECT trial FROM run WHERE state = "
                           "'complete' GROUP BY trial HAVING count(*) <> 1)") == 0);
    bad +=
        check("and none is both", number(s, "SELECT count(*) FROM run WHERE state NOT IN "
                                            "('complete', 'stale')") == 0);
    bad += check("no trial twice",
                 number(s, "SELECT count(*) FROM (SELECT 1 FROM trial GROUP "
                           "BY sweep, key, seed HAVING count(*) > 1)") == 0);
    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM (SELECT params ->> 'table' AS number FROM trial_view WHERE "
        "experiment_name = 'tables' GROUP BY 1 HAVING count(*) <> %d)",
        TABLE_ROWS);
    bad += check("no table in part", number(s, sql) == 0);
    int64_t tables =
        number(s, "SELECT count(DISTINCT params ->> 'table') FROM trial_view "
                  "WHERE experiment_name = 'tables'");
    bad += check("acknowledged tables are there", tables >= board->tables);
    printf(
        "%ld rounds, %ld acknowledgements, %lld runs of %lld trials (%lld lost and tried "
        "again), %lld tables\n",
        rounds, board->count, (long long)number(s, "SELECT count(*) FROM run"),
        (long long)number(s, "SELECT count(*) FROM trial"),
        (long long)number(s, "SELECT count(*) FROM run WHERE state = 'stale'"),
        (long long)tables);
    store_close(s);
    return bad;
}

/* ---- rounds ---- */

static void make_store(void)
{
    struct store *s = open_store(STORE_CREATE);
    struct err e = ERR_INIT;
    json_t *file = json_object();
    int64_t experiment = 0, sweep = 0;
    if (store_experiment(s, "crash", &experiment, &e) < 0 ||
        store_sweep(s, experiment, "crash", file, ".", &sweep, &e) < 0)
        fail("sweep", &e);
    json_decref(file);
    store_close(s);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: store_rounds FOLDER ROUNDS [PEFTLAB [SEED]]\n", stderr);
        return 2;
    }
    folder = argv[1];
    long rounds = atol(argv[2]);
    program = argc > 3 && *argv[3] ? argv[3] : NULL;
    unsigned seed = argc > 4 ? (unsigned)atol(argv[4]) : (unsigned)time(NULL);
    path = fs_join(folder, "crash.db");
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (board == MAP_FAILED || rounds < 1 || rounds > MAX_ROUNDS)
        return 2;
    printf("seed %u\n", seed);
    fflush(stdout);
    srandom(seed);
    make_store();
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start(i);
    for (long round = 0; round < rounds; round++) {
        pause_ms(20 + random() % 100);
        for (int i = 0; i < PROCESSES; i++) {
            if (random() % 3 != 0)
                continue;
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
            pids[i] = start(i);
        }
    }
    board->drain = true;
    for (int i = 0; i < PROCESSES; i++)
        if (i != WORKERS + 1)
            waitpid(pids[i], NULL, 0);
    /* who was killed last still holds trials until the reaper has been there */
    pause_ms(100);
    pid_t last = start(0);
    waitpid(last, NULL, 0);
    kill(pids[WORKERS + 1], SIGKILL);
    waitpid(pids[WORKERS + 1], NULL, 0);
    return check_all(rounds) ? 1 : 0;
}
