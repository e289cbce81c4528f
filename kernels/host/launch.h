// launch.h - runs a kernel's grid on the thread pool: one thread a block, every pool thread a fixed,
// contiguous share of the blocks.  The launcher pastes this after a kernel file and adds one
//   MINIVAE_ENTRY(name, (parameters), (arguments))
// for each kernel, which defines void launch_<name>(run, grid_x, grid_y, parameters...).
typedef void (*MinivaeJob)(int part, int parts, void* argument);
typedef void (*MinivaeRun)(MinivaeJob job, void* argument);

template <class Call> static void minivae_blocks(int part, int parts, void* argument) {
  const Call& call = *(const Call*)argument;
  const int64 blocks = (int64)call.grid_x * call.grid_y;
  gridDim = {call.grid_x, call.grid_y, 1};
  for (int64 b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
    blockIdx = {(unsigned)(b % call.grid_x), (unsigned)(b / call.grid_x), 0};
    call.kernel();
  }
}

template <class Kernel> struct MinivaeCall { unsigned grid_x, grid_y; Kernel kernel; };

template <class Kernel> static void minivae_grid(MinivaeRun run, unsigned grid_x, unsigned grid_y, Kernel kernel) {
  MinivaeCall<Kernel> call = {grid_x, grid_y, kernel};
  if ((int64)grid_x * grid_y == 1) minivae_blocks<MinivaeCall<Kernel>>(0, 1, &call);
  else run(minivae_blocks<MinivaeCall<Kernel>>, &call);
}

#define MINIVAE_UNWRAP(...) __VA_ARGS__
#define MINIVAE_ENTRY(name, parameters, arguments)                                                   \
  extern "C" void launch_##name(MinivaeRun run, unsigned grid_x, unsigned grid_y,                    \
                                MINIVAE_UNWRAP parameters) {                                         \
    minivae_grid(run, grid_x, grid_y, [=] { name arguments; });                                      \
  }
