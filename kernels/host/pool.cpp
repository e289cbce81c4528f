// pool.cpp - the one thread pool of a process: kernels and matrix products both run on it.
// Two pools fight: one that spins while the other works costs up to a factor of two, so the library's
// products (BLAS) are called with one thread each, on tiles that this pool shares out.
// Threads take fixed, contiguous shares: the same block meets the same core's cache at every step.
#include <pthread.h>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(__i386__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX() asm volatile("yield")
#else
#define RELAX() std::this_thread::yield()
#endif

typedef void (*Job)(int part, int parts, void* argument);

namespace {

struct Pool {
  const int threads, spins;
  Job job = nullptr;
  void* argument = nullptr;
  bool ended = false;
  std::atomic<unsigned> round{0};               // a new round starts the workers
  std::vector<std::atomic<unsigned>> claimed;   // the last round in which somebody took this part
  std::atomic<int> unfinished{0}, asleep{0};
  std::mutex mutex;
  std::condition_variable wake;

  Pool(int threads, int spins) : threads(threads), spins(spins), claimed(threads) {}

  // Each part is done once a round: by its own thread, or by the caller where that thread is late
  // (asleep, or kept from a processor by other programs).
  void do_part(int part, unsigned now) {
    unsigned last = now - 1;
    if (!claimed[part].compare_exchange_strong(last, now)) return;
    job(part, threads, argument);
    unfinished.fetch_sub(1, std::memory_order_release);
  }

  void work(int part) {
    for (unsigned seen = 0;;) {
      for (int spin = 0; round.load(std::memory_order_acquire) == seen;) {
        if (++spin < spins) { RELAX(); continue; }
        std::unique_lock<std::mutex> lock(mutex);
        asleep.fetch_add(1);
        wake.wait(lock, [&] { return round.load() != seen; });
        asleep.fetch_sub(1);
      }
      seen = round.load(std::memory_order_acquire);
      if (ended) return;
      do_part(part, seen);
    }
  }

  unsigned begin() {
    const unsigned now = round.fetch_add(1) + 1;
    if (asleep.load()) {                        // a sleeper counts itself, then looks at the round again
      std::lock_guard<std::mutex> lock(mutex);
      wake.notify_all();
    }
    return now;
  }

  void run(Job what, void* with) {
    job = what;
    argument = with;
    unfinished.store(threads);
    const unsigned now = begin();
    for (int part = 0; part < threads; ++part) do_part(part, now);
    for (int spin = 0; unfinished.load(std::memory_order_acquire);)
      if (++spin < 2000) RELAX(); else std::this_thread::yield();
  }

  void end() { ended = true; begin(); }
};

std::shared_ptr<Pool>* pool = new std::shared_ptr<Pool>;
std::mutex* turn = new std::mutex;              // one launch at a time, from whichever Python thread
int wanted_threads = 1, wanted_spins = 0;

void start() {
  *pool = std::make_shared<Pool>(wanted_threads, wanted_spins);
  for (int part = 1; part < wanted_threads; ++part)
    std::thread([mine = *pool, part] { mine->work(part); }).detach();
}

// A forked child has none of the threads: it forgets the pool and makes its own when it needs one.
void after_fork() {
  pool = new std::shared_ptr<Pool>;
  turn = new std::mutex;
}

}  // namespace

// How many threads to use, and how often an idle one looks for work before it sleeps.
extern "C" void pool_configure(int threads, int spins) {
  static const int registered = pthread_atfork(nullptr, nullptr, after_fork);
  (void)registered;
  std::lock_guard<std::mutex> lock(*turn);
  if (*pool) (*pool)->end();                    // the last of its threads deletes it
  pool->reset();
  wanted_threads = threads;
  wanted_spins = spins;
}

// Runs job(part, parts, argument) for every part and returns when all are done.
extern "C" void pool_run(Job job, void* argument) {
  if (wanted_threads == 1) return job(0, 1, argument);
  std::lock_guard<std::mutex> lock(*turn);
  if (!*pool) start();
  (*pool)->run(job, argument);
}

// ---- matrix products: C = op(A) op(B), row major, in tiles on the pool ----

namespace {

template <class T> struct Product {
  void* blas;                // cblas_?gemm
  bool wide;                 // it takes 64-bit integers
  int transpose_a, transpose_b;
  int64_t m, n, k, lda, ldb, ldc;
  const T *a, *b;
  T* c;
  int tiles_m, tiles_n;
};

// Tiles begin at multiples of 16: a BLAS then computes every element with the same inner kernel and in
// the same order over k however many tiles there are, so the result does not depend on the threads.
int64_t cut(int64_t size, int tile, int tiles) { return tile == tiles ? size : size * tile / tiles / 16 * 16; }

template <class Integer, class T>
void multiply(const Product<T>& p, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  typedef void (*Gemm)(int, int, int, Integer, Integer, Integer, T, const T*, Integer, const T*, Integer, T, T*, Integer);
  const int row_major = 101, plain = 111, transposed = 112;
  ((Gemm)p.blas)(row_major, p.transpose_a ? transposed : plain, p.transpose_b ? transposed : plain,
                 (Integer)(m1 - m0), (Integer)(n1 - n0), (Integer)p.k, 1,
                 p.transpose_a ? p.a + m0 : p.a + m0 * p.lda, (Integer)p.lda,
                 p.transpose_b ? p.b + n0 * p.ldb : p.b + n0, (Integer)p.ldb, 0, p.c + m0 * p.ldc + n0, (Integer)p.ldc);
}

template <class T> void tiles_of(int part, int parts, void* argument) {
  const Product<T>& p = *(const Product<T>*)argument;
  const int tiles = p.tiles_m * p.tiles_n;
  for (int t = tiles * part / parts; t < tiles * (part + 1) / parts; ++t) {
    const int i = t / p.tiles_n, j = t % p.tiles_n;
    const int64_t m0 = cut(p.m, i, p.tiles_m), m1 = cut(p.m, i + 1, p.tiles_m);
    const int64_t n0 = cut(p.n, j, p.tiles_n), n1 = cut(p.n, j + 1, p.tiles_n);
    if (m0 == m1 || n0 == n1) continue;
    if (p.wide) multiply<int64_t>(p, m0, m1, n0, n1); else multiply<int>(p, m0, m1, n0, n1);
  }
}

template <class T> void product(Product<T> p) {
  // A tile is never so small that a BLAS would change to its small-matrix kernel, which sums in
  // another order: at least 2^21 multiplications.
  const int64_t most = p.m * p.n * p.k >> 21;
  int tiles = wanted_threads < most ? wanted_threads : (int)most;
  if (tiles < 1) tiles = 1;
  // Each tile packs its rows of A and columns of B: take the split that packs the least.
  p.tiles_m = 1; p.tiles_n = tiles;
  double best = 1e300;
  for (int i = 1; i <= tiles; ++i) {
    if (tiles % i) continue;
    const double cost = (double)p.m / i + 0.8 * (double)p.n / (tiles / i);
    if (cost < best) { best = cost; p.tiles_m = i; p.tiles_n = tiles / i; }
  }
  if (tiles == 1) tiles_of<T>(0, 1, &p); else pool_run(tiles_of<T>, &p);
}

}  // namespace

extern "C" void pool_sgemm(void* blas, int wide, int ta, int tb, int64_t m, int64_t n, int64_t k, const float* a,
                           int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc) {
  product<float>({blas, wide != 0, ta, tb, m, n, k, lda, ldb, ldc, a, b, c, 1, 1});
}

extern "C" void pool_dgemm(void* blas, int wide, int ta, int tb, int64_t m, int64_t n, int64_t k, const double* a,
                           int64_t lda, const double* b, int64_t ldb, double* c, int64_t ldc) {
  product<double>({blas, wide != 0, ta, tb, m, n, k, lda, ldb, ldc, a, b, c, 1, 1});
}
