# Where kernels (.cu) run: GPUs, through nvcc, and the emulated device, through the host's compiler.
set(GFSA_EMULATED AUTO CACHE STRING "The emulated device, on which kernels run without a GPU: ON, OFF, or AUTO: with the tests")
set(GFSA_CUDA AUTO CACHE STRING "Kernels for GPUs: ON, OFF, or AUTO: where nvcc is found, with the tests or where there is a GPU")
set_property(CACHE GFSA_CUDA GFSA_EMULATED PROPERTY STRINGS AUTO ON OFF)

set(GFSA_HAS_EMULATED ${GFSA_EMULATED})
if(GFSA_EMULATED STREQUAL "AUTO")
  set(GFSA_HAS_EMULATED ${GFSA_TESTS})
endif()
set(GFSA_COMPILE_CUDA ${GFSA_CUDA})
if(GFSA_CUDA STREQUAL "AUTO" AND NOT GFSA_TESTS AND NOT EXISTS /dev/nvidiactl AND NOT EXISTS /dev/dxg)
  set(GFSA_COMPILE_CUDA OFF)  # nothing here to use it; /dev/dxg is the GPU of a Linux under Windows
endif()
if(GFSA_CUDA STREQUAL "AUTO" AND (GFSA_SANITIZE OR GFSA_COVERAGE))
  set(GFSA_COMPILE_CUDA OFF)  # instrumented are the host's sources; nvcc knows nothing of these options
endif()
if(GFSA_COMPILE_CUDA)
  find_program(GFSA_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(GFSA_NVCC)
    set(CMAKE_CUDA_COMPILER ${GFSA_NVCC})
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      # PTX of the first one runs on everything newer.
      set(CMAKE_CUDA_ARCHITECTURES 80 90a-real CACHE STRING "GPU architectures, as CMake takes them")
    endif()
    if(CMAKE_CXX_COMPILER_LAUNCHER AND NOT DEFINED CMAKE_CUDA_COMPILER_LAUNCHER)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})  # ccache knows nvcc
    endif()
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know yet that nvcc has C++20
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    endif()
    find_package(CUDAToolkit REQUIRED)
  elseif(NOT GFSA_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "GFSA_CUDA=ON, but there is no nvcc: install the CUDA toolkit (13.0 or later), say where with "
                        "-DGFSA_NVCC=PATH, or use -DGFSA_CUDA=OFF")
  endif()
endif()
if(GFSA_NVCC AND GFSA_COMPILE_CUDA)
  set(GFSA_HAS_CUDA ON)
  message(STATUS "kernels are compiled for GPUs: ${CMAKE_CUDA_ARCHITECTURES}")
else()
  set(GFSA_HAS_CUDA OFF)
  message(STATUS "no kernels for GPUs (GFSA_CUDA=${GFSA_CUDA})")
endif()

# Which devices there are, for the sources that ask: core/on_device.h. Linked privately, so that a build that gains a
# device compiles these anew, and no others.
add_library(gfsa_devices INTERFACE)
target_compile_definitions(gfsa_devices INTERFACE GFSA_DEVICES $<$<BOOL:${GFSA_HAS_EMULATED}>:GFSA_HAS_EMULATED>
                           $<$<BOOL:${GFSA_HAS_CUDA}>:GFSA_HAS_CUDA>)
if(GFSA_HAS_CUDA AND CMAKE_CUDA_ARCHITECTURES MATCHES "90a")
  target_compile_definitions(gfsa_devices INTERFACE GFSA_HAS_SM90A)  # wgmma and TMA, for compute capability 9.0 alone
endif()

# gfsa_device_sources(TARGET SOURCES...): compiles each .cu for what this build has.
function(gfsa_device_sources target)
  foreach(source ${ARGN})
    # What only CUDA's runtime and driver do is no kernel.
    if(GFSA_HAS_EMULATED AND NOT source MATCHES "_cuda\\.cu$")
      file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${source})
      set(emulated ${CMAKE_BINARY_DIR}/emulated/${name}.cpp)
      file(CONFIGURE OUTPUT ${emulated} CONTENT "#define GFSA_EMULATED\n#include \"${source}\"\n" @ONLY)
      target_sources(${target} PRIVATE ${emulated})
    endif()
    if(GFSA_HAS_CUDA)
      target_sources(${target} PRIVATE ${source})
    endif()
  endforeach()
endfunction()

# Takes away what this build has no device for.
function(gfsa_only_for_this_build list)
  set(sources ${${list}})
  if(NOT GFSA_HAS_EMULATED)
    list(FILTER sources EXCLUDE REGEX "/core/cuda/emulated/|_emulated\\.cpp$")
  endif()
  if(GFSA_HAS_CUDA)
    list(FILTER sources EXCLUDE REGEX "/core/cuda/runtime_without_cuda\\.cpp$")
  else()
    list(FILTER sources EXCLUDE REGEX "/core/cuda/[a-z_]*_cuda\\.cu$|_cublaslt\\.cpp$")
  endif()
  set(${list} ${sources} PARENT_SCOPE)
endfunction()
