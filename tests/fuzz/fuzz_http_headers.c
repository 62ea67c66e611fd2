/* The head of an HTTP answer, line by line as libcurl hands it over. */
#include "lib/net/http_headers.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *headers = NULL;
    const char *at = (const char *)data, *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline ? newline + 1 : end;
        http_headers_line(&headers, at, (size_t)(next - at));
        at = next;
    }
    const bool begins = http_headers_range_at(headers, 7);
    const char *range = json_string_value(json_object_get(headers, "content-range"));
    if (json_object_size(headers) > 200 || (begins && (!range || !strstr(range, "7-"))))
        abort();
    json_decref(headers);
    return 0;
}
