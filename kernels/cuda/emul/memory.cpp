/* kernels/cuda/emul/memory.cpp - device memory: buffers between guards.
 *
 * A buffer ends (to 256 bytes) where an unmapped page begins; the bytes between its end
 * and that page, and those before it, hold a pattern that is looked at after every launch
 * and copy. New memory is full of NaN. */
#include "cuda_runtime.h"
#include "emul.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATTERN = 0xA5 };
static const size_t PAGE = 4096, ALIGN = 256, FRONT = 64;

struct buffer {
    char *map, *data;
    size_t map_bytes, bytes; /* map_bytes without the guard page */
    struct buffer *next;
};
static struct buffer *buffers;
static int open_count;

static size_t rounded(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static bool protects(void)
{
    static int on = -1;
    if (on < 0) {
        const char *text = getenv("PEFTLAB_EMUL_PROTECT");
        on = text && *text && *text != '0';
    }
    return on;
}

static void check_pattern(const struct buffer *b, const char *from, const char *to)
{
    for (const char *p = from; p < to; p++)
        if (*(const unsigned char *)p != PATTERN)
            emul_fail("byte %ld of a device buffer of %zu bytes was written",
                      (long)(p - b->data), b->bytes);
}

static void check_buffer(const struct buffer *b)
{
    const size_t before = (size_t)(b->data - b->map);
    const char *front = b->data - (before < FRONT ? before : FRONT);
    check_pattern(b, front, b->data);
    check_pattern(b, b->data + b->bytes, b->map + b->map_bytes);
}

static void protect(int rights)
{
    for (struct buffer *b = buffers; b && protects(); b = b->next)
        if (mprotect(b->map, b->map_bytes, rights) != 0)
            emul_fail("mprotect failed");
}

void emul_memory_open(void)
{
    if (open_count++ == 0)
        protect(PROT_READ | PROT_WRITE);
}

void emul_memory_close(void)
{
    if (--open_count > 0)
        return;
    for (struct buffer *b = buffers; b; b = b->next)
        check_buffer(b);
    protect(PROT_NONE);
}

void emul_memory_check(const void *p, size_t bytes, const char *what)
{
    const char *begin = static_cast<const char *>(p);
    for (struct buffer *b = buffers; b; b = b->next)
        if (begin >= b->data && begin + bytes <= b->data + b->bytes)
            return;
    if (bytes > 0)
        emul_fail("%s: %zu bytes at %p are not in one device buffer", what, bytes, p);
}

/* ------------------------------------------------------------------------ the API */

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    const size_t room = rounded(bytes, ALIGN), map_bytes = rounded(room, PAGE) + PAGE;
    if (bytes > SIZE_MAX / 8)
        return cudaErrorMemoryAllocation;
    void *map = mmap(NULL, map_bytes + PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return cudaErrorMemoryAllocation;
    struct buffer *b = static_cast<struct buffer *>(malloc(sizeof *b));
    b->map = static_cast<char *>(map);
    b->map_bytes = map_bytes;
    b->bytes = bytes;
    b->data = b->map + map_bytes - room;
    mprotect(b->map + map_bytes, PAGE, PROT_NONE);
    memset(b->data, 0xff, bytes);
    memset(b->data + bytes, PATTERN, room - bytes);
    const size_t front = map_bytes - room < FRONT ? map_bytes - room : FRONT;
    memset(b->data - front, PATTERN, front);
    b->next = buffers;
    buffers = b;
    if (open_count == 0)
        protect(PROT_NONE);
    *p = b->data;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    if (!p)
        return cudaSuccess;
    for (struct buffer **at = &buffers; *at; at = &(*at)->next) {
        struct buffer *b = *at;
        if (b->data != p)
            continue;
        emul_memory_open();
        check_buffer(b);
        *at = b->next;
        munmap(b->map, b->map_bytes + PAGE);
        free(b);
        emul_memory_close();
        return cudaSuccess;
    }
    return cudaErrorInvalidValue;
}

cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
    emul_memory_check(p, bytes, "cudaMemset");
    emul_memory_open();
    memset(p, value, bytes);
    emul_memory_close();
    return cudaSuccess;
}

cudaError_t cudaMemset2DAsync(void *p, size_t pitch, int value, size_t width,
                              size_t height, cudaStream_t stream)
{
    (void)stream;
    if (height == 0)
        return cudaSuccess;
    if (pitch < width)
        return cudaErrorInvalidValue;
    emul_memory_check(p, pitch * (height - 1) + width, "cudaMemset2D");
    emul_memory_open();
    for (size_t r = 0; r < height; r++)
        memset(static_cast<char *>(p) + r * pitch, value, width);
    emul_memory_close();
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind)
{
    emul_memory_check(kind == cudaMemcpyHostToDevice ? dst : src, bytes, "cudaMemcpy");
    emul_memory_open();
    memcpy(dst, src, bytes);
    emul_memory_close();
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorInvalidValue;
}

/* The smallest GPU that the real backend is built for. */
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    if (device != 0)
        return cudaErrorInvalidValue;
    *p = {};
    snprintf(p->name, sizeof p->name, "host emulation, not a GPU");
    p->totalGlobalMem = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    p->major = 7;
    p->minor = 5;
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t status)
{
    switch (status) {
    case cudaSuccess:
        return "no error";
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorNoDevice:
        return "no CUDA-capable device is detected";
    }
    return "unknown error";
}
