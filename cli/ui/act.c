/* cli/ui/act.c - see act.h. */
#include "cli/ui/act.h"
#include "cli/ui/ui.h"
#include "cli/ui/verb.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/store/run_root.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_AT_ONCE = 8, MOST_STARTED = 64, MOST_OUTPUT = 16 << 20 };

/* A long command that goes on by itself. */
struct started {
    pid_t pid;
    char *command, *log;
    int64_t at_ms;
    bool ended;
    int exit;
};

struct ui_acts {
    pthread_mutex_t lock;
    pthread_cond_t one_less;
    int running; /* threads that wait for a command */
    bool ends;
    struct started started[MOST_STARTED];
    size_t started_count;
};

struct act {
    struct ui *ui;
    struct server_call *call;
    const struct verb *verb;
    struct verb_words words;
    char *command;
    char *dir; /* of a report: a folder to throw away */
    void (*reply)(struct act *a, int status, const struct buf *out,
                  const struct buf *errors);
};

struct ui_acts *acts_new(void)
{
    struct ui_acts *a = xcalloc(1, sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->one_less, NULL);
    return a;
}

void acts_finish(struct ui_acts *a)
{
    pthread_mutex_lock(&a->lock);
    a->ends = true;
    while (a->running)
        pthread_cond_wait(&a->one_less, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

void acts_free(struct ui_acts *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->started_count; i++) {
        free(a->started[i].command);
        free(a->started[i].log);
    }
    pthread_cond_destroy(&a->one_less);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static void act_free(struct act *a)
{
    if (a->dir)
        fs_remove_tree(a->dir, NULL);
    verb_words_release(&a->words);
    free(a->dir);
    free(a->command);
    free(a);
}

static void set_program(struct act *a)
{
    free(a->words.words[0]);
    a->words.words[0] = xstrdup("/proc/self/exe");
}

/* ---- quick ones ---- */

static void run_quick(struct act *a)
{
    struct buf out, errors;
    struct err err = ERR_INIT;
    int status = 0;
    buf_init(&out, MOST_OUTPUT);
    buf_init(&errors, MOST_OUTPUT);
    if (proc_run(a->words.words, NULL, 0, &out, &errors, &status, &err) < 0)
        ui_reply_error(a->call, -ERR_DEVICE, &err);
    else
        a->reply(a, status, &out, &errors);
    buf_release(&out);
    buf_release(&errors);
}

static void reply_output(struct act *a, int status, const struct buf *out,
                         const struct buf *errors)
{
    struct buf both = BUF_INIT;
    buf_add(&both, buf_str(out), out->len);
    buf_add(&both, buf_str(errors), errors->len);
    server_reply_json(a->call, 200,
                      json_pack("{s:s, s:i, s:o}", "command", a->command, "exit", status,
                                "output", ui_text(buf_str(&both), both.len)));
    buf_release(&both);
}

/* ---- long ones: they go on when the server has ended ---- */

/* What has ended is seen here; the place of the oldest that has is taken. NULL: none. */
static struct started *place_for(struct ui_acts *acts)
{
    struct started *place = NULL;
    for (size_t i = 0; i < acts->started_count; i++) {
        struct started *s = &acts->started[i];
        if (!s->ended)
            s->ended = proc_poll(s->pid, &s->exit) != 0;
        if (s->ended && acts->started_count == MOST_STARTED && !place)
            place = s;
    }
    if (place) {
        free(place->command);
        free(place->log);
        return place;
    }
    return acts->started_count < MOST_STARTED ? &acts->started[acts->started_count++]
                                              : NULL;
}

/* A log of its own in the folder of the store's runs; the caller's. */
static char *log_path(const struct act *a, int64_t now, struct err *err)
{
    struct store *s;
    char *root = NULL, *path = NULL;
    if (store_open(a->ui->store, 0, &s, err) < 0)
        return NULL;
    if (store_run_root(s, NULL, &root, err) == 0 && fs_mkdirs(root, err) == 0)
        path = xasprintf("%s/ui-%s-%lld.log", root, a->verb->name, (long long)now);
    free(root);
    store_close(s);
    return path;
}

static int start_long(struct act *a, json_t **answer, struct err *err)
{
    struct ui_acts *acts = a->ui->acts;
    const int64_t now = clock_wall_ms();
    char *log = log_path(a, now, err);
    pid_t pid;
    if (!log)
        return err_code(err);
    int rc = proc_spawn(a->words.words, NULL, log, false, &pid, err);
    if (rc == 0) {
        pthread_mutex_lock(&acts->lock);
        struct started *s = place_for(acts);
        if (s)
            *s = (struct started){.pid = pid,
                                  .command = xstrdup(a->command),
                                  .log = xstrdup(log),
                                  .at_ms = now};
        pthread_mutex_unlock(&acts->lock);
        *answer = json_pack("{s:s, s:b, s:I, s:s}", "command", a->command, "started", 1,
                            "pid", (json_int_t)pid, "log", log);
    }
    free(log);
    return rc;
}

static void run_long(struct act *a)
{
    struct err err = ERR_INIT;
    json_t *answer = NULL;
    const int rc = start_long(a, &answer, &err);
    if (rc < 0)
        ui_reply_error(a->call, rc, &err);
    else
        server_reply_json(a->call, 200, answer);
}

static void *do_it(void *arg)
{
    struct act *a = arg;
    struct ui_acts *acts = a->ui->acts;
    if (a->verb->kind == VERB_LONG)
        run_long(a);
    else
        run_quick(a);
    act_free(a);
    pthread_mutex_lock(&acts->lock);
    acts->running--;
    pthread_cond_signal(&acts->one_less);
    pthread_mutex_unlock(&acts->lock);
    return NULL;
}

/* Takes the act over; a thread does it. */
static void run_act(struct act *a)
{
    struct ui_acts *acts = a->ui->acts;
    pthread_t thread;
    pthread_mutex_lock(&acts->lock);
    const bool ends = acts->ends, room = !ends && acts->running < MOST_AT_ONCE;
    acts->running += room;
    pthread_mutex_unlock(&acts->lock);
    if (room && pthread_create(&thread, NULL, do_it, a) == 0) {
        pthread_detach(thread);
        return;
    }
    pthread_mutex_lock(&acts->lock);
    acts->running -= room;
    pthread_mutex_unlock(&acts->lock);
    if (ends)
        server_reply_error(a->call, 503, "the server is stopping");
    else
        server_reply_error(a->call, 503,
                           "%d commands run already: try again when one has ended",
                           MOST_AT_ONCE);
    act_free(a);
}

void act_started(void *ctx, struct server_call *call)
{
    struct ui *ui = ctx;
    struct ui_acts *acts = ui->acts;
    json_t *list = json_array();
    pthread_mutex_lock(&acts->lock);
    for (size_t i = 0; i < acts->started_count; i++) {
        struct started *s = &acts->started[i];
        if (!s->ended)
            s->ended = proc_poll(s->pid, &s->exit) != 0;
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:s, s:I, s:b, s:o}", "command", s->command,
                            "pid", (json_int_t)s->pid, "log", s->log, "started_ms",
                            (json_int_t)s->at_ms, "ended", s->ended, "exit",
                            s->ended ? json_integer(s->exit) : json_null()));
    }
    pthread_mutex_unlock(&acts->lock);
    server_reply_json(call, 200, json_pack("{s:o}", "started", list));
}

/* ---- from requests to acts ---- */

/* A page of another site cannot read what it asks for here, but it could have it made again
 * and again; browsers say whose page it is. */
static bool is_of_other_site(struct server_call *call)
{
    const char *site = server_call_header(call, "Sec-Fetch-Site");
    const bool other = site && str_in_list(site, "cross-site|same-site", '|');
    if (other)
        server_reply_error(call, 403, "a page of another site may not ask for this");
    return other;
}

/* NULL: it was answered. */
static struct act *act_of(struct ui *ui, struct server_call *call, const char *name,
                          const json_t *args)
{
    struct err err = ERR_INIT;
    struct act *a = xcalloc(1, sizeof *a);
    a->ui = ui;
    a->call = call;
    a->verb = verb_find(name);
    int rc = a->verb ? verb_line(a->verb, args, ui->store, &a->words, &err)
                     : err_set(&err, ERR_USAGE, "there is no verb '%.60s'", name);
    if (rc < 0) {
        ui_reply_error(call, rc, &err);
        free(a);
        return NULL;
    }
    a->command = verb_shown(&a->words);
    set_program(a);
    return a;
}

void act_do(void *ctx, struct server_call *call)
{
    struct ui *ui = ctx;
    if (!ui_has_token(ui, call)) {
        server_reply_error(call, 403,
                           "the token is missing or another: open the address "
                           "that 'peftlab ui' printed when it started");
        return;
    }
    json_t *args = server_call_json(call);
    if (!args)
        return;
    struct act *a = act_of(ui, call, json_get_str(args, "verb", ""), args);
    json_decref(args);
    if (!a)
        return;
    a->reply = reply_output;
    run_act(a);
}

/* Parameters by name; one that comes again is a list. */
static json_t *read_query(struct server_call *call)
{
    json_t *args = json_object();
    const char *name, *value;
    for (size_t i = 0; server_call_query_at(call, i, &name, &value); i++) {
        json_t *before = json_object_get(args, name), *v = json_string(value);
        if (!before)
            json_object_set_new(args, name, v);
        else if (json_is_array(before))
            json_array_append_new(before, v);
        else
            json_object_set_new(args, name, json_pack("[O, o]", before, v));
    }
    return args;
}

void act_show(void *ctx, struct server_call *call)
{
    json_t *args = read_query(call);
    struct act *a = act_of(ctx, call, json_get_str(args, "verb", ""), args);
    json_decref(args);
    if (!a)
        return;
    server_reply_json(call, 200,
                      json_pack("{s:s, s:b}", "command", a->command, "long",
                                a->verb->kind == VERB_LONG));
    act_free(a);
}

/* ---- report and advise ---- */

/* What a command said that failed. */
static void reply_failed(struct act *a, const struct buf *errors)
{
    char *said = str_clean(buf_str(errors), errors->len), *clean = secret_text(said);
    server_reply_error(a->call, 400, "%s", clean ? clean : said);
    free(clean);
    free(said);
}

static void reply_report(struct act *a, int status, const struct buf *out,
                         const struct buf *errors)
{
    struct buf page = BUF_INIT;
    struct err err = ERR_INIT;
    char *path = fs_join(a->dir, "report.html");
    (void)out;
    if (status) {
        reply_failed(a, errors);
    } else if (fs_read(path, (size_t)64 << 20, &page, &err) < 0) {
        ui_reply_error(a->call, -ERR_IO, &err);
    } else {
        /* Its own script runs, but is no part of this site. */
        server_call_put(a->call, "Content-Security-Policy",
                        "sandbox allow-scripts allow-downloads allow-modals");
        server_call_put(a->call, "X-Content-Type-Options", "nosniff");
        server_call_put(a->call, "Cache-Control", "no-store");
        server_reply(a->call, 200, "text/html; charset=utf-8", buf_str(&page), page.len);
    }
    free(path);
    buf_release(&page);
}

void act_report(void *ctx, struct server_call *call)
{
    struct err err = ERR_INIT;
    if (is_of_other_site(call))
        return;
    char *dir = fs_temp_folder("ui", &err);
    if (!dir) {
        ui_reply_error(call, err_code(&err), &err);
        return;
    }
    json_t *args = read_query(call);
    json_object_set_new(args, "output", json_sprintf("%s/report.html", dir));
    struct act *a = act_of(ctx, call, "report", args);
    json_decref(args);
    if (!a) {
        fs_remove_tree(dir, NULL);
        free(dir);
        return;
    }
    a->dir = dir;
    a->reply = reply_report;
    run_act(a);
}

static void reply_advice(struct act *a, int status, const struct buf *out,
                         const struct buf *errors)
{
    json_t *answer = status ? NULL : json_parse(buf_str(out), out->len, "advise", NULL);
    if (answer)
        server_reply_json(a->call, 200, answer);
    else
        reply_failed(a, errors);
}

void act_advise(void *ctx, struct server_call *call)
{
    if (is_of_other_site(call))
        return;
    json_t *args = read_query(call);
    struct act *a = act_of(ctx, call, "advise", args);
    json_decref(args);
    if (!a)
        return;
    a->reply = reply_advice;
    run_act(a);
}
