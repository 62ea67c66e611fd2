/* kernels/cuda/emul/fiber.S - emul_switch(void **save, void *to): leaves the running
 * stack, its top in *save, and goes on where the stack `to` was left (x86-64, System V:
 * the registers that a call keeps). */
.globl emul_switch
.hidden emul_switch
.type emul_switch, @function
emul_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
.size emul_switch, . - emul_switch
.section .note.GNU-stack, "", @progbits
