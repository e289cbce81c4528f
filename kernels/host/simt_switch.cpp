// simt_switch.cpp - goes from one stack to another: a dozen instructions where swapcontext() takes system calls.

namespace {

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(SIMT_UCONTEXT)

struct Context { void* stack_pointer; };

// Pushes what a called function must keep, leaves the stack pointer at `from` and goes on from the one given.
extern "C" void simt_switch(void** from, void* to);
#if defined(__x86_64__)
constexpr int RETURN = 6, FRAME = 8;      // words: where the return address stands, and all that is popped
asm(R"(
.text
.hidden simt_switch
.globl simt_switch
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
#else
constexpr int RETURN = 11, FRAME = 20;
asm(R"(
.text
.hidden simt_switch
.globl simt_switch
simt_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
#endif

void switch_context(Context& from, Context& to) { simt_switch(&from.stack_pointer, to.stack_pointer); }

// Makes a context that begins with entry() on a stack that ends at `end`, a multiple of 16.
void prepare(Context& context, char*, char* end, void (*entry)()) {
  void** frame = (void**)end - FRAME;
  for (int i = 0; i < FRAME; ++i) frame[i] = nullptr;
  frame[RETURN] = (void*)entry;
  context.stack_pointer = frame;
}

#else
}  // namespace
#include <ucontext.h>
namespace {

struct Context { ucontext_t state; };

void switch_context(Context& from, Context& to) { swapcontext(&from.state, &to.state); }

void prepare(Context& context, char* stack, char* end, void (*entry)()) {
  getcontext(&context.state);
  context.state.uc_stack.ss_sp = stack;
  context.state.uc_stack.ss_size = end - stack;
  context.state.uc_link = nullptr;
  makecontext(&context.state, entry, 0);
}

#endif

}  // namespace
