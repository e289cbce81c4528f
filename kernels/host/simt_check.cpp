// simt_check.cpp - what is checked at each access of a kernel, and what is said about it.
// Kernels are compiled with -fsanitize=thread and -fsanitize=undefined; the sanitizers' callbacks are ours.
//
// Who touched a word last stands in its Cell as stamps: phase * 4096 + flags + thread.  A phase is what a block
// does between two barriers; phases are numbered through all launches, and one block runs at a time.  So an
// earlier stamp is of this phase, of an earlier phase of this block (a barrier in between: no race), of another
// block of this launch (nothing orders blocks: a race) or of an earlier launch (no race).

namespace {

constexpr uint64_t MANY = 1024;             // instead of a thread: more than one thread read in this phase
constexpr uint64_t OTHERS = 2048;           // another block of this launch has read too
constexpr uint64_t BYTES = 2048;            // in a word's write stamp: its bytes have cells of their own
constexpr int THREAD_BITS = 12;
constexpr size_t MOST_FINDINGS = 4;         // a launch ends with that many

struct Dim { unsigned x, y, z; };

struct Finding {
  char text[400];
  void *where, *elsewhere;                  // in the kernel's code; elsewhere: where another thread was, or null
  bool if_lines_differ;                     // it is none where both are copies of one source line
};

// A pointer argument: the bytes that are its array's, begin to end, in an allocation (index + 1, or 0), and its use.
struct Pointer { int argument; uint64_t begin, end; uint32_t owner; bool read, written; };

struct Counters { uint64_t reads, writes, bytes_read, bytes_written, distinct_read, distinct_written; };

// The launch that runs, or that ran last.
struct Launch {
  const char* kernel;
  Dim grid, block;
  uint64_t number, launch_start, block_start, phase;
  unsigned thread;                          // the one that runs
  uint64_t stamp;                           // of this phase and thread
  const char *stack, *stack_end;            // the thread's own
  const char *image, *image_end;            // the kernel's library
  Region shared, dynamic;
  std::vector<std::pair<uint64_t, uint64_t>> blocks;      // (first phase, linear index) of those that ran
  std::vector<Pointer> pointers;
  Counters counters;
  std::vector<Finding> findings;
};

Launch launch;

[[noreturn]] void abandon();                // ends the launch from within a thread: simt_threads.cpp

Dim place(uint64_t linear, const Dim& in) {
  return {(unsigned)(linear % in.x), (unsigned)(linear / in.x % in.y), (unsigned)(linear / in.x / in.y)};
}

// Notes a finding at `where` in the kernel about a thread; one for each pair of places.  Returns it, or null where it
// is known; valid until the next one.
Finding* note(unsigned thread, void* where, void* elsewhere, const char* format, va_list arguments) {
  for (const Finding& known : launch.findings)
    if (known.where == where && known.elsewhere == elsewhere) return nullptr;
  Finding found = {"", where, elsewhere, false};
  const Dim block = place(launch.blocks.back().second, launch.grid), t = place(thread, launch.block);
  const int head = snprintf(found.text, sizeof found.text, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): ",
                            launch.kernel, block.x, block.y, block.z, t.x, t.y, t.z);
  vsnprintf(found.text + head, sizeof found.text - head, format, arguments);
  launch.findings.push_back(found);
  return &launch.findings.back();
}

// A finding of the running thread that need not end the launch.
__attribute__((format(printf, 2, 3))) void found(void* where, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  note(launch.thread, where, nullptr, format, arguments);
  va_end(arguments);
  if (launch.findings.size() >= MOST_FINDINGS) abandon();
}

// ---- races ----

struct Access { bool write; void* where; };

__attribute__((noinline)) void race(const Access& access, bool shared, uint64_t earlier, const char* earlier_did) {
  const uint64_t phase = earlier >> THREAD_BITS, thread = earlier & (MANY - 1);
  const char *does = access.write ? "writes" : "reads", *memory = shared ? "shared" : "global";
  if (phase >= launch.block_start && !(earlier & OTHERS)) {
    const Dim t = place(thread, launch.block);
    found(access.where, "race: %s %s memory that thread (%u, %u, %u)%s %s, with no barrier in between", does, memory,
          t.x, t.y, t.z, earlier & MANY ? " and others" : "", earlier_did);
  } else if (earlier & OTHERS) {
    found(access.where, "race: %s %s memory that another block %s", does, memory, earlier_did);
  } else {
    auto after = std::upper_bound(launch.blocks.begin(), launch.blocks.end(), std::make_pair(phase, UINT64_MAX));
    const Dim b = place(std::prev(after)->second, launch.grid);
    found(access.where, "race: %s %s memory that block (%u, %u, %u) %s", does, memory, b.x, b.y, b.z, earlier_did);
  }
}

// Compares an access with a cell's stamps and leaves its own.  Stamps of phases before `first` do not matter.
// Returns whether this is the first access of its kind since then.
inline bool touch(Cell& cell, const Access& access, uint64_t first, bool shared) {
  const uint64_t stamp = launch.stamp, phase = launch.phase, me = stamp & (MANY - 1);
  const uint64_t written = cell.write >> THREAD_BITS, read = cell.read >> THREAD_BITS;
  if (written >= first && (written == phase ? (cell.write & (MANY - 1)) != me : written < launch.block_start))
    race(access, shared, cell.write, "wrote");
  if (access.write) {
    if (read >= first && (read < launch.block_start || cell.read & OTHERS ||
                          (read == phase && (cell.read & (MANY | (MANY - 1))) != me)))
      race(access, shared, cell.read, "read");
    cell.write = stamp;
    return written < first;
  }
  if (read < first) cell.read = stamp;
  else if (read < launch.block_start) cell.read = stamp | OTHERS;
  else if (read == phase) cell.read |= (cell.read & (MANY - 1)) == me ? 0 : MANY;
  else cell.read = stamp | (cell.read & OTHERS);
  return read < first;
}

// Bytes of a word: the word gets a cell for each of its bytes, until a launch that does not need them.
inline unsigned touch_bytes(Region& region, uint64_t word, unsigned from, unsigned to, const Access& access,
                            uint64_t first, bool shared) {
  Cell &whole = region.words[word], *bytes = region.bytes + 4 * word;
  if (!(whole.write & BYTES)) for (int b = 0; b < 4; ++b) bytes[b] = whole;
  unsigned fresh = 0;
  for (unsigned b = from; b < to; ++b) fresh += touch(bytes[b], access, first, shared);
  whole = {launch.phase << THREAD_BITS | BYTES, 0};
  return fresh;
}

// All words of an access; returns how many bytes are accessed in that way for the first time since `first`.
inline unsigned touch_words(Region& region, uint64_t offset, uint64_t bytes, const Access& access, uint64_t first,
                            bool shared) {
  unsigned fresh = 0;
  const uint64_t end = offset + bytes;
  for (uint64_t word = offset / 4; word * 4 < end; ++word) {
    const unsigned from = word * 4 < offset ? (unsigned)(offset & 3) : 0;
    const unsigned to = word * 4 + 4 > end ? (unsigned)(end & 3) : 4;
    Cell& cell = region.words[word];
    if (cell.write & BYTES && cell.write >> THREAD_BITS < first) cell = {0, 0};
    if (to - from == 4 && !(cell.write & BYTES)) fresh += 4 * touch(cell, access, first, shared);
    else fresh += touch_bytes(region, word, from, to, access, first, shared);
  }
  return fresh;
}

// ---- bounds and unwritten memory ----

inline bool all_written(const uint8_t* state, uint64_t bytes) {
  constexpr uint64_t ALL = 0x0101010101010101ull * WRITTEN;
  uint64_t word = ALL;
  for (; bytes >= 8; bytes -= 8, state += 8) {
    memcpy(&word, state, 8);
    if (word != ALL) return false;
  }
  word = ALL;
  if (bytes == 4) memcpy(&word, state, 4);
  else if (bytes == 1) memcpy(&word, state, 1);
  else for (uint64_t b = 0; b < bytes; ++b) if (state[b] != WRITTEN) return false;
  return word == ALL;
}

// "argument 2, an array of 400 bytes"
std::string name_of(const Pointer& pointer) {
  const Allocation& whole = device.allocations[pointer.owner - 1];
  const uint64_t size = pointer.end - pointer.begin;
  return "argument " + std::to_string(pointer.argument) + ", an array of " + std::to_string(size) + " bytes" +
         (size == whole.size ? "" : " in one of " + std::to_string(whole.size)) + (whole.live ? "" : " that was freed");
}

[[noreturn]] __attribute__((noinline)) void out_of_bounds(const Access& access, uint64_t bytes, const char* relation,
                                                          const std::string& of) {
  found(access.where, "out of bounds: %s %llu bytes %s %s", access.write ? "writes" : "reads", (unsigned long long)bytes,
        relation, of.c_str());
  abandon();
}

[[noreturn]] __attribute__((noinline)) void outside_array(const Access& access, const Pointer& pointer, uint64_t offset,
                                                          uint64_t bytes) {
  if (!pointer.owner) out_of_bounds(access, bytes, "of", "device memory that is no array's");
  const std::string name = name_of(pointer);
  if (offset < pointer.begin)
    out_of_bounds(access, bytes, (std::to_string(pointer.begin - offset) + " bytes before").c_str(), name);
  if (offset + bytes > pointer.end)
    out_of_bounds(access, bytes, ("at byte " + std::to_string(offset - pointer.begin) + " of").c_str(), name);
  out_of_bounds(access, bytes, "of", name);
}

__attribute__((noinline)) void unwritten(const Access& access, const char* what, uint64_t bytes) {
  found(access.where, "unwritten: reads %llu bytes of %s that nobody wrote", (unsigned long long)bytes, what);
}

inline void access_global(Pointer& pointer, uint64_t offset, uint64_t bytes, const Access& access) {
  if (offset < pointer.begin || offset + bytes > pointer.end) outside_array(access, pointer, offset, bytes);
  uint8_t* state = device.region.state + offset;
  if (!all_written(state, bytes)) {
    if (std::any_of(state, state + bytes, [](uint8_t s) { return s == RED || s == FREED; }))
      outside_array(access, pointer, offset, bytes);
    if (access.write) memset(state, WRITTEN, bytes);
    else unwritten(access, name_of(pointer).c_str(), bytes);
  }
  (access.write ? pointer.written : pointer.read) = true;
  const unsigned fresh = touch_words(device.region, offset, bytes, access, launch.launch_start, false);
  Counters& c = launch.counters;
  if (access.write) ++c.writes, c.bytes_written += bytes, c.distinct_written += fresh;
  else ++c.reads, c.bytes_read += bytes, c.distinct_read += fresh;
}

inline void access_shared(Region& region, uint64_t offset, uint64_t bytes, const Access& access, const char* what) {
  uint8_t* state = region.state + offset;
  if (!all_written(state, bytes)) {
    if (std::any_of(state, state + bytes, [](uint8_t s) { return s == RED; }))
      out_of_bounds(access, bytes, "outside", what);
    if (access.write) memset(state, WRITTEN, bytes);
    else unwritten(access, what, bytes);
  }
  touch_words(region, offset, bytes, access, launch.block_start, true);
}

__attribute__((noinline)) void access_elsewhere(const char* at, uint64_t bytes, const Access& access) {
  if (!access.write && at >= launch.image && at + bytes <= launch.image_end) return;      // a table of constants
  const uint64_t offset = device.offset_of((uint64_t)at);
  const uint64_t past_shared = (uint64_t)(at - launch.shared.base) - launch.shared.size;
  if (offset < RESERVED) out_of_bounds(access, bytes, "through", "a device address that was no pointer argument");
  if (past_shared < PAGE) out_of_bounds(access, bytes, "past the end of", "shared memory");
  if ((uint64_t)(launch.shared.base - at) <= PAGE) out_of_bounds(access, bytes, "before the start of", "shared memory");
  if ((uint64_t)at < RESERVED)
    out_of_bounds(access, bytes, "through", "a null pointer");
  out_of_bounds(access, bytes, "of", "memory that is neither the device's nor shared");
}

inline void access(const void* pointer, uint64_t bytes, bool write, void* where) {
  const char* at = (const char*)pointer;
  const Access how = {write, where};
  if (bytes == 0 || (at >= launch.stack && at < launch.stack_end)) return;
  const uint64_t in_windows = at - device.windows;
  if (in_windows / RESERVED < launch.pointers.size())
    access_global(launch.pointers[in_windows / RESERVED], in_windows % RESERVED, bytes, how);
  else if ((uint64_t)(at - launch.shared.base) < launch.shared.size)
    access_shared(launch.shared, at - launch.shared.base, bytes, how, "shared memory");
  else if ((uint64_t)(at - launch.dynamic.base) < launch.dynamic.size)
    access_shared(launch.dynamic, at - launch.dynamic.base, bytes, how, "dynamic shared memory");
  else access_elsewhere(at, bytes, how);
}

}  // namespace

// ---- the sanitizers' callbacks ----

#define WHERE __builtin_return_address(0)
#define ON_ACCESS(bytes)                                                                              \
  EXPORT void __tsan_read##bytes(void* p) { access(p, bytes, false, WHERE); }                         \
  EXPORT void __tsan_write##bytes(void* p) { access(p, bytes, true, WHERE); }                         \
  EXPORT void __tsan_unaligned_read##bytes(void* p) { access(p, bytes, false, WHERE); }               \
  EXPORT void __tsan_unaligned_write##bytes(void* p) { access(p, bytes, true, WHERE); }
ON_ACCESS(1) ON_ACCESS(2) ON_ACCESS(4) ON_ACCESS(8) ON_ACCESS(16)
EXPORT void __tsan_read_range(void* p, size_t bytes) { access(p, bytes, false, WHERE); }
EXPORT void __tsan_write_range(void* p, size_t bytes) { access(p, bytes, true, WHERE); }
EXPORT void __tsan_func_entry(void*) {}
EXPORT void __tsan_func_exit() {}
EXPORT void __tsan_init() {}

struct SourceLocation { const char* file; uint32_t line, column; };
struct TypeMismatch { SourceLocation at; const void* type; uint8_t log_alignment, kind; };

EXPORT void __ubsan_handle_type_mismatch_v1(TypeMismatch* what, uintptr_t pointer) {
  const uintptr_t alignment = (uintptr_t)1 << what->log_alignment;
  if (pointer < PAGE) {
    found(WHERE, "out of bounds: a null pointer");
  } else if (pointer & (alignment - 1)) {
    found(WHERE, "misaligned: an access that needs a multiple of %u bytes, at %u more", (unsigned)alignment,
          (unsigned)(pointer & (alignment - 1)));
  } else {
    found(WHERE, "out of bounds: past the end of a variable");
  }
  abandon();
}
EXPORT void __ubsan_handle_out_of_bounds(void*, uint64_t index) {
  found(WHERE, "out of bounds: index %lld of an array that is smaller", (long long)index);
  abandon();
}
#define ON_UNDEFINED(name, text, ...)                                                                 \
  EXPORT void __ubsan_handle_##name(__VA_ARGS__) { found(WHERE, "undefined behaviour: " text); }
ON_UNDEFINED(add_overflow, "a sum of integers overflows", void*, uint64_t, uint64_t)
ON_UNDEFINED(sub_overflow, "a difference of integers overflows", void*, uint64_t, uint64_t)
ON_UNDEFINED(mul_overflow, "a product of integers overflows", void*, uint64_t, uint64_t)
ON_UNDEFINED(negate_overflow, "a negated integer overflows", void*, uint64_t)
ON_UNDEFINED(shift_out_of_bounds, "a shift out of range", void*, uint64_t, uint64_t)
ON_UNDEFINED(pointer_overflow, "a pointer's arithmetic overflows", void*, uint64_t, uint64_t)
ON_UNDEFINED(float_cast_overflow, "a number that does not fit the integer that it is cast to", void*, uint64_t)
ON_UNDEFINED(load_invalid_value, "a value that its type does not have", void*, uint64_t)
ON_UNDEFINED(nonnull_arg, "a null pointer where none may be", void*)
EXPORT void __ubsan_handle_divrem_overflow(void*, uint64_t, uint64_t) {
  found(WHERE, "undefined behaviour: a division by zero, or one that overflows");
  abandon();
}
EXPORT void __ubsan_handle_builtin_unreachable(void*) {
  found(WHERE, "undefined behaviour: a place that must not be reached");
  abandon();
}
EXPORT void __ubsan_handle_missing_return(void*) {
  found(WHERE, "undefined behaviour: a function ends without a value");
  abandon();
}
