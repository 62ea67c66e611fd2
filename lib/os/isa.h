/* lib/os/isa.h - the instruction sets of this processor that kernels/cpu has code for.
 *
 * Their names are a user's words (PEFTLAB_CPU) and stand in results and in the store.
 * Which of them a build has depends on what it is compiled for: isa.def. */
#ifndef LIB_OS_ISA_H
#define LIB_OS_ISA_H

#include <stdbool.h>

enum isa {
#define ISA(name, runs) ISA_##name,
#include "lib/os/isa.def"
#undef ISA
    ISA_COUNT
};

const char *isa_name(enum isa isa);
/* By name; ISA_COUNT when this build has none such. */
enum isa isa_find(const char *name);
bool isa_runs(enum isa isa);
/* The widest that runs here. */
enum isa isa_widest(void);

#endif
