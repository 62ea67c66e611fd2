/* Files of `peftlab bench`; what is taken is a plan that can be drawn. */
#include "cli/serve/bench/bench_file.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench_file b;
    struct err e = ERR_INIT;
    if (bench_file_parse(&b, (const char *)data, size, &e) == 0 && b.rate_count) {
        size_t n;
        const struct schedule_spec s = {.rate = b.rates[0],
                                        .cv = b.cv,
                                        .duration_s = 20 / b.rates[0],
                                        .popularity = b.popularities[0].kind,
                                        .number = b.popularities[0].number,
                                        .adapters = b.clone,
                                        .texts = 3};
        struct planned_request *p = schedule_draw(&s, &n);
        for (size_t i = 0; i < n; i++)
            if (p[i].adapter >= b.clone || p[i].text >= 3 || !(p[i].at_s >= 0))
                abort();
        free(p);
    }
    bench_file_release(&b);
    return 0;
}
