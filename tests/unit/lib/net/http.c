/* The HTTP client against a server that misbehaves (http_server.h). */
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/net/http.h"
#include "lib/net/url.h"
#include "lib/os/proc.h"
#include "tests/unit/support/http_server.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <signal.h>
#include <cmocka.h>

enum { SIZE = 300000 };

static struct http_server server;
static char root[] = "/tmp/lib_http.XXXXXX", part[64];
static char *content;
static int waits;
static double waited_s;

static void waiting(void *ctx, const char *why, double seconds)
{
    (void)ctx, (void)why;
    waits++;
    waited_s += seconds;
}

static const struct http_policy quick = {.tries = 4,
                                         .redirects = 5,
                                         .first_wait_s = 0.01,
                                         .connect_timeout_s = 5,
                                         .stall_timeout_s = 1,
                                         .waiting = waiting};

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
}

static char *get_log(void)
{
    struct buf text = BUF_INIT;
    char path[128];
    snprintf(path, sizeof path, "%s/.log", root);
    fs_read(path, 1 << 20, &text, NULL);
    return buf_detach(&text, NULL);
}

static int fresh(void **state)
{
    char log[128];
    (void)state;
    snprintf(log, sizeof log, "%s/.log", root);
    unlink(log);
    unlink(part);
    waits = 0;
    waited_s = 0;
    put(".rules", "");
    return 0;
}

static char *url_of(const char *path)
{
    return xasprintf("http://127.0.0.1:%d/%s", server.ports[0], path);
}

static int download_as(const char *token, int64_t size, struct err *err)
{
    char *url = url_of("big"), *origin = url_of("");
    struct http *h = http_new(&quick, origin, token, err);
    struct http_file f = {.path = part, .size = size};
    assert_non_null(h);
    int rc = http_download(h, url, &f, NULL, err);
    http_free(h);
    free(url);
    free(origin);
    return rc;
}

static void check_whole(void)
{
    struct buf text = BUF_INIT;
    assert_int_equal(fs_read(part, SIZE, &text, NULL), 0);
    assert_int_equal(text.len, SIZE);
    assert_memory_equal(buf_str(&text), content, SIZE);
    buf_release(&text);
}

static void download_whole(const char *rules)
{
    struct err err = ERR_INIT;
    put(".rules", rules);
    if (download_as(NULL, SIZE, &err) != 0)
        fail_msg("'%s': %s", rules, err.msg);
    check_whole();
}

static void download_fails(const char *rules, enum err_code code, const char *message)
{
    struct err err = ERR_INIT;
    put(".rules", rules);
    assert_int_equal(download_as(NULL, SIZE, &err), -(int)code);
    if (!strstr(err.msg, message))
        fail_msg("'%s' lacks '%s'", err.msg, message);
}

/* --- tests --- */

static void text_comes_whole(void **state)
{
    struct err err = ERR_INIT;
    struct buf body = BUF_INIT;
    struct http_reply reply;
    (void)state;
    put("hello", "good day");
    put(".rules", "1 head X-Linked-Etag:abc /hello\n");
    char *url = url_of("hello");
    struct http *h = http_new(&quick, url, NULL, &err);
    assert_int_equal(http_get(h, url, 100, &body, &reply, &err), 0);
    assert_string_equal(buf_str(&body), "good day");
    assert_int_equal(reply.status, 200);
    assert_string_equal(json_get_str(reply.first, "x-linked-etag", ""), "abc");
    http_reply_release(&reply);
    assert_int_equal(http_get(h, url, 7, &body, NULL, &err), -ERR_PARSE);
    assert_non_null(strstr(err.msg, "over 7 bytes"));
    http_free(h);
    free(url);
    buf_release(&body);
}

static void broken_off_goes_on(void **state)
{
    (void)state;
    download_whole("2 cut 100000 /big\n");
    assert_int_equal(waits, 2);
    char *log = get_log();
    assert_string_equal(log,
                        "A /big - -\nA /big bytes=100000- -\nA /big bytes=200000- -\n");
    free(log);
}

static void a_part_is_gone_on_from(void **state)
{
    (void)state;
    assert_int_equal(fs_write_atomic(part, content, 12345, NULL), 0);
    download_whole("");
    char *log = get_log();
    assert_string_equal(log, "A /big bytes=12345- -\n");
    free(log);
    /* whole already: nothing is asked */
    download_whole("");
    log = get_log();
    assert_string_equal(log, "A /big bytes=12345- -\n");
    free(log);
}

static void too_long_a_part_starts_again(void **state)
{
    (void)state;
    char *more = xcalloc(1, SIZE + 5);
    assert_int_equal(fs_write_atomic(part, more, SIZE + 5, NULL), 0);
    free(more);
    download_whole("");
}

static void without_ranges_it_starts_again(void **state)
{
    (void)state;
    download_whole("1 cut 100000 /big\n1 plain - /big\n");
}

static void a_wrong_range_is_not_taken(void **state)
{
    (void)state;
    download_whole("1 cut 100000 /big\n1 range 7 /big\n");
    assert_int_equal(waits, 2);
}

static void busy_servers_are_waited_for(void **state)
{
    (void)state;
    download_whole("1 status 429:1 /big\n1 status 503 /big\n1 status 500 /big\n");
    assert_int_equal(waits, 3);
    assert_true(waited_s >= 1.05 && waited_s < 1.2); /* 1, 0.02, 0.04 */
}

static void it_gives_up(void **state)
{
    (void)state;
    download_fails("9 status 503 /big\n", ERR_DEVICE, "HTTP 503, after 4 tries");
    download_fails("9 cut 100 /big\n", ERR_DEVICE, "after 4 tries");
}

static void progress_counts(void **state)
{
    (void)state;
    /* eight breaks, each after more than 64 KiB or near the end: never four in vain */
    unlink(part);
    download_whole("8 cut 70000 /big\n");
    assert_int_equal(waits, 4);
}

static void refusals_are_final(void **state)
{
    (void)state;
    download_fails("1 status 404 /big\n", ERR_NOINPUT, "not there (HTTP 404)");
    download_fails("1 status 401 /big\n", ERR_DEVICE, "refused (HTTP 401)");
    download_fails("1 status 418 /big\n", ERR_DEVICE, "HTTP 418");
    assert_int_equal(waits, 0);
}

static void more_bytes_than_told(void **state)
{
    (void)state;
    download_fails("1 extra 10 /big\n", ERR_PARSE, "more than 300000 bytes");
}

static void silence_ends(void **state)
{
    double began = clock_mono_s();
    (void)state;
    download_whole("1 stall 2 /big\n");
    assert_int_equal(waits, 1);
    assert_true(clock_mono_s() - began < 60);
}

static void token_stays_with_its_host(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    put(".rules", "1 other - /big\n");
    assert_int_equal(download_as("secret", SIZE, &err), 0);
    check_whole();
    char *log = get_log();
    assert_string_equal(log, "A /big - token\nB /big - -\n");
    free(log);
    assert_null(http_new(&quick, "http://example.org/", "secret", &err));
    assert_non_null(strstr(err.msg, "not sent over plain http"));
    err_clear(&err);
    assert_null(http_new(&quick, "http://127.0.0.1/", "a\r\nX-Evil: 1", &err));
    struct http *h = http_new(&quick, "https://example.org/", "secret", NULL);
    assert_non_null(h);
    http_free(h);
}

static void redirects_have_an_end(void **state)
{
    (void)state;
    download_fails("9 to /big /big\n", ERR_DEVICE, "more than 5 redirects");
    download_fails("1 to file:///etc/passwd /big\n", ERR_DEVICE, "no address");
    download_whole("1 to /big /big\n");
}

static void no_server(void **state)
{
    struct err err = ERR_INIT;
    struct buf body = BUF_INIT;
    (void)state;
    struct http *h = http_new(&quick, "http://127.0.0.1:1/", NULL, &err);
    assert_int_equal(http_get(h, "http://127.0.0.1:1/x", 10, &body, NULL, &err),
                     -ERR_DEVICE);
    assert_int_equal(waits, 3);
    http_free(h);
    err_clear(&err);
    assert_null(http_new(&quick, "ftp://127.0.0.1/", NULL, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    buf_release(&body);
}

/* ---- what is said to a server ---- */

static int send_to(const char *path, const struct http_send *what, struct buf *body,
                   long *status, struct err *err)
{
    char *url = url_of(path), *origin = url_of("");
    struct http *h = http_new(&quick, origin, NULL, err);
    struct http_reply reply;
    assert_int_equal(http_login(h, "ann", "s3:cret", err), 0);
    int rc = http_send(h, url, what, 1000, body, &reply, err);
    *status = reply.status;
    http_reply_release(&reply);
    http_free(h);
    free(url);
    free(origin);
    return rc;
}

static void check_sent(const char *head, const char *bytes, size_t n)
{
    struct buf text = BUF_INIT;
    char path[128];
    snprintf(path, sizeof path, "%s/.sent", root);
    assert_int_equal(fs_read(path, 1 << 20, &text, NULL), 0);
    assert_int_equal(text.len, strlen(head) + n);
    assert_memory_equal(buf_str(&text), head, strlen(head));
    assert_memory_equal(buf_str(&text) + strlen(head), bytes, n);
    buf_release(&text);
}

static void what_is_sent_arrives_whole(void **state)
{
    struct err err = ERR_INIT;
    struct buf body = BUF_INIT;
    long status;
    char *big = xasprintf("%s/big", root);
    const struct http_send text = {.method = "POST",
                                   .type = "application/json",
                                   .bytes = "{\"a\": 1}",
                                   .size = 8},
                           file = {.method = "PUT",
                                   .type = "application/octet-stream",
                                   .file = big,
                                   .size = SIZE};
    (void)state;
    put("answer", "thanks");
    assert_int_equal(send_to("answer", &text, &body, &status, &err), 0);
    assert_string_equal(buf_str(&body), "thanks");
    check_sent("POST application/json YW5uOnMzOmNyZXQ=\n", "{\"a\": 1}", 8);
    /* again from the start where the server could not */
    put(".rules", "2 status 503 /answer\n");
    assert_int_equal(send_to("answer", &file, &body, &status, &err), 0);
    assert_int_equal(waits, 2);
    check_sent("PUT application/octet-stream YW5uOnMzOmNyZXQ=\n", content, SIZE);
    put(".rules", "1 other - /answer\n");
    assert_int_equal(send_to("answer", &text, &body, &status, &err), 0);
    assert_string_equal(buf_str(&body), "thanks");
    check_sent("POST application/json \n", "{\"a\": 1}", 8); /* another host */
    buf_release(&body);
    free(big);
}

static void what_counts_twice_is_sent_once(void **state)
{
    struct err err = ERR_INIT;
    struct buf body = BUF_INIT;
    long status;
    const struct http_send once = {
        .method = "POST", .type = "text/plain", .bytes = "x", .size = 1, .once = true};
    (void)state;
    put("answer", "no");
    put(".rules", "1 status 503 /answer\n");
    assert_int_equal(send_to("answer", &once, &body, &status, &err), -ERR_DEVICE);
    assert_int_equal(status, 503);
    assert_int_equal(waits, 0);
    err_clear(&err);
    put(".rules", "1 refuse 400 /answer\n");
    assert_int_equal(send_to("answer", &once, &body, &status, &err), -ERR_DEVICE);
    assert_int_equal(status, 400);
    assert_string_equal(buf_str(&body), "no");
    assert_int_equal(http_send(NULL, "", &(struct http_send){.file = "/nowhere"}, 1,
                               &body, NULL, NULL),
                     -ERR_IO);
    struct http *h = http_new(&quick, "http://example.org/", NULL, NULL);
    err_clear(&err);
    assert_int_equal(http_login(h, "ann", "x", &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "not sent over plain http"));
    http_free(h);
    buf_release(&body);
}

/* The limit on file sizes stands for a disk that is full. */
static void a_full_disk_is_told(void **state)
{
    struct err err = ERR_INIT;
    struct rlimit old, small;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 100000, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = download_as(NULL, SIZE, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rc, -ERR_IO);
    assert_non_null(strstr(err.msg, "cannot write"));
    assert_int_equal(fs_size(part), 100000);
    download_whole("");
}

static void escapes(void **state)
{
    (void)state;
    char *a = url_escape("refs/pr/1 \xc3\xa4%", false),
         *b = url_escape("a/b-1.x_~", true);
    assert_string_equal(a, "refs%2Fpr%2F1%20%C3%A4%25");
    assert_string_equal(b, "a/b-1.x_~");
    free(a);
    free(b);
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    snprintf(part, sizeof part, "%s/part", root);
    content = xmalloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (char)(hash64(&i, sizeof i) >> 8);
    char *big = xasprintf("%s/big", root);
    if (fs_write_atomic(big, content, SIZE, NULL) < 0)
        return 1;
    setenv("no_proxy", "127.0.0.1,localhost", 1);
    server_start(&server, root);
#define T(f) cmocka_unit_test_setup(f, fresh)
    const struct CMUnitTest tests[] = {
        T(text_comes_whole),
        T(broken_off_goes_on),
        T(a_part_is_gone_on_from),
        T(too_long_a_part_starts_again),
        T(without_ranges_it_starts_again),
        T(a_wrong_range_is_not_taken),
        T(busy_servers_are_waited_for),
        T(it_gives_up),
        T(progress_counts),
        T(refusals_are_final),
        T(more_bytes_than_told),
        T(silence_ends),
        T(what_is_sent_arrives_whole),
        T(what_counts_twice_is_sent_once),
        T(token_stays_with_its_host),
        T(redirects_have_an_end),
        T(no_server),
        T(a_full_disk_is_told),
        T(escapes),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    server_stop(&server);
    fs_remove_tree(root, NULL);
    free(content);
    free(big);
    return rc;
}
