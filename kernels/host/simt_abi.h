// simt_abi.h - what a kernel's library and the emulator tell each other.
// Pasted before both: before simt_kernel.h, and before the runtime's files.
struct SimtParameter { unsigned size; bool pointer; };
struct SimtKernel {
  const char* name;
  unsigned count;
  const SimtParameter* parameters;
  void (*enter)(void** arguments);
  char* (*anchor)();                        // a variable in the library's shared memory
};
enum SimtShuffle { SIMT_INDEX, SIMT_UP, SIMT_DOWN, SIMT_XOR };
