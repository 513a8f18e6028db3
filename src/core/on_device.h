// on_device.h -- the one place that turns a run-time device into a template argument.
//
// What runs on several devices is a struct template over the device, `template <DeviceType D> struct GeluKernels`,
// whose members are defined for the CPU in the op's .cpp and for GPUs in its .cu; on_device() picks the one of a
// tensor:
//
//   on_device("gelu", x, [&](auto d) { GeluKernels<d>::forward(x, y); });
//
// Which devices a build has is known to the layers that link gfsa_devices (CMakeLists.txt), and to these alone: with
// another set of devices the others are not compiled anew.
#pragma once

#ifndef GFSA_DEVICES
#error "a layer whose sources ask for devices links gfsa_devices"
#endif

#include <type_traits>

#include "base/error.h"
#include "core/tensor.h"

namespace gfsa {

// f(d) with d, as a constant, the device's type, of those that this build has.
template <class F>
void on_device(const char* op, Device device, F&& f) {
  switch (device.type) {
    case DeviceType::cpu:
      f(std::integral_constant<DeviceType, DeviceType::cpu>{});
      return;
    case DeviceType::cuda:
#ifdef GFSA_HAS_CUDA
      f(std::integral_constant<DeviceType, DeviceType::cuda>{});
      return;
#endif
    case DeviceType::emulated:
#ifdef GFSA_HAS_EMULATED
      if (device.type == DeviceType::emulated) {
        f(std::integral_constant<DeviceType, DeviceType::emulated>{});
        return;
      }
#endif
      break;
  }
  fail("{}: has no kernel for device {}", op, device.text());
}
template <class F>
void on_device(const char* op, const Tensor& x, F&& f) {
  on_device(op, x.device(), f);
}

}  // namespace gfsa
