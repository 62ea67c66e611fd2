/* runner/hub/pull/fetch.c - bringing a revision's files into a folder; see hub.h. */
#include "runner/hub/pull/hub.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net/url.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MAX_LIST = 64 << 20 };

struct pull {
    const struct hub_request *request;
    struct hub_list list;
    struct http *http;
    json_t *record; /* of the last pull: {path: {size, digest, changed_ns}}; or NULL */
    struct progress *progress;
    int64_t total, done; /* bytes of the whole pull; of the files before this one */
    double began_s, drawn_s;
    int64_t began_bytes; /* there already */
};

/* --- the record of what is there --- */

static json_t *read_record(const char *dir)
{
    char *path = fs_join(dir, HUB_RECORD);
    json_t *root = fs_exists(path) ? json_read_file(path, NULL) : NULL;
    free(path);
    if (json_get_int(root, "schema_version", 0) == 1)
        return root;
    json_decref(root); /* of another program: everything is read anew */
    return NULL;
}

static int64_t changed_ns(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0
               ? -1
               : (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* Unchanged since it was checked, and checked against the same digest or, where the hub
 * tells none, for the same commit. */
static bool recorded(const json_t *record, const char *commit, const char *place,
                     const struct hub_file *f)
{
    const json_t *was = json_object_get(json_object_get(record, "files"), f->path);
    return was && json_get_int(was, "size", -1) == fs_size(place) &&
           json_get_int(was, "changed_ns", -2) == changed_ns(place) &&
           (f->digest[0] ? str_eq(json_get_str(was, "digest", ""), f->digest)
                         : str_eq(json_get_str(record, "commit", ""), commit)) &&
           (f->size < 0 || f->size == fs_size(place));
}

static int write_record(const struct pull *p, struct err *err)
{
    const struct hub_request *r = p->request;
    json_t *files = json_object();
    for (size_t i = 0; i < p->list.count; i++) {
        const struct hub_file *f = &p->list.files[i];
        char *place = fs_join(r->dir, f->path);
        json_object_set_new(files, f->path,
                            json_pack("{s:I, s:s, s:I}", "size",
                                      (json_int_t)fs_size(place), "digest", f->digest,
                                      "changed_ns", (json_int_t)changed_ns(place)));
        free(place);
    }
    json_t *root =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:o}", "schema_version", 1, "id", r->id,
                  "kind", r->dataset ? "dataset" : "model", "revision", r->revision,
                  "commit", p->list.commit ? p->list.commit : "", "files", files);
    char *path = fs_join(r->dir, HUB_RECORD);
    int rc = json_write_file(path, root, 1, err);
    free(path);
    json_decref(root);
    return rc;
}

/* --- the list --- */

static int explain(const struct hub_request *r, const struct http_reply *reply, int rc,
                   struct err *err)
{
    const char *kind = r->dataset ? "data set" : "model";
    const long s = reply->status;
    if (s == 401 || s == 403 || (s == 404 && !r->token))
        return err_context(
            err, "%s '%s', revision %s, at %s (%s): ", kind, r->id, r->revision,
            r->endpoint,
            s == 404   ? "a wrong name, a data set without --dataset, or private: then a "
                         "token is needed in HF_TOKEN"
            : r->token ? "the token may not read it; are its terms accepted there?"
                       : "it needs a token in HF_TOKEN");
    err_context(err, "%s '%s', revision %s, at %s: ", kind, r->id, r->revision,
                r->endpoint);
    return rc;
}

static int get_list(struct pull *p, struct err *err)
{
    const struct hub_request *r = p->request;
    char *revision = url_escape(r->revision, false);
    char *url = xasprintf("%s/api/%s/%s/revision/%s?blobs=true", r->endpoint,
                          r->dataset ? "datasets" : "models", r->id, revision);
    struct buf body;
    struct http_reply reply;
    buf_init(&body, MAX_LIST);
    int rc = http_get(p->http, url, MAX_LIST - 1, &body, &reply, err);
    if (rc)
        rc = explain(r, &reply, rc, err);
    else
        rc = hub_list_parse(buf_str(&body), body.len, url, &p->list, err);
    http_reply_release(&reply);
    buf_release(&body);
    free(url);
    free(revision);
    return rc;
}

static int choose_files(struct pull *p, struct hub_outcome *out, struct err *err)
{
    const struct hub_request *r = p->request;
    const size_t all = p->list.count;
    char *example = xstrdup(all ? p->list.files[0].path : "");
    if (r->pattern_count)
        out->left_out_bytes =
            hub_list_keep(&p->list, r->patterns, r->pattern_count, false);
    else if (!r->dataset && !r->all) /* folders hold other formats */
        out->left_out_bytes =
            hub_list_keep(&p->list, hub_model_patterns, hub_model_pattern_count, true);
    int rc =
        p->list.count
            ? 0
            : err_set(err, ERR_NOINPUT,
                      "'%s' has %zu file%s, none of them wanted%s%s%s; see --include "
                      "and --all",
                      r->id, all, all == 1 ? "" : "s", all ? " (such as '" : "", example,
                      all ? "')" : "");
    free(example);
    return rc;
}

/* --- files --- */

static void on_progress(void *ctx, int64_t bytes)
{
    const double mib = 1 << 20;
    struct pull *p = ctx;
    double now = clock_mono_s(), done = (double)(p->done + bytes);
    if (!p->progress || now - p->drawn_s < 0.1)
        return;
    p->drawn_s = now;
    double rate = (done - (double)p->began_bytes) / (now - p->began_s + 0.01);
    char speed[48], text[32];
    snprintf(speed, sizeof speed, "MiB, %s/s", str_bytes(text, sizeof text, rate));
    progress_set(p->progress, done / mib, (double)p->total / mib,
                 rate > 0 ? fmax((double)p->total - done, 0) / rate : -1, speed);
}

static void on_waiting(void *ctx, const char *why, double seconds)
{
    struct pull *p = ctx;
    char line[512];
    snprintf(line, sizeof line, "%.300s; trying again in %.3g s", why, seconds);
    if (p->progress)
        progress_note(p->progress, line);
    else if (!p->request->quiet)
        text_print(stderr, "%s\n", line);
}

/* What the list did not tell, from the headers. */
static void learn(struct hub_file *f, const struct http_reply *reply)
{
    const char *etag = json_get_str(reply->first, "x-linked-etag",
                                    json_get_str(reply->first, "etag", ""));
    if (!strncmp(etag, "W/", 2))
        return;
    etag += *etag == '"';
    const size_t n = strspn(etag, "0123456789abcdef");
    if (!f->digest[0] && (n == 40 || n == 64) && (etag[n] == '"' || !etag[n]))
        snprintf(f->digest, sizeof f->digest, "%.*s", (int)n, etag);
    const char *size = json_get_str(reply->first, "x-linked-size", NULL);
    if (f->size < 0 && size)
        f->size = strtoll(size, NULL, 10);
}

/* The bytes into `part`; once more from the start where they are not the right ones:
 * the part may have been begun from another revision. */
static int bring(struct pull *p, struct hub_file *f, const char *part, struct err *err)
{
    const struct hub_request *r = p->request;
    char *path = url_escape(f->path, true),
         *commit = url_escape(p->list.commit ? p->list.commit : r->revision, false);
    char *url = xasprintf("%s/%s%s/resolve/%s/%s", r->endpoint,
                          r->dataset ? "datasets/" : "", r->id, commit, path);
    struct http_file file = {part, f->size, on_progress, p};
    struct err own = ERR_INIT;
    int rc = -1;
    for (int left = 2; rc && left > 0; left--) {
        struct http_reply reply;
        err_clear(&own);
        rc = http_download(p->http, url, &file, &reply, &own);
        if (!rc) {
            learn(f, &reply);
            rc = hub_check(part, f, &own);
        }
        http_reply_release(&reply);
        if (own.code != ERR_PARSE)
            break;
        unlink(part);
    }
    if (rc) {
        err_set(err, own.code, "%s", own.msg);
        rc = err_context(err, "'%s' of '%s': ", f->path, r->id);
    }
    free(url);
    free(path);
    free(commit);
    return rc;
}

static int place_file(struct pull *p, struct hub_file *f, struct hub_outcome *out,
                      struct err *err)
{
    char *place = fs_join(p->request->dir, f->path),
         *part = xasprintf("%s" HUB_PART, place), *folder = fs_dirname(place);
    int rc = 0;
    if (!recorded(p->record, p->list.commit, place, f) &&
        !(fs_exists(place) && f->digest[0] && hub_check(place, f, NULL) == 0)) {
        rc = fs_mkdirs(folder, err);
        if (!rc)
            rc = bring(p, f, part, err);
        if (!rc)
            rc = fs_rename(part, place, err);
        out->fetched++;
        out->fetched_bytes += rc ? 0 : fs_size(place);
    }
    if (!rc) {
        out->files++;
        out->bytes += fs_size(place);
        p->done += fs_size(place);
    }
    free(folder);
    free(part);
    free(place);
    return rc;
}

/* Bytes still to come against what the disk has free. */
static int check_disk(struct pull *p, struct err *err)
{
    struct statvfs disk;
    int64_t need = 0;
    for (size_t i = 0; i < p->list.count; i++) {
        const struct hub_file *f = &p->list.files[i];
        char *place = fs_join(p->request->dir, f->path),
             *part = xasprintf("%s" HUB_PART, place);
        int64_t has = fs_size(place) == f->size ? f->size : fs_size(part);
        if (f->size > 0) {
            p->total += f->size;
            need += f->size - (has > 0 && has <= f->size ? has : 0);
        }
        free(part);
        free(place);
    }
    p->began_bytes = p->total - need;
    if (statvfs(p->request->dir, &disk) < 0)
        return 0;
    const double room = (double)disk.f_bavail * (double)disk.f_frsize;
    char a[32], b[32];
    return (double)need <= room
               ? 0
               : err_set(err, ERR_IO, "'%s' has %s free, %s are still to come",
                         p->request->dir, str_bytes(a, sizeof a, room),
                         str_bytes(b, sizeof b, (double)need));
}

/* Two pulls into one folder would write into each other's parts. */
static int lock_folder(const char *dir, int *fd, struct err *err)
{
    char *path = fs_join(dir, HUB_RECORD ".lock");
    int rc = 0;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (*fd < 0)
        rc = err_set(err, ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    else if (flock(*fd, LOCK_EX | LOCK_NB) < 0)
        rc = err_set(err, ERR_BUSY, "another pull is writing into '%s'", dir);
    free(path);
    return rc;
}

static int bring_all(struct pull *p, struct hub_outcome *out, struct err *err)
{
    int fd = -1, rc = fs_mkdirs(p->request->dir, err);
    if (!rc)
        rc = lock_folder(p->request->dir, &fd, err);
    if (!rc)
        rc = check_disk(p, err);
    p->record = read_record(p->request->dir);
    p->began_s = clock_mono_s();
    if (!rc && !p->request->quiet)
        p->progress = progress_new(stderr, p->request->id);
    for (size_t i = 0; i < p->list.count && !rc; i++)
        rc = place_file(p, &p->list.files[i], out, err);
    if (p->progress)
        progress_end(p->progress);
    if (!rc)
        rc = write_record(p, err);
    if (fd >= 0)
        close(fd);
    json_decref(p->record);
    return rc;
}

static int pull_online(struct pull *p, struct hub_outcome *out, struct err *err)
{
    struct http_policy policy = p->request->policy;
    policy.waiting = on_waiting;
    policy.ctx = p;
    p->http = http_new(&policy, p->request->endpoint, p->request->token, err);
    int rc = p->http ? get_list(p, err) : err_code(err);
    if (!rc)
        rc = choose_files(p, out, err);
    if (!rc)
        rc = bring_all(p, out, err);
    out->commit = p->list.commit ? xstrdup(p->list.commit) : NULL;
    http_free(p->http);
    hub_list_release(&p->list);
    return rc;
}

/* --- without a network --- */

static int pull_offline(const struct hub_request *r, struct hub_outcome *out,
                        struct err *err)
{
    const char *path;
    json_t *was, *record = read_record(r->dir);
    int rc = 0;
    if (!record)
        return err_set(err, ERR_NOINPUT,
                       "offline, and '%s' has not been pulled into '%s'; pull it once "
                       "without --offline and HF_HUB_OFFLINE",
                       r->id, r->dir);
    if (!str_eq(json_get_str(record, "id", ""), r->id))
        rc = err_set(err, ERR_NOINPUT, "offline, and '%s' holds '%s', not '%s'", r->dir,
                     json_get_str(record, "id", ""), r->id);
    else if (!str_eq(json_get_str(record, "revision", ""), r->revision) &&
             !str_eq(json_get_str(record, "commit", ""), r->revision))
        rc = err_set(err, ERR_NOINPUT, "offline, and '%s' holds revision %s, not %s",
                     r->dir, json_get_str(record, "revision", ""), r->revision);
    json_object_foreach(json_object_get(record, "files"), path, was)
    {
        char *place = fs_join(r->dir, path);
        struct hub_file f = {(char *)path, json_get_int(was, "size", -1), ""};
        snprintf(f.digest, sizeof f.digest, "%s", json_get_str(was, "digest", ""));
        if (!rc && !hub_path_ok(path))
            rc = err_set(err, ERR_PARSE, "'%s/%s' is damaged", r->dir, HUB_RECORD);
        else if (!rc && !fs_exists(place))
            rc = err_set(err, ERR_NOINPUT, "offline, and '%s' is missing in '%s'", path,
                         r->dir);
        else if (!rc && !recorded(record, NULL, place, &f))
            rc = hub_check(place, &f, err);
        out->files++;
        out->bytes += fs_size(place);
        free(place);
    }
    out->commit = xstrdup(json_get_str(record, "commit", ""));
    json_decref(record);
    return rc;
}

int hub_pull(const struct hub_request *r, struct hub_outcome *out, struct err *err)
{
    struct pull p = {.request = r};
    *out = (struct hub_outcome){0};
    return r->offline ? pull_offline(r, out, err) : pull_online(&p, out, err);
}
