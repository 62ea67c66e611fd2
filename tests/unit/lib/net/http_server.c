/* Not a test: `lib_http_server ROOT PORTS-FILE` serves until it is killed
 * (http_server.h); for tests/cli/pull.bats. */
#include "tests/unit/support/http_server.h"

int main(int argc, char **argv)
{
    struct http_server s;
    char text[64];
    if (argc < 3)
        return 0;
    server_start(&s, argv[1]);
    snprintf(text, sizeof text, "%d %d\n", s.ports[0], s.ports[1]);
    if (fs_write_atomic(argv[2], text, strlen(text), NULL) < 0)
        return 1;
    for (;;)
        pause();
}
