# gfsa_layer(NAME DEPENDS public libraries... [PRIVATE libraries...]): the static library gfsa_NAME from every .cpp and
# .cu below src/NAME. A folder with headers only becomes an interface library.
add_library(gfsa_flags INTERFACE)
# For nvcc: constexpr functions run on GPUs as well; fmt 9 makes half of its constexpr functions plain ones under nvcc,
# which does not compile.
target_compile_options(gfsa_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -fno-math-errno -fno-trapping-math>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra --expt-relaxed-constexpr -DFMT_USE_CONSTEXPR=1>)
# GCC 12 reports these two inside its own std::string and fmt 9, falsely (gcc bugs 105329, 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(gfsa_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict -Wno-stringop-overflow>)
endif()
if(GFSA_WERROR)
  target_compile_options(gfsa_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>
                         $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
endif()
# -O3: the kernels rely on the vectoriser (src/core/cpu/simd.h).
target_compile_options(gfsa_flags INTERFACE
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:RelWithDebInfo>>:-O3 -g1 -UNDEBUG>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>:-O3>)
if(GFSA_SANITIZE)
  target_compile_options(gfsa_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${GFSA_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(gfsa_flags INTERFACE -fsanitize=${GFSA_SANITIZE})
endif()
if(GFSA_COVERAGE)
  # Counters are added atomically: loader threads and kernels count as well.
  target_compile_options(gfsa_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:--coverage -O1 -fprofile-update=atomic>)
  target_link_options(gfsa_flags INTERFACE --coverage)
endif()

function(gfsa_layer name)
  cmake_parse_arguments(LAYER "" "" "DEPENDS;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  file(GLOB_RECURSE device_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cu)
  gfsa_only_for_this_build(sources)
  gfsa_only_for_this_build(device_sources)
  if(sources)
    add_library(gfsa_${name} STATIC ${sources})
    target_include_directories(gfsa_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(gfsa_${name} PUBLIC gfsa_flags ${LAYER_DEPENDS} PRIVATE ${LAYER_PRIVATE})
    gfsa_device_sources(gfsa_${name} ${device_sources})
  else()
    add_library(gfsa_${name} INTERFACE)
    target_include_directories(gfsa_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(gfsa_${name} INTERFACE gfsa_flags ${LAYER_DEPENDS} ${LAYER_PRIVATE})
  endif()
endfunction()

# gfsa_tests(NAME LIBRARIES...): the program test_NAME from every .cpp and .cu below tests/NAME, known to CTest case by
# case.
function(gfsa_tests name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${name}/*.cpp)
  file(GLOB_RECURSE device_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${name}/*.cu)
  gfsa_only_for_this_build(sources)
  if(sources)
    add_executable(test_${name} ${sources})
    gfsa_device_sources(test_${name} ${device_sources})
    target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_link_libraries(test_${name} PRIVATE ${ARGN} gfsa_test_support)
    target_compile_definitions(test_${name} PRIVATE GFSA_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                               GFSA_BINARY_DIR="${CMAKE_BINARY_DIR}")
    gtest_discover_tests(test_${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 900 LABELS ${name})
  endif()
endfunction()
