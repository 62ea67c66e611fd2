/* What others keep busy (lib/os/load.h): own work does not count, a child that is still
 * running does. */
#include "lib/os/load.h"
#include "lib/os/proc.h"
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

static void spin(double seconds)
{
    for (double end = clock_mono_s() + seconds; clock_mono_s() < end;)
        ;
}

static void too_short_is_not_known(void **state)
{
    struct load_watch w;
    (void)state;
    load_watch_start(&w);
    assert_true(isnan(load_watch_others(&w)));
}

/* Processor time of all less our own is never negative, and holds what a child uses. */
static void work_of_others_counts(void **state)
{
    struct load_watch w, own;
    (void)state;
    load_watch_start(&own);
    pid_t child = fork();
    if (child == 0)
        for (;;)
            ;
    load_watch_start(&w);
    spin(.5);
    double others = load_watch_others(&w);
    kill(child, SIGKILL);
    if (isnan(others))
        skip();                /* no /proc/stat here */
    assert_true(others > .05); /* a share of a core, however busy the machine */
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(load_watch_others(&own) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_short_is_not_known),
        cmocka_unit_test(work_of_others_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
