// Coroutines of a block: Boost.Context's bare contexts, one a thread, kept from block to block and from launch to
// launch. A thread that has to wait switches straight to the next one.
#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>

#include "core/cuda/emulated/mbarrier.h"
#include "core/cuda/emulated/products.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace gfsa::emulator {
namespace {
namespace context = boost::context::detail;
constexpr size_t kStack = size_t{256} << 10;  // touched pages only; AddressSanitizer's frames are large
constexpr size_t kGuard = 4096;
// Stacks begin at different places of their pages, or all of them would want the same lines of the cache.
constexpr size_t kStagger = 832, kStaggerOver = size_t{64} << 10;
}  // namespace

struct Block::Stacks {
  std::vector<char*> stacks;
  const void* scheduler_bottom = nullptr;
  size_t scheduler_size = 0;
  std::vector<void*> fibers;  // ThreadSanitizer's, by thread
  void* scheduler_fiber = nullptr;
  char* of(size_t id) {
    while (stacks.size() <= id) {
      void* memory =
          ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) fail("emulated device: no memory for the stack of a thread");
      ::mprotect(memory, kGuard, PROT_NONE);
      stacks.push_back(static_cast<char*>(memory));
    }
    return stacks[id];
  }
};

Block::Block()
    : stacks_(std::make_unique<Stacks>()),
      mbarriers_(std::make_unique<Mbarriers>(*this)),
      products_(std::make_unique<Products>(*this)) {
  thread_.reserve(limits().threads);
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const auto map = [](size_t bytes) {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (memory == MAP_FAILED) fail("emulated device: no memory for the shared memory of a block");
    return memory;
  };
  shared_map.bytes = static_cast<char*>(map(kSharedAddresses));
  shared_map.states = static_cast<uint8_t*>(map(kSharedAddresses));
  shared_map.words = static_cast<SharedWord*>(map(kSharedAddresses / 4 * sizeof(SharedWord)));
  shared_map.product_reads = static_cast<ProductReads*>(map(sizeof(ProductReads)));
}

Block::~Block() {
  for (char* stack : stacks_->stacks) ::munmap(stack, kStack);
#ifdef __SANITIZE_THREAD__
  for (void* fiber : stacks_->fibers) __tsan_destroy_fiber(fiber);
#endif
}

void Block::enter(void* transfer_context, void* data) {
  Thread* previous = static_cast<Thread*>(data);
  Block& block = *current_block;
  (previous != nullptr ? previous->context : block.scheduler_context_) = transfer_context;
#ifdef __SANITIZE_ADDRESS__
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (previous == nullptr) block.stacks_->scheduler_bottom = bottom, block.stacks_->scheduler_size = size;
#endif
  block.run_threads();
}

void Block::make_context(Thread& t) {
  const size_t id = static_cast<size_t>(&t - thread_.data());
  char* stack = stacks_->of(id);
  t.fake_stack = nullptr;
#ifdef __SANITIZE_THREAD__
  auto& fibers = stacks_->fibers;
  if (fibers.size() <= id) fibers.resize(id + 1);
  // Kept where a kernel was abandoned: its few frames too many cost less than a thousand new fibers.
  if (fibers[id] == nullptr) fibers[id] = __tsan_create_fiber(0);
#endif
  const size_t unused = id * kStagger % kStaggerOver;
  t.context = context::make_fcontext(stack + kStack - unused, kStack - kGuard - unused,
                                     [](context::transfer_t from) { enter(from.fctx, from.data); });
}

void Block::switch_to(Thread* next) {
  Thread* self = current_thread;
  if (next == self) return;
  current_thread = next;
  void*& target = next != nullptr ? next->context : scheduler_context_;
#ifdef __SANITIZE_ADDRESS__
  void** fake = self != nullptr ? &self->fake_stack : &scheduler_fake_stack_;
  const void* bottom =
      next != nullptr ? stacks_->of(static_cast<size_t>(next - thread_.data())) : stacks_->scheduler_bottom;
  __sanitizer_start_switch_fiber(fake, bottom, next != nullptr ? kStack : stacks_->scheduler_size);
#endif
#ifdef __SANITIZE_THREAD__
  if (self == nullptr) stacks_->scheduler_fiber = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(
      next != nullptr ? stacks_->fibers[static_cast<size_t>(next - thread_.data())] : stacks_->scheduler_fiber, 0);
#endif
  const context::transfer_t from = context::jump_fcontext(target, self);
  // Here again, resumed by some thread or by the scheduler.
  Thread* previous = static_cast<Thread*>(from.data);
  (previous != nullptr ? previous->context : scheduler_context_) = from.fctx;
#ifdef __SANITIZE_ADDRESS__
  const void* old_bottom = nullptr;
  size_t old_size = 0;
  __sanitizer_finish_switch_fiber(*fake, &old_bottom, &old_size);
  if (previous == nullptr) stacks_->scheduler_bottom = old_bottom, stacks_->scheduler_size = old_size;
#endif
}

void Block::run_threads() {
  for (;;) {
    Thread* next = nullptr;
    try {
      (*kernel_)();
      thread_ended();
      next = take_ready();
    } catch (...) {
      error_ = std::current_exception();
    }
    switch_to(next);
  }
}

}  // namespace gfsa::emulator
