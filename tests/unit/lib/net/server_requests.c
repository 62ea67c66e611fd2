/* tests/unit/lib/net/server_requests.c - what handlers see of a request, who may ask how, errors in a
 * form of their own, uploads and files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/net/server.h"
#include "lib/net/server_upload.h"
#include "lib/net/url.h"
#include "tests/unit/support/loopback.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BODY = 1000, MOST_UPLOAD = 3 << 20 };

static struct server *server;
static char *folder;

/* --- handlers --- */

/* "path|name=value;...|body" */
static void tell(void *ctx, struct server_call *c)
{
    struct buf b = BUF_INIT;
    const char *name, *value;
    size_t size;
    (void)ctx;
    buf_printf(&b, "%s|", server_call_path(c));
    for (size_t i = 0; server_call_query_at(c, i, &name, &value); i++)
        buf_printf(&b, "%s=%s;", name, value);
    buf_printf(&b, "|%s", server_call_body(c, &size));
    value = server_call_query(c, "a");
    buf_printf(&b, "|%zu|%s", size, value ? value : "none");
    server_reply(c, 200, "text/plain", buf_str(&b), b.len);
    buf_release(&b);
}

static void refuse(void *ctx, struct server_call *c)
{
    (void)ctx;
    server_reply_error(c, 400, "it is \"wrong\"");
}

static void uploaded(void *ctx, struct server_call *c)
{
    uint64_t size;
    char text[64], *path = server_call_take_file(c, &size),
                   *to = xasprintf("%s/kept", folder);
    (void)ctx;
    assert_int_equal(fs_size(path), size);
    assert_int_equal(rename(path, to), 0);
    snprintf(text, sizeof text, "%llu bytes", (unsigned long long)size);
    server_reply(c, 200, "text/plain", text, strlen(text));
    free(path);
    free(to);
}

static void dropped(void *ctx, struct server_call *c)
{
    (void)ctx;
    server_reply(c, 200, "text/plain", "dropped", 7);
}

static void upload(void *ctx, struct server_call *c)
{
    const char *path = server_call_path(c);
    (void)ctx;
    if (strstr(path, "bad"))
        server_reply_error(c, 403, "not there");
    else if (strstr(path, "nowhere"))
        server_call_upload(c, "/nowhere/at/all", MOST_UPLOAD, uploaded);
    else
        server_call_upload(c, folder, MOST_UPLOAD,
                           strstr(path, "dropped") ? dropped : uploaded);
}

static void *send_file(void *ctx)
{
    struct server_call *c = ctx;
    char *path = xasprintf("%s/%s", folder, server_call_rest(c));
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    server_call_put(c, "X-Test", "yes");
    if (fd < 0)
        server_reply_error(c, 404, "there is none");
    else
        server_reply_file(c, 200, "application/octet-stream", fd,
                          (uint64_t)fs_size(path));
    free(path);
    return NULL;
}

static void file(void *ctx, struct server_call *c)
{
    pthread_t later;
    (void)ctx;
    server_call_rest(c);
    assert_int_equal(pthread_create(&later, NULL, send_file, c), 0);
    pthread_detach(later);
}

static const struct server_route routes[] = {
    {"GET", "/tell", tell, 0},           {"PUT", "/tell", tell, 0},
    {"PATCH", "/tell", tell, 0},         {"DELETE", "/tell", tell, 0},
    {"GET", "/open", tell, SERVER_OPEN}, {"POST", "/own/fail", refuse, 0},
    {"POST", "/fail", refuse, 0},        {"PUT", "/upload/*", upload, SERVER_UPLOAD},
    {"GET", "/file/*", file, 0}};

static json_t *own_error(int status, const char *param, const char *message)
{
    (void)param;
    return json_pack("{s:i, s:s}", "own", status, "why", message);
}

static const struct server_form forms[] = {{"/own/", own_error}};

/* --- a client --- */

static void start(const char *key)
{
    const struct server_options o = {.address = "127.0.0.1",
                                     .key = key,
                                     .basic = true,
                                     .max_body = MOST_BODY,
                                     .max_connections = 64,
                                     .forms = forms,
                                     .form_count = ARRAY_LEN(forms)};
    folder = fs_temp_folder("server", NULL);
    assert_int_equal(server_start(&server, &o, routes, ARRAY_LEN(routes), NULL, NULL), 0);
}

static void stop(void)
{
    server_drain(server);
    server_stop(server);
    fs_remove_tree(folder, NULL);
    free(folder);
}

static int begin(const char *head)
{
    const int fd = loopback_connect(server_port(server));
    assert_true(fd >= 0);
    assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
    return fd;
}

/* What comes until the connection ends. */
static const char *rest_of(int fd)
{
    static char bytes[8192];
    size_t n = 0;
    ssize_t more = 1;
    while (more > 0 && n < sizeof bytes - 1) {
        more = recv(fd, bytes + n, sizeof bytes - 1 - n, 0);
        n += more > 0 ? (size_t)more : 0;
    }
    bytes[n] = '\0';
    close(fd);
    return bytes;
}

/* The answer to "METHOD PATH", with further headers, each with its line's end. */
static const char *ask(const char *what, const char *headers, const char *body)
{
    char *text = xasprintf(
        "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: "
        "%zu\r\n%s\r\n%s",
        what, strlen(body), headers, body);
    const char *answer = rest_of(begin(text));
    free(text);
    return answer;
}

static void has(const char *answer, const char *text)
{
    if (!strstr(answer, text))
        fail_msg("lacks '%s': %s", text, answer);
}

static void lacks(const char *answer, const char *text)
{
    if (strstr(answer, text))
        fail_msg("has '%s': %s", text, answer);
}

/* --- tests --- */

static void test_queries_are_read_as_forms_write_them(void **state)
{
    (void)state;
    start(NULL);
    has(ask("GET /tell", "", ""), "\r\n\r\n/tell|||0|none");
    has(ask("GET /tell?a=exp%2Fa+b&b&a=2&%61b=%c3%a9&c=", "", ""),
        "\r\n\r\n/tell|a=exp/a b;b=;a=2;ab=\xc3\xa9;c=;||0|exp/a b");
    has(ask("GET /tell?a=x%00y&b=x%ffy&c=%zz%4&d=%2B%25", "", ""),
        "|a=x;b=x;c=%zz%4;d=+%;|");
    stop();
}

static void test_methods_with_bodies(void **state)
{
    (void)state;
    start(NULL);
    has(ask("PUT /tell?a=1", "", "one"), "/tell|a=1;|one|3|1");
    has(ask("PATCH /tell", "", "two"), "/tell||two|3|none");
    has(ask("DELETE /tell", "", ""), "/tell|||0|none");
    has(ask("POST /tell", "", ""), "405");
    has(ask("OPTIONS /tell", "", ""),
        "Allow: GET, HEAD, PUT, PATCH, DELETE, OPTIONS\r\n");
    stop();
}

static void test_errors_have_the_form_of_their_path(void **state)
{
    (void)state;
    start("secret");
    const char *key = "Authorization: Bearer secret\r\n";
    has(ask("POST /own/fail", key, ""),
        "{\"own\": 400, \"why\": \"it is \\\"wrong\\\"\"}");
    has(ask("GET /own/nowhere", key, ""), "{\"own\": 404,");
    has(ask("GET /own/fail", key, ""), "{\"own\": 405,");
    has(ask("POST /own/fail", "", ""), "{\"own\": 401,");
    has(ask("POST /fail", key, ""), "{\"error\": {\"message\": \"it is ");
    has(ask("GET /nowhere", key, ""), "{\"error\": {\"message\":");
    stop();
}

static void test_the_key_in_each_of_its_forms(void **state)
{
    (void)state;
    start("secret");
    has(ask("GET /tell", "", ""), "WWW-Authenticate: Basic realm=\"peftlab\"\r\n");
    has(ask("GET /open", "", ""), "200 OK");
    has(ask("GET /tell", "Authorization: bearer secret\r\n", ""), "200 OK");
    has(ask("GET /tell", "X-Peftlab-Token: secret\r\n", ""), "200 OK");
    has(ask("GET /tell", "Authorization: Basic YW55Om90aGVy\r\n", ""), "401");
    has(ask("GET /tell", "Authorization: Basic c2VjcmV0\r\n", ""), "401"); /* no name */
    has(ask("GET /tell", "Authorization: Basic ***\r\n", ""), "401");
    has(ask("GET /tell", "X-Peftlab-Token: secre\r\n", ""), "401");
    /* at once, however much would come */
    has(rest_of(begin("PUT /upload/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                      "2000000\r\n\r\n")),
        "401");
    has(ask("GET /tell", "Authorization: Basic YW55OnNlY3JldA==\r\n", ""), "200 OK");
    stop();
}

/* What a browser sends by itself is nobody's word. */
static void test_pages_of_other_origins(void **state)
{
    static const char basic[] = "Authorization: Basic YW55OnNlY3JldA==\r\n";
    char headers[300];
    (void)state;
    start("secret");
    snprintf(headers, sizeof headers, "%sOrigin: https://elsewhere.example\r\n", basic);
    has(ask("PUT /tell", headers, ""), "403");
    lacks(ask("PUT /tell", headers, ""), "Access-Control");
    snprintf(headers, sizeof headers, "%sOrigin: http://localhost:1\r\n", basic);
    has(ask("PUT /tell", headers, ""), "403");
    snprintf(headers, sizeof headers, "%sOrigin: http://localhost\r\n", basic);
    has(ask("PUT /tell", headers, ""), "200 OK");
    snprintf(headers, sizeof headers, "%sSec-Fetch-Site: cross-site\r\n", basic);
    has(ask("GET /tell", headers, ""), "403");
    has(ask("PUT /tell",
            "X-Peftlab-Token: secret\r\nOrigin: https://elsewhere.example\r\n", ""),
        "Access-Control-Allow-Origin: https://elsewhere.example\r\n");
    stop();
    start(NULL);
    has(ask("GET /tell", "Origin: https://elsewhere.example\r\n", ""), "403");
    has(ask("GET /tell", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", ""),
        "403");
    has(ask("GET /tell", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n",
            ""),
        "200 OK");
    has(ask("GET /tell", "Sec-Fetch-Site: same-origin\r\n", ""), "200 OK");
    stop();
}

static size_t files_left(void)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void test_uploads_go_to_a_file(void **state)
{
    (void)state;
    start(NULL);
    char *large = xcalloc(MOST_UPLOAD + 2, 1), *kept = xasprintf("%s/kept", folder);
    memset(large, 'x', MOST_UPLOAD);
    has(ask("PUT /upload/a", "", large), "\r\n\r\n3145728 bytes");
    assert_int_equal(fs_size(kept), MOST_UPLOAD);
    has(ask("PUT /upload/a", "", ""), "\r\n\r\n0 bytes");
    assert_int_equal(fs_size(kept), 0);
    has(rest_of(begin("PUT /upload/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")),
        "3 bytes");
    has(rest_of(begin("PUT /upload/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                      "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nab")),
        "2 bytes");
    assert_int_equal(files_left(), 1);
    has(ask("PUT /upload/dropped", "", "x"), "dropped");
    has(ask("PUT /upload/bad", "", "x"), "403");
    has(ask("PUT /upload/nowhere", "", "x"), "there is no place for an upload");
    has(rest_of(begin("PUT /upload/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                      "3145729\r\n\r\n")),
        "413");
    has(rest_of(begin("PUT /upload/bad HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                      "3145729\r\n\r\n")),
        "403");
    const int fd =
        begin("PUT /upload/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
              "Transfer-Encoding: chunked\r\n\r\n300001\r\n");
    assert_int_equal(send(fd, large, MOST_UPLOAD + 1, MSG_NOSIGNAL), MOST_UPLOAD + 1);
    send(fd, "\r\n0\r\n\r\n", 7, MSG_NOSIGNAL);
    has(rest_of(fd), "413");
    free(large);
    free(kept);
    stop();
}

/* Whoever leaves in the middle leaves nothing. */
static void test_half_an_upload_is_none(void **state)
{
    (void)state;
    start(NULL);
    const int fd = begin("PUT /upload/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                         "100\r\n\r\nabc");
    while (!files_left())
        has(ask("GET /tell", "", ""), "200 OK");
    close(fd);
    while (files_left())
        has(ask("GET /tell", "", ""), "200 OK");
    stop();
}

static void test_files_are_sent(void **state)
{
    (void)state;
    start(NULL);
    has(ask("PUT /upload/a", "", "of the file"), "11 bytes");
    const char *answer = ask("GET /file/kept", "", "");
    has(answer, "Content-Length: 11\r\n");
    has(answer, "X-Test: yes\r\n");
    has(answer, "\r\n\r\nof the file");
    answer = ask("HEAD /file/kept", "", "");
    has(answer, "Content-Length: 11\r\n");
    lacks(answer, "of the file");
    has(ask("GET /file/other", "", ""), "404");
    has(ask("PUT /upload/a", "", ""), "0 bytes");
    has(ask("GET /file/kept", "", ""), "Content-Length: 0\r\n");
    stop();
}

static void test_escapes_are_undone_once(void **state)
{
    size_t size;
    (void)state;
    char *text = url_unescape("a%2525%00%2fb%", &size);
    assert_int_equal(size, 8);
    assert_memory_equal(text, "a%25\0/b%", 8);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries_are_read_as_forms_write_them),
        cmocka_unit_test(test_methods_with_bodies),
        cmocka_unit_test(test_errors_have_the_form_of_their_path),
        cmocka_unit_test(test_the_key_in_each_of_its_forms),
        cmocka_unit_test(test_pages_of_other_origins),
        cmocka_unit_test(test_uploads_go_to_a_file),
        cmocka_unit_test(test_half_an_upload_is_none),
        cmocka_unit_test(test_files_are_sent),
        cmocka_unit_test(test_escapes_are_undone_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
