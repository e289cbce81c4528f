// launch.h - runs a kernel's grid on the thread pool: one thread a block, every pool thread a fixed,
// contiguous share of the blocks.  The launcher pastes this, after array.h, behind a kernel file and adds one
//   MINIVAE_ENTRY(name)
// for each kernel, which defines int launch_<name>(packed).  `packed` is what minivae/arguments.py makes of a launch: grid
// and arguments one behind the other as in a struct, arrays as addresses of NumPy's objects.  These are checked here, in
// a hundredth of the time that Python would take; where one is refused nothing runs, the entry returns 0, and Python says why.
#include <tuple>
#include <type_traits>

typedef void (*MinivaeJob)(int part, int parts, void* argument);
typedef void (*MinivaeRun)(MinivaeJob job, void* argument);

enum { MINIVAE_CONTIGUOUS = 0x1, MINIVAE_WRITEABLE = 0x400, MINIVAE_ALIGNMENT = 16 };

static MinivaeRun minivae_run;
static ptrdiff_t minivae_head;                      // bytes of an object's head; its type is the last of them
static const void* minivae_kind;                    // NumPy's type of arrays
template <class T> static const void* minivae_dtype;

extern "C" void minivae_configure(MinivaeRun run, int64 head, const void* kind, const void* const* dtypes) {
  minivae_run = run;
  minivae_head = head;
  minivae_kind = kind;
  minivae_dtype<int> = dtypes[0];                   // in the order of SCALARS in minivae/arguments.py
  minivae_dtype<uint32> = dtypes[1];
  minivae_dtype<uint8> = dtypes[2];
  minivae_dtype<int64> = dtypes[3];
  minivae_dtype<uint64> = dtypes[4];
  minivae_dtype<float> = dtypes[5];
  minivae_dtype<double> = dtypes[6];
}

// Whether an object is an array of that dtype as kernels ask for: contiguous, aligned, not empty, where need be writeable.
static bool minivae_fits(const char* object, const void* dtype, int flags) {
  const char* type;
  MinivaeArray array;
  memcpy(&type, object + minivae_head - sizeof type, sizeof type);
  if (type != minivae_kind) return false;
  memcpy(&array, object + minivae_head, sizeof array);
  bool some = true;
  for (int i = 0; i < array.axes; ++i) some = some && array.shape[i] != 0;
  return some && array.dtype == dtype && (array.flags & flags) == flags && (size_t)array.data % MINIVAE_ALIGNMENT == 0;
}

// Takes one argument after the other out of the packed bytes.
struct MinivaePacked {
  const char* const begin;
  size_t at = 0;
  bool fit = true;

  template <class T> T next() {
    T value;
    at = (at + alignof(T) - 1) / alignof(T) * alignof(T);
    memcpy(&value, begin + at, sizeof value);
    at += sizeof value;
    return value;
  }
  template <class T> void take(T& value) { value = next<T>(); }
  template <class T> void take(T*& data) {
    const char* object = next<const char*>();
    fit = fit && minivae_fits(object, minivae_dtype<std::remove_const_t<T>>,
                              MINIVAE_CONTIGUOUS | (std::is_const_v<T> ? 0 : MINIVAE_WRITEABLE));
    if (fit) memcpy(&data, object + minivae_head, sizeof data);
  }
};

template <class Call> static void minivae_blocks(int part, int parts, void* argument) {
  const Call& call = *(const Call*)argument;
  const int64 blocks = (int64)call.grid_x * call.grid_y;
  gridDim = {call.grid_x, call.grid_y, 1};
  for (int64 b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
    blockIdx = {(unsigned)(b % call.grid_x), (unsigned)(b / call.grid_x), 0};
    call.run();
  }
}

template <auto kernel> struct MinivaeEntry;
template <class... P, void (*kernel)(P...)> struct MinivaeEntry<kernel> {
  struct Call {
    unsigned grid_x, grid_y;
    std::tuple<P...> arguments;
    void run() const { std::apply(kernel, arguments); }
  };

  static int launch(const char* bytes) {
    MinivaePacked packed{bytes};
    Call call{packed.next<unsigned>(), packed.next<unsigned>(), {}};
    std::apply([&](P&... each) { (packed.take(each), ...); }, call.arguments);
    if (!packed.fit) return 0;
    if ((int64)call.grid_x * call.grid_y == 1) minivae_blocks<Call>(0, 1, &call);
    else minivae_run(minivae_blocks<Call>, &call);
    return 1;
  }
};

#define MINIVAE_ENTRY(name) extern "C" int launch_##name(const char* packed) { return MinivaeEntry<&name>::launch(packed); }
