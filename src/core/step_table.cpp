#include "core/step_table.h"

#include <array>
#include <cstring>

#include "core/cuda/runtime.h"

namespace gfsa {

struct StepTable::Impl {
  struct Staged {
    void* pinned = nullptr;
    Event copied;
  };

  DeviceRuntime& runtime;
  size_t bytes;
  Tensor table;
  std::array<Staged, 2> staged;  // used in turn
  size_t next = 0;

  Impl(Device device, size_t n)
      : runtime(dynamic_cast<DeviceRuntime&>(backend(device))),
        bytes(n),
        table(Tensor::empty({static_cast<int64_t>(n)}, DType::u8, device)) {
    for (Staged& s : staged) s = {runtime.allocate_pinned(n), runtime.create_event()};
  }
  ~Impl() {
    for (const Staged& s : staged) {
      runtime.synchronize(s.copied);
      runtime.release_pinned(s.pinned);
      runtime.destroy(s.copied);
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
};

StepTable::StepTable() = default;
StepTable::StepTable(Device device, size_t bytes)
    : impl_(bytes == 0 ? nullptr : std::make_unique<Impl>(device, bytes)) {}
StepTable::~StepTable() = default;
StepTable::StepTable(StepTable&&) noexcept = default;
StepTable& StepTable::operator=(StepTable&&) noexcept = default;

void StepTable::set(const void* values) {
  if (!impl_) return;
  Impl& t = *impl_;
  const Impl::Staged& s = t.staged[t.next];
  t.next = (t.next + 1) % t.staged.size();
  t.runtime.synchronize(s.copied);
  std::memcpy(s.pinned, values, t.bytes);
  t.runtime.copy_async(Transfer::to_device, t.table.raw(), s.pinned, t.bytes, {});
  t.runtime.record(s.copied, {});
}

size_t StepTable::bytes() const { return impl_ ? impl_->bytes : 0; }
void* StepTable::data() const { return impl_ ? impl_->table.raw() : nullptr; }

}  // namespace gfsa
