/* Not a test: `report_example FILE [SEEDS]` makes a store with trials of known truth
 * (fixture.h), for tests/cli/report.bats and for looking at the page. */
#include "tests/unit/report/fixture.h"

int main(int argc, char **argv)
{
    struct store *s;
    struct err e = ERR_INIT;
    if (argc < 2)
        return 0;
    unlink(argv[1]);
    if (store_open(argv[1], STORE_CREATE, &s, &e) < 0) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    fill_reviews(s, argc > 2 ? atoi(argv[2]) : 3);
    store_close(s);
    return 0;
}
