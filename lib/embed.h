/* lib/embed.h - files of the source tree inside the program (schema.sql, style sheets,
 * price lists).
 *
 * EMBED(name, "path/from/root") in one .c file defines `name` (bytes, NUL-terminated) and
 * `name_size`. The Makefile compiles from the root, and lists such files as prerequisites
 * (EMBEDDED). */
#ifndef LIB_EMBED_H
#define LIB_EMBED_H

#include <stddef.h>

#define EMBED(name, path)                                                                \
    __asm__(".section .rodata\n"                                                         \
            ".global " #name "\n.balign 16\n" #name ":\n.incbin \"" path                 \
            "\"\n.byte 0\n1:\n"                                                          \
            ".global " #name "_size\n.balign 8\n" #name "_size:\n.quad 1b - " #name      \
            " - 1\n.previous\n");                                                        \
    extern const char name[];                                                            \
    extern const size_t name##_size

#endif
