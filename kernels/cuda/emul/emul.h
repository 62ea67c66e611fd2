/* kernels/cuda/emul/emul.h - what the emulation's own files share. */
#ifndef KERNELS_CUDA_EMUL_EMUL_H
#define KERNELS_CUDA_EMUL_EMUL_H

#include <stddef.h>
#include <stdint.h>

/* Says what went wrong, where known in which kernel, block and thread; ends the
 * process. */
[[noreturn]] void emul_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The device works on its memory between these; calls may be nested. The second looks
 * whether anything around the buffers was written. */
void emul_memory_open(void);
void emul_memory_close(void);

/* Fails unless [p, p + bytes) lies in one device buffer. */
void emul_memory_check(const void *p, size_t bytes, const char *what);

#endif
