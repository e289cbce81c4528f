// pool.cpp - the one thread pool of a process: kernels and matrix products both run on it.
// Two pools fight: one that spins while the other works costs up to a factor of two.
// Threads take fixed, contiguous shares: the same block meets the same core's cache at every step.
#include <pthread.h>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
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
  int threads;                                  // those that could be started
  const int spins;
  Job job = nullptr;
  void* argument = nullptr;
  std::atomic<bool> ended{false};
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
std::atomic<int> wanted_threads{1};
int wanted_spins = 0;

void start() {
  *pool = std::make_shared<Pool>(wanted_threads, wanted_spins);
  for (int part = 1; part < (*pool)->threads; ++part) {
    try {
      std::thread([mine = *pool, part] { mine->work(part); }).detach();
    } catch (const std::system_error&) {
      (*pool)->threads = part;                  // the system gives no more: go on with these
    }
  }
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
  std::lock_guard<std::mutex> lock(*turn);      // held to the end: launches take turns
  if (!*pool) start();
  (*pool)->run(job, argument);
}
