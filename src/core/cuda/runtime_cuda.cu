// The CUDA half of core/cuda/runtime.h, over the CUDA runtime.
#include <cuda_runtime.h>

#include <array>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "core/cuda/launch.h"

namespace gfsa::cuda {
namespace {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky is reported once
  fail("cuda: {}: {} ({})", what, cudaGetErrorString(status), cudaGetErrorName(status));
}

cudaStream_t of(Stream s) { return static_cast<cudaStream_t>(s.handle); }
cudaEvent_t of(Event e) { return static_cast<cudaEvent_t>(e.handle); }
cudaGraphExec_t of(Graph g) { return static_cast<cudaGraphExec_t>(g.handle); }

constexpr int kMaxDevices = 64;
thread_local int current_device = -1;
thread_local std::array<cudaStream_t, kMaxDevices> current_streams{};

class CudaRuntime : public DeviceRuntime {
 public:
  explicit CudaRuntime(int index) : index_(index) {
    enter();
    check(cudaStreamCreateWithFlags(&main_, cudaStreamNonBlocking), "stream");
  }

  void* allocate(size_t bytes) override {
    enter();
    void* memory = nullptr;
    // A capture may need more memory; the allocation itself is no part of the graph.
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    check(cudaThreadExchangeStreamCaptureMode(&mode), "allocation");
    const cudaError_t status = cudaMalloc(&memory, bytes);
    check(cudaThreadExchangeStreamCaptureMode(&mode), "allocation");
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
    check(status, "allocation");
    return memory;
  }
  void release(void* memory, size_t) override {
    enter();
    check(cudaFree(memory), "release");
  }
  void copy_from_host(void* to, const void* from, size_t bytes) override {
    copy_on(current(), to, from, bytes, cudaMemcpyHostToDevice);
    check(cudaStreamSynchronize(current()), "copy to the device");  // pageable memory is the caller's again
  }
  void copy_to_host(void* to, const void* from, size_t bytes) override {
    copy_on(current(), to, from, bytes, cudaMemcpyDeviceToHost);
    check(cudaStreamSynchronize(current()), "copy to the host");
  }
  void copy(void* to, const void* from, size_t bytes) override {
    copy_on(current(), to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void zero(void* memory, size_t bytes) override { fill_async(memory, 0, bytes, {}); }
  void synchronize() override {
    enter();
    check(cudaDeviceSynchronize(), "synchronize");
  }
  std::string description() const override {
    cudaDeviceProp p;
    check(cudaGetDeviceProperties(&p, index_), "properties");
    return fmt::format("{}, compute capability {}.{}, {} multiprocessors, {} MiB", p.name, p.major, p.minor,
                       p.multiProcessorCount, p.totalGlobalMem >> 20);
  }
  bool has_warpgroups() const override {
#ifdef GFSA_HAS_SM90A
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index_), "properties");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index_), "properties");
    return major == 9 && minor == 0;
#else
    return false;
#endif
  }
  DeviceMemory memory() const override {
    enter();
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "memory");
    return {free, total};
  }

  Stream create_stream() override {
    enter();
    cudaStream_t s = nullptr;
    check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "stream");
    return {s};
  }
  void destroy(Stream stream) override {
    enter();
    check(cudaStreamSynchronize(of(stream)), "stream");
    check(cudaStreamDestroy(of(stream)), "stream");
  }
  Stream current_stream() override {
    enter();  // a launch follows
    return {current()};
  }
  void set_current_stream(Stream stream) override { current_streams[static_cast<size_t>(index_)] = of(stream); }
  void synchronize(Stream stream) override {
    enter();
    check(cudaStreamSynchronize(pick(stream)), "synchronize");
  }

  Event create_event() override {
    enter();
    cudaEvent_t e = nullptr;
    check(cudaEventCreate(&e), "event");
    return {e};
  }
  void destroy(Event event) override { check(cudaEventDestroy(of(event)), "event"); }
  void record(Event event, Stream stream) override {
    enter();
    check(cudaEventRecord(of(event), pick(stream)), "record");
  }
  void wait(Stream stream, Event event) override {
    enter();
    check(cudaStreamWaitEvent(pick(stream), of(event)), "wait");
  }
  bool is_done(Event event) override {
    const cudaError_t status = cudaEventQuery(of(event));
    if (status == cudaErrorNotReady) {
      cudaGetLastError();
      return false;
    }
    check(status, "event");
    return true;
  }
  void synchronize(Event event) override { check(cudaEventSynchronize(of(event)), "synchronize"); }
  double elapsed_ms(Event from, Event to) override {
    float ms = 0;
    check(cudaEventElapsedTime(&ms, of(from), of(to)), "elapsed_ms");
    return ms;
  }

  void* allocate_pinned(size_t bytes) override {
    enter();
    void* memory = nullptr;
    check(cudaMallocHost(&memory, bytes), "pinned memory");
    return memory;
  }
  void release_pinned(void* memory) override { check(cudaFreeHost(memory), "pinned memory"); }
  void copy_async(Transfer transfer, void* to, const void* from, size_t bytes, Stream stream) override {
    constexpr cudaMemcpyKind kKinds[] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice};
    copy_on(pick(stream), to, from, bytes, kKinds[static_cast<int>(transfer)]);
  }
  void fill_async(void* memory, uint8_t byte, size_t bytes, Stream stream) override {
    enter();
    check(cudaMemsetAsync(memory, byte, bytes, pick(stream)), "fill");
  }

  void begin_capture(Stream stream) override {
    enter();
    check(cudaStreamBeginCapture(pick(stream), cudaStreamCaptureModeThreadLocal), "begin_capture");
  }
  Graph end_capture(Stream stream) override {
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(pick(stream), &graph), "end_capture");
    cudaGraphExec_t ready = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&ready, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "graph");
    return {ready};
  }
  void abandon_capture(Stream stream) override {
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(pick(stream), &graph);  // says once more that the capture has failed
    cudaGetLastError();
    if (graph != nullptr) cudaGraphDestroy(graph);
  }
  void launch(Graph graph, Stream stream) override {
    enter();
    check(cudaGraphLaunch(of(graph), pick(stream)), "graph launch");
  }
  void destroy(Graph graph) override { check(cudaGraphExecDestroy(of(graph)), "graph"); }

 private:
  void enter() const {
    if (current_device == index_) return;
    check(cudaSetDevice(index_), "device");
    current_device = index_;
  }
  cudaStream_t current() const {
    cudaStream_t s = current_streams[static_cast<size_t>(index_)];
    return s != nullptr ? s : main_;
  }
  cudaStream_t pick(Stream stream) const { return stream.handle == nullptr ? current() : of(stream); }
  void copy_on(cudaStream_t stream, void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    enter();
    check(cudaMemcpyAsync(to, from, bytes, kind, stream), "copy");
  }

  int index_;
  cudaStream_t main_ = nullptr;
};

}  // namespace

void check_launch(int status, const char* kernel, const Launch& how) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  const auto error = static_cast<cudaError_t>(status);
  fail("cuda: kernel {} (op {}), grid ({}, {}, {}), block ({}, {}, {}), {} bytes of shared memory: {} ({})", kernel,
       how.op_text(), how.grid.x, how.grid.y, how.grid.z, how.block.x, how.block.y, how.block.z, how.shared_bytes,
       cudaGetErrorString(error), cudaGetErrorName(error));
}

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return count < kMaxDevices ? count : kMaxDevices;
}

std::string why_not() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return "";
  cudaGetLastError();
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0, runtime_version = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime_version);
    if (driver == 0) return "this machine has no NVIDIA driver";
    return fmt::format("the NVIDIA driver is too old (for CUDA {}.{}, this program needs {}.{}); update the driver",
                       driver / 1000, driver % 1000 / 10, runtime_version / 1000, runtime_version % 1000 / 10);
  }
  if (status == cudaSuccess || status == cudaErrorNoDevice) {
    return "the NVIDIA driver sees no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES";
  }
  return fmt::format("{} ({})", cudaGetErrorString(status), cudaGetErrorName(status));
}

DeviceRuntime& runtime(int index) {
  static std::mutex mutex;
  static auto* runtimes = new std::array<std::unique_ptr<CudaRuntime>, kMaxDevices>;
  const std::lock_guard lock(mutex);
  static const int count = device_count();
  if (count == 0) bad_input("device: 'cuda' cannot be used: {}", why_not());
  if (index < 0 || index >= count)
    bad_input("device: 'cuda:{}' cannot be used: there are {} GPUs, from cuda:0", index, count);
  auto& slot = (*runtimes)[static_cast<size_t>(index)];
  if (!slot) slot = std::make_unique<CudaRuntime>(index);
  return *slot;
}

DeviceRuntime& current_runtime() { return runtime(current_device < 0 ? 0 : current_device); }

}  // namespace gfsa::cuda
