// planted.cu - kernels with one fault each, for the emulator to find: bug = 0 is the same kernel without it.
// The lines of which one is the fault's, by the order of threads, end in  // <- and the kernel's name.
// Real CUDA throughout; a thread owns an element.
#define INDEX const int i = blockIdx.x * blockDim.x + threadIdx.x

// ---- bounds ----

extern "C" __global__ void global_read(const float* x, float* y, int bug) {
  INDEX;
  y[i] = x[i + bug];  // <- global_read
}

extern "C" __global__ void global_write(const float* x, float* y, int bug) {
  INDEX;
  y[i + bug] = x[i];  // <- global_write
}

extern "C" __global__ void static_shared(float* y, int bug) {
  __shared__ float s[64];
  float* p = s;
  p[threadIdx.x + bug] = 1.0f;  // <- static_shared
  __syncthreads();
  y[threadIdx.x] = p[63 - threadIdx.x];
}

// Not inlined: nothing is known here of where p is from.
__device__ __noinline__ void set(float* p) {
  *p = 1.0f;  // <- shared_by_pointer
}

extern "C" __global__ void shared_by_pointer(float* y, int bug) {
  __shared__ float s[64];
  set(s + threadIdx.x - bug);
  __syncthreads();
  y[threadIdx.x] = s[63 - threadIdx.x];
}

// Like set(), of either neighbour.
__device__ __noinline__ void set_at(float* p, int i) {
  p[i] = 1.0f;  // <- shared_neighbours
}

// bug: 1500 + elements too far in the first array, 2500 + those in the second.
extern "C" __global__ void shared_neighbours(float* y, int bug) {
  __shared__ float first[64];
  __shared__ float second[64];
  set_at(first, threadIdx.x + (bug / 1000 == 1 ? bug - 1500 : 0));
  set_at(second, threadIdx.x + (bug / 1000 == 2 ? bug - 2500 : 0));
  __syncthreads();
  y[threadIdx.x] = first[63 - threadIdx.x] + second[63 - threadIdx.x];
}

extern "C" __global__ void shared_index(float* y, int bug) {
  __shared__ float s[2][32];
  s[threadIdx.x / 32 + bug][threadIdx.x % 32] = 1.0f;  // <- shared_index
  __syncthreads();
  y[threadIdx.x] = s[1][threadIdx.x % 32];
}

extern "C" __global__ void dynamic_shared_end(float* y, int bug) {
  DYNAMIC_SHARED(float, s);
  s[threadIdx.x + bug] = 1.0f;  // <- dynamic_shared_end
  __syncthreads();
  y[threadIdx.x] = s[63 - threadIdx.x];
}

extern "C" __global__ void local_index(float* y, int bug) {
  float lane[4] = {1.0f, 2.0f, 3.0f, 4.0f};
  for (int k = 0; k < 4; ++k) lane[k] += (float)threadIdx.x;
  y[threadIdx.x] = lane[(threadIdx.x & 3) + bug];  // <- local_index
}

extern "C" __global__ void stored_address(const uint64* x, float* y, int bug) {
  const float* p = bug ? (const float*)x[0] : y;
  y[threadIdx.x] = p == y ? 1.0f : p[threadIdx.x];  // <- stored_address
}

// ---- alignment ----

extern "C" __global__ void vector_read(const float* x, float* y, int bug) {
  INDEX;
  const In<4> from(x + 4 * i + bug);  // <- vector_read
  y[i] = from[0] + from[3];
}

extern "C" __global__ void vector_write(float* y, int bug) {
  INDEX;
  Out<4> to(y + 4 * i + bug);
  for (int k = 0; k < 4; ++k) to[k] = (float)k;
  to.store();  // <- vector_write
}

// ---- memory that nobody wrote ----

extern "C" __global__ void unwritten_global(float* x, float* y, int bug) {
  if (!bug) x[threadIdx.x] = 1.0f;
  y[threadIdx.x] = x[threadIdx.x];  // <- unwritten_global
}

extern "C" __global__ void unwritten_shared(float* y, int bug) {
  __shared__ float s[64];
  if (!bug || blockIdx.x == 0 || blockIdx.x == 2) s[threadIdx.x] = 1.0f;
  __syncthreads();
  y[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x];  // <- unwritten_shared
}

extern "C" __global__ void unwritten_dynamic(float* y, int bug) {
  DYNAMIC_SHARED(float, s);
  if (!bug || blockIdx.x == 0 || blockIdx.x == 2) s[threadIdx.x] = 1.0f;
  __syncthreads();
  y[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x];  // <- unwritten_dynamic
}

// ---- races ----

extern "C" __global__ void shared_read_after_write(float* y, int bug) {
  __shared__ float s[64];
  s[threadIdx.x] = (float)threadIdx.x;  // <- shared_read_after_write
  if (!bug) __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
  if (threadIdx.x == 40) y[64] = s[3];  // <- shared_read_after_write
}

extern "C" __global__ void shared_write_after_read(float* y, int bug) {
  __shared__ float s[64];
  s[threadIdx.x] = (float)threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = s[63 - threadIdx.x];
  if (!bug) __syncthreads();
  s[threadIdx.x] = 0.0f;  // <- shared_write_after_read
}

extern "C" __global__ void shared_write_after_write(float* y, int bug) {
  __shared__ float s[1];
  if (bug || threadIdx.x == 7) s[0] = 1.0f;  // <- shared_write_after_write
  __syncthreads();
  y[threadIdx.x] = s[0];
}

extern "C" __global__ void tree_sum(const float* x, float* y, int bug) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  for (int half = 32; half > 0; half /= 2) {
    if ((int)threadIdx.x < half) s[threadIdx.x] += s[threadIdx.x + half];  // <- tree_sum
    if (!bug) __syncthreads();
  }
  if (threadIdx.x == 0) y[0] = s[0];
}

extern "C" __global__ void blocks_write_one_place(float* y, int bug) {
  if (threadIdx.x == 0) y[bug ? 0 : blockIdx.x] = 1.0f;  // <- blocks_write_one_place
}

extern "C" __global__ void blocks_read_others(float* y, int bug) {
  INDEX;
  y[i] = 1.0f;  // <- blocks_read_others
  __syncthreads();
  const int there = (bug ? (i + 64) % (gridDim.x * 64) : blockIdx.x * 64 + 63 - threadIdx.x);
  if (y[there] != 1.0f) y[i] = 2.0f;  // <- blocks_read_others
}

extern "C" __global__ void blocks_write_after_read(const float* x, float* y, float* z, int bug) {
  INDEX;
  z[i] = x[0] + y[bug ? 0 : i];  // <- blocks_write_after_read
  if (bug && i == 64 * (int)gridDim.x - 1) y[0] = 1.0f;  // <- blocks_write_after_read
}

extern "C" __global__ void threads_write_after_read(float* y, int bug) {
  const float next = y[(threadIdx.x + 1) % blockDim.x];
  if (!bug) __syncthreads();
  y[threadIdx.x] = next;  // <- threads_write_after_read
}

extern "C" __global__ void neighbouring_bytes(uint8* y, int bug) {
  INDEX;
  y[i / (1 + bug)] = 1;  // <- neighbouring_bytes
}

// ---- barriers and shuffles ----

extern "C" __global__ void barrier_of_some(float* y, int bug) {
  if (!bug || threadIdx.x < 40)
    __syncthreads();  // <- barrier_of_some
  y[threadIdx.x] = 1.0f;
}

extern "C" __global__ void barriers_apart(float* y, int bug) {
  if (!bug || threadIdx.x < 40) {
    y[threadIdx.x] = 1.0f;
    __syncthreads();  // <- barriers_apart
  } else {
    y[threadIdx.x] = 2.0f;
    __syncthreads();
  }
}

// Two barriers on one line, which pass for the copies that a compiler makes of one: they must not hide the next one.
#define BARRIER_BESIDE(value) { y[threadIdx.x] = value; __syncthreads(); y[threadIdx.x] = value + 1.0f; }

extern "C" __global__ void apart_after_copies(float* y, int bug) {
  for (int i = 0; i < 2; ++i) {
    const bool second = bug && i == 1;
    if (threadIdx.x < 40) BARRIER_BESIDE(1.0f) else if (!second) BARRIER_BESIDE(2.0f)  // <- apart_after_copies
    else {
      y[64 + threadIdx.x] = 1.0f;
      __syncthreads();
    }
  }
}

extern "C" __global__ void shuffle_sum(const float* x, float* y, int bug) {        // bug: the mask
  float value = x[threadIdx.x];
  for (int lanes = 8; lanes > 0; lanes /= 2) value += __shfl_xor_sync((unsigned)bug, value, lanes);  // <- shuffle_sum
  y[threadIdx.x] = value;
}

extern "C" __global__ void shuffle_kinds(const int* x, int* y, int bug) {          // y (4, 32)
  const int lane = threadIdx.x, value = x[lane];
  y[lane] = __shfl_sync(0xffffffffu, value, 5 + bug, 16);
  y[32 + lane] = __shfl_up_sync(0xffffffffu, value, 3, 16);
  y[64 + lane] = __shfl_down_sync(0xffffffffu, value, 3);
  y[96 + lane] = __shfl_xor_sync(0xffffffffu, value, 17);
}

extern "C" __global__ void shuffle_after_exit(const float* x, float* y, int bug) {
  if (bug && threadIdx.x == 9) return;
  y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);  // <- shuffle_after_exit
}

extern "C" __global__ void shuffle_beside_barrier(const float* x, float* y, int bug) {
  if (bug && threadIdx.x == 9) __syncthreads();
  y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);  // <- shuffle_beside_barrier
}

extern "C" __global__ void masks_differ(const float* x, float* y, int bug) {
  const unsigned mask = bug && threadIdx.x == 9 ? 0x0000ffffu : 0xffffffffu;
  y[threadIdx.x] = __shfl_xor_sync(mask, x[threadIdx.x], 1);  // <- masks_differ
}

extern "C" __global__ void shuffle_from_outside(const float* x, float* y, int bug) {
  if (threadIdx.x < 16)
    y[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, x[threadIdx.x], bug ? 16 : 1);  // <- shuffle_from_outside
}

extern "C" __global__ void half_warps(const float* x, float* y, int bug) {         // each half on its own: no fault
  const unsigned mask = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
  float value = x[threadIdx.x];
  for (int lanes = 8 - bug; lanes > 0; lanes /= 2) value += __shfl_xor_sync(mask, value, lanes);
  y[threadIdx.x] = value;
}

// ---- undefined behaviour ----

extern "C" __global__ void sum_overflows(const int* x, int* y, int bug) {
  y[threadIdx.x] = x[threadIdx.x] + 0x7fffff00 * bug;  // <- sum_overflows
}

extern "C" __global__ void shift_too_far(const int* x, int* y, int bug) {
  y[threadIdx.x] = x[threadIdx.x] << (1 + 31 * bug);  // <- shift_too_far
}

extern "C" __global__ void number_does_not_fit(const float* x, int* y, int bug) {
  y[threadIdx.x] = (int)(x[threadIdx.x] * (bug ? 1e20f : 1.0f));  // <- number_does_not_fit
}

extern "C" __global__ void division_by_zero(const int* x, int* y, int bug) {
  y[threadIdx.x] = 100 / (x[threadIdx.x] - bug);  // <- division_by_zero
}

// ---- without a fault ----

extern "C" __global__ void scaled(const float* x, float* y, float scale) {
  INDEX;
  y[i] = scale * x[i];
}

// Of blocks of (4, 2, 3) threads in a grid of (2, 3, 2).
extern "C" __global__ void indices(int* y) {
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  y[block * 24 + thread] = block * 1000 + thread;
}

// With 2 * count barriers.
extern "C" __global__ void rounds(float* y, int count) {
  __shared__ float s[256];
  s[threadIdx.x] = 1.0f;
  for (int round = 0; round < count; ++round) {
    __syncthreads();
    const float next = s[(threadIdx.x + 1) % blockDim.x];
    __syncthreads();
    s[threadIdx.x] = next;
  }
  y[blockIdx.x * blockDim.x + threadIdx.x] = s[threadIdx.x];
}
