/* Tables and the progress line, on a pipe and on a pseudo terminal. */
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cmocka.h>

static struct text_table *example(void)
{
    static const char *const headings[] = {"name", "score", "note"};
    struct text_table *t = text_table_new(headings, "lrl", 3);
    text_table_row(t, (const char *const[]){"\u65e5\u672c", "9.5", NULL});
    text_table_row(t, (const char *const[]){"a\tb\x1b", "10", "caf\u00e9 noir"});
    return t;
}

static void check_printed(void (*print)(struct text_table *, FILE *),
                          const char *expected)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    struct text_table *t = example();
    print(t, f);
    text_table_free(t);
    fclose(f);
    assert_string_equal(text, expected);
    free(text);
}

static void plain(void **state)
{
    (void)state;
    check_printed(text_table_print, "name  score  note\n"
                                    "\u65e5\u672c    9.5\n"
                                    "a b?     10  caf\u00e9 noir\n");
    check_printed(text_table_print_tsv, "name\tscore\tnote\n"
                                        "\u65e5\u672c\t9.5\t\n"
                                        "a b?\t10\tcaf\u00e9 noir\n");
}

/* A pseudo terminal of the given width; the stream writes to it, *master reads. */
static FILE *terminal(unsigned short columns, int *master)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY);
    if (*master < 0 || grantpt(*master) < 0 || unlockpt(*master) < 0)
        return NULL;
    int slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
    struct winsize w = {.ws_row = 24, .ws_col = columns};
    if (slave < 0 || ioctl(slave, TIOCSWINSZ, &w) < 0)
        return NULL;
    return fdopen(slave, "w");
}

/* What came, up to a pause: the kernel may pass it on in pieces. The terminal has turned
 * \n into \r\n. */
static char *shown(FILE *f, int master)
{
    fflush(f);
    struct buf text = BUF_INIT;
    struct pollfd ready = {master, POLLIN, 0};
    while (poll(&ready, 1, text.len ? 100 : 5000) > 0) {
        char block[4096];
        ssize_t n = read(master, block, sizeof block);
        assert_true(n > 0);
        buf_add(&text, block, (size_t)n);
    }
    return buf_detach(&text, NULL);
}

static void cut_to_the_terminal(void **state)
{
    (void)state;
    int master;
    FILE *f = terminal(15, &master);
    if (!f)
        skip();
    setenv("NO_COLOR", "1", 1);
    struct text_table *t = example();
    text_table_print(t, f);
    char *text = shown(f, master);
    assert_string_equal(text, "name  score  n\u2026\r\n"
                              "\u65e5\u672c    9.5\r\n"
                              "a b?     10  c\u2026\r\n");
    free(text);
    unsetenv("NO_COLOR");
    text_table_print(t, f);
    text = shown(f, master);
    assert_memory_equal(text, "\033[1mname", 8);
    free(text);
    text_table_free(t);
    fclose(f);
    close(master);
}

static void progress_on_a_terminal(void **state)
{
    (void)state;
    int master;
    FILE *f = terminal(60, &master);
    if (!f)
        skip();
    struct progress *p = progress_new(f, "sweep");
    progress_set(p, 5, 20, 90, NULL);
    char *text = shown(f, master);
    assert_string_equal(text,
                        "\r\033[Ksweep [######------------------] 5/20, 1 min 30 s left");
    free(text);
    /* the bar makes room for the text, then the text is cut */
    progress_set(p, 5, 20, 90, "best 0.91");
    text = shown(f, master);
    assert_string_equal(
        text, "\r\033[Ksweep [#####-------------] 5/20, 1 min 30 s left, best 0.91");
    assert_int_equal(str_width(text + 4), 59);
    free(text);
    progress_set(p, 5, 20, 90, "the best of them has 0.91");
    text = shown(f, master);
    assert_string_equal(
        text, "\r\033[Ksweep [##------] 5/20, 1 min 30 s left, the best of them h\u2026");
    assert_int_equal(str_width(text + 4), 59);
    free(text);
    progress_note(p, "trial 6: done");
    text = shown(f, master);
    assert_memory_equal(text, "\r\033[Ktrial 6: done\r\n\r\033[Ksweep [", 28);
    free(text);
    progress_end(p);
    text = shown(f, master);
    assert_string_equal(text, "\r\033[K");
    free(text);
    fclose(f);
    close(master);
}

static void progress_elsewhere(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    struct progress *p = progress_new(f, "sweep");
    progress_set(p, 1, 2, 3, NULL);
    progress_note(p, "trial 1: done");
    progress_end(p);
    progress_end(NULL);
    fclose(f);
    assert_string_equal(text, "trial 1: done\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(cut_to_the_terminal),
        cmocka_unit_test(progress_on_a_terminal),
        cmocka_unit_test(progress_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
