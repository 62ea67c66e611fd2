/* lib/net/http.c - see http.h. */
#include "lib/net/http.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net/http_env.h"
#include "lib/net/http_headers.h"
#include "lib/net/http_parts.h"
#include "lib/net/url.h"
#include "lib/os/proc.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WAIT_S = 60, PROGRESS_BYTES = 1 << 16 };

/* One request while it runs. Either `body` or `file`, which is `fd`, takes the bytes. */
struct transfer {
    struct http *http;
    struct http_reply *reply;
    struct buf *body;
    size_t max_bytes;
    const struct http_file *file;
    int fd;
    int64_t at;                   /* where the next byte goes in the file */
    const struct http_send *send; /* NULL: nothing is said; its file is `fd` */
    size_t sent;
    bool started; /* the answer's kind has been looked at */
    enum { FINE, TOO_LONG, WRITE_FAILED, BAD_RANGE } trouble;
    int write_errno;
};

void http_reply_release(struct http_reply *r)
{
    json_decref(r->first);
    json_decref(r->last);
    *r = (struct http_reply){0};
}

/* --- callbacks --- */

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    http_headers_line(&t->reply->last, line, size * n);
    return size * n;
}

/* Where the bytes of this answer belong: behind what there is (206), or at the start. */
static bool start_file(struct transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->http->curl, CURLINFO_RESPONSE_CODE, &status);
    t->started = true;
    if (status == 206 && http_headers_range_at(t->reply->last, t->at))
        return true;
    if (status == 206) {
        t->trouble = BAD_RANGE;
        return false;
    }
    t->at = 0; /* the server knows no ranges */
    if (ftruncate(t->fd, 0) == 0)
        return true;
    t->trouble = WRITE_FAILED;
    t->write_errno = errno;
    return false;
}

static size_t on_file_bytes(struct transfer *t, const char *data, size_t n)
{
    if (!t->started && !start_file(t))
        return 0;
    if (t->file->size >= 0 && (int64_t)n > t->file->size - t->at) {
        t->trouble = TOO_LONG;
        return 0;
    }
    for (size_t done = 0; done < n;) {
        ssize_t w = pwrite(t->fd, data + done, n - done, (off_t)t->at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0) {
            t->trouble = WRITE_FAILED;
            t->write_errno = errno;
            return 0;
        }
        done += (size_t)w;
        t->at += w;
    }
    if (t->file->progress)
        t->file->progress(t->file->ctx, t->at);
    return n;
}

static size_t on_bytes(char *data, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    const size_t len = size * n;
    long status = 0;
    curl_easy_getinfo(t->http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (!t->send && (status < 200 || status >= 300))
        return len; /* what an error page says is not kept */
    if (t->file)
        return on_file_bytes(t, data, len);
    if (len > t->max_bytes - t->body->len) {
        t->trouble = TOO_LONG;
        return 0;
    }
    buf_add(t->body, data, len);
    return len;
}

static size_t on_sending(char *to, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    const size_t left = t->send->size - t->sent, len = size * n < left ? size * n : left;
    ssize_t got = (ssize_t)len;
    if (t->send->bytes)
        memcpy(to, (const char *)t->send->bytes + t->sent, len);
    else if (len > 0)
        got = pread(t->fd, to, len, (off_t)t->sent);
    if (got < 0 || (got == 0 && len > 0))
        return CURL_READFUNC_ABORT; /* it became shorter */
    t->sent += (size_t)got;
    return (size_t)got;
}

/* libcurl begins again, on a connection that had been closed. */
static int on_rewind(void *ctx, curl_off_t to, int origin)
{
    struct transfer *t = ctx;
    if (origin != SEEK_SET || to < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    t->sent = (size_t)to;
    return CURL_SEEKFUNC_OK;
}

static int on_tick(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)ctx, (void)a, (void)b, (void)c, (void)d;
    return proc_signals(NULL) > 0;
}

/* --- one request --- */

static int stopped(struct err *err)
{
    return err_set(err, ERR_BUSY, "stopped by a signal; the same command goes on");
}

static void set_options(struct transfer *t, const char *url,
                        char message[CURL_ERROR_SIZE])
{
    CURL *c = t->http->curl;
    const struct http_policy *p = &t->http->policy;
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "peftlab/" PEFTLAB_VERSION);
    http_env_apply(c);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(p->connect_timeout_s * 1000));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)ceil(p->stall_timeout_s));
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_tick);
}

static struct curl_slist *set_sending(struct transfer *t, struct curl_slist *headers)
{
    CURL *c = t->http->curl;
    t->sent = 0;
    /* where a connection that was kept turns out closed, libcurl says it all again */
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, (long)t->send->once);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, t->send->method);
    if (!t->send->type)
        return headers;
    char *type = xasprintf("Content-Type: %s", t->send->type);
    headers = curl_slist_append(headers, type);
    headers = curl_slist_append(headers, "Expect:"); /* no server needs the pause */
    free(type);
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->send->size);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, on_sending);
    curl_easy_setopt(c, CURLOPT_READDATA, t);
    curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_rewind);
    curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
    return headers;
}

/* One answer, whatever it is. Returns libcurl's verdict. */
static CURLcode perform(struct transfer *t, CURLU *address, char message[CURL_ERROR_SIZE])
{
    struct http *h = t->http;
    char *url = url_part(address, CURLUPART_URL);
    struct curl_slist *headers = NULL;
    bool ours = h->authorization && url_same_origin(address, h->origin);
    if (ours)
        headers = curl_slist_append(headers, h->authorization);
    if (t->file && t->at > 0) {
        char range[64];
        snprintf(range, sizeof range, "Range: bytes=%lld-", (long long)t->at);
        headers = curl_slist_append(headers, range);
    }
    message[0] = '\0';
    if (t->send)
        buf_clear(t->body); /* what a redirect said */
    t->started = false;
    t->trouble = FINE;
    t->reply->status = 0;
    set_options(t, url, message);
    if (t->send)
        headers = set_sending(t, headers);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
    if (ours && !url_is_https(address)) /* a token in the clear stays on this machine */
        curl_easy_setopt(h->curl, CURLOPT_PROXY, "");
    CURLcode code = curl_easy_perform(h->curl);
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &t->reply->status);
    curl_slist_free_all(headers);
    curl_free(url);
    if (!t->reply->first && t->reply->last)
        t->reply->first = json_incref(t->reply->last);
    return code;
}

/* Follows redirects to an answer that is none. 1: there is one; 0: worth another try,
 * `why` says what happened; negative: not. */
static int try_once(struct transfer *t, const char *url, char *why, size_t why_size,
                    struct err *err)
{
    char message[CURL_ERROR_SIZE];
    CURLU *address = url_parse(url, err);
    int rc = address ? 1 : err_code(err);
    http_reply_release(t->reply);
    for (int hops = 0; rc == 1; hops++) {
        CURLcode code = perform(t, address, message);
        long s = t->reply->status;
        if (proc_signals(NULL) > 0)
            rc = stopped(err);
        else if (t->trouble == TOO_LONG)
            rc = t->file
                     ? err_set(err, ERR_PARSE, "the server sends more than %lld bytes",
                               (long long)t->file->size)
                     : err_set(err, ERR_PARSE, "the answer is over %zu bytes",
                               t->max_bytes);
        else if (t->trouble == WRITE_FAILED)
            rc = err_set(err, ERR_IO, "cannot write '%s': %s%s", t->file->path,
                         strerror(t->write_errno),
                         t->write_errno == ENOSPC
                             ? "; what is there is kept, free some space and try again"
                             : "");
        else if (t->trouble == BAD_RANGE) {
            snprintf(why, why_size, "the server sent another range than asked for");
            rc = 0;
        } else if (code != CURLE_OK) {
            snprintf(why, why_size, "%s", *message ? message : curl_easy_strerror(code));
            const bool final = http_env_is_final(t->http->curl, code, why);
            http_env_explain(t->http->curl, code, why, why_size);
            rc = final ? err_set(err, ERR_DEVICE, "%s", why) : 0;
        } else if (s == 301 || s == 302 || s == 303 || s == 307 || s == 308) {
            if (hops >= t->http->policy.redirects)
                rc = err_set(err, ERR_DEVICE, "more than %d redirects", hops);
            else if (url_follow(address, json_get_str(t->reply->last, "location", ""),
                                err) < 0)
                rc = -(int)ERR_DEVICE;
            continue;
        }
        break;
    }
    curl_url_cleanup(address);
    return rc;
}

static bool worth_a_retry(long status)
{
    return status == 408 || status == 425 || status == 429 || status == 500 ||
           status == 502 || status == 503 || status == 504;
}

/* Pauses; a signal ends it. */
static int pause_s(struct http *h, const char *why, double seconds, struct err *err)
{
    if (h->policy.waiting)
        h->policy.waiting(h->policy.ctx, why, seconds);
    for (double until = clock_mono_s() + seconds, left = seconds; left > 0;
         left = until - clock_mono_s()) {
        double slice = fmin(left, 0.1);
        nanosleep(&(struct timespec){0, (long)(slice * 1e9)}, NULL);
        if (proc_signals(NULL) > 0)
            return stopped(err);
    }
    return 0;
}

/* Seconds until the next try: what the server says (at most an hour), else doubled. */
static double wait_s(const struct http *h, int tries, bool answered)
{
    curl_off_t told = 0;
    if (answered && curl_easy_getinfo(h->curl, CURLINFO_RETRY_AFTER, &told) == CURLE_OK &&
        told > 0)
        return fmin((double)told, 3600);
    return fmin(ldexp(h->policy.first_wait_s, tries - 1), MAX_WAIT_S);
}

static int refused(struct http *h, long status, struct err *err)
{
    char proxy[512] = "";
    http_env_explain(h->curl, CURLE_OK, proxy, sizeof proxy);
    return status == 404 || status == 410
               ? err_set(err, ERR_NOINPUT, "it is not there (HTTP %ld)%s", status, proxy)
           : status == 401 || status == 403
               ? err_set(err, ERR_DEVICE, "access is refused (HTTP %ld)%s", status, proxy)
               : err_set(err, ERR_DEVICE, "the server answers HTTP %ld%s", status, proxy);
}

/* After an answer 2xx: whether the file is whole. A server that closes the connection
 * early says nothing else than that. */
static bool is_whole(struct transfer *t)
{
    if (!t->file)
        return true;
    if (!t->started && t->file->size <= 0 && t->at == 0)
        return true; /* an empty file */
    return t->started && (t->file->size < 0 || t->at == t->file->size);
}

static int run(struct transfer *t, const char *url, struct err *err)
{
    char why[CURL_ERROR_SIZE + 512] = "";
    int rc = 0, tries = 0;
    for (;;) {
        const int64_t had = t->at;
        rc = try_once(t, url, why, sizeof why, err);
        const long status = t->reply->status;
        if (rc < 0)
            return rc;
        if (rc == 1 && status >= 200 && status < 300) {
            if (is_whole(t))
                return 0;
            snprintf(why, sizeof why, "broken off");
        } else if (rc == 1 && status == 416 && t->file && t->at > 0) {
            t->at = 0; /* what is there is not the start of what is wanted */
            snprintf(why, sizeof why, "starting again");
        } else if (rc == 1 && !worth_a_retry(status)) {
            return refused(t->http, status, err);
        } else if (rc == 1) {
            snprintf(why, sizeof why, "HTTP %ld", status);
            http_env_explain(t->http->curl, CURLE_OK, why, sizeof why);
        }
        if (t->at >= had + PROGRESS_BYTES)
            tries = 0;
        if (++tries >= t->http->policy.tries || (t->send && t->send->once))
            return err_set(err, ERR_DEVICE, "%s, after %d %s", why, tries,
                           tries == 1 ? "try" : "tries");
        if (t->body)
            buf_clear(t->body);
        if ((rc = pause_s(t->http, why, wait_s(t->http, tries, rc == 1), err)) < 0)
            return rc;
    }
}

/* --- interface --- */

int http_get(struct http *h, const char *url, size_t max_bytes, struct buf *body,
             struct http_reply *reply, struct err *err)
{
    struct http_reply own = {0};
    struct transfer t = {
        .http = h, .reply = reply ? reply : &own, .body = body, .max_bytes = max_bytes};
    *t.reply = own;
    buf_clear(body);
    int rc = run(&t, url, err);
    http_reply_release(&own);
    return rc;
}

int http_send(struct http *h, const char *url, const struct http_send *what,
              size_t max_bytes, struct buf *body, struct http_reply *reply,
              struct err *err)
{
    struct http_reply own = {0};
    struct transfer t = {.http = h,
                         .reply = reply ? reply : &own,
                         .body = body,
                         .max_bytes = max_bytes,
                         .send = what,
                         .fd = -1};
    *t.reply = own;
    buf_clear(body);
    if (what->file && (t.fd = open(what->file, O_RDONLY | O_CLOEXEC)) < 0)
        return err_set(err, ERR_IO, "cannot read '%s': %s", what->file, strerror(errno));
    const int rc = run(&t, url, err);
    if (t.fd >= 0)
        close(t.fd);
    http_reply_release(&own);
    return rc;
}

int http_download(struct http *h, const char *url, const struct http_file *file,
                  struct http_reply *reply, struct err *err)
{
    struct http_reply own = {0};
    struct transfer t = {.http = h, .reply = reply ? reply : &own, .file = file};
    struct stat st;
    *t.reply = own;
    t.fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (t.fd < 0 || fstat(t.fd, &st) < 0) {
        int rc =
            err_set(err, ERR_IO, "cannot write '%s': %s", file->path, strerror(errno));
        if (t.fd >= 0)
            close(t.fd);
        return rc;
    }
    t.at = st.st_size;
    int rc = 0;
    if (file->size >= 0 && t.at > file->size)
        t.at = 0;
    if (file->size < 0 || t.at < file->size || file->size == 0)
        rc = run(&t, url, err);
    /* a shorter file than there was before, and all of it on disk */
    if (!rc && (ftruncate(t.fd, (off_t)t.at) < 0 || fsync(t.fd) < 0))
        rc = err_set(err, ERR_IO, "cannot write '%s': %s", file->path, strerror(errno));
    if (close(t.fd) < 0 && !rc)
        rc = err_set(err, ERR_IO, "cannot write '%s': %s", file->path, strerror(errno));
    http_reply_release(&own);
    return rc;
}
