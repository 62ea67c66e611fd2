/* kernels/cpu/cpu.h - the CPU backend: packed products and fused ops in three widths.
 *
 * One source (kernels/cpu/simd) is compiled once per instruction set; this file's
 * functions choose among the results at run time. Numbers differ between variants by
 * rounding only; within one variant they do not depend on threads or on how rows are
 * packed (see ops.def). */
#ifndef KERNELS_CPU_CPU_H
#define KERNELS_CPU_CPU_H

#include "kernels/backend.h"

/* The widest variant that this machine can run; PEFTLAB_CPU=NAME, a name of
 * lib/os/isa.def, forces one. NULL when the forced one is unknown or cannot run here:
 * cpu_backend_reason() then says why. */
const struct backend *cpu_backend(void);
/* A variant by name; NULL when there is none such or this machine lacks it. */
const struct backend *cpu_backend_variant(const char *name);
/* Why cpu_backend() returned NULL, as a message without a full stop; "" if it did not. */
const char *cpu_backend_reason(void);

#endif
