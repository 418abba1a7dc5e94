# cohort_sources, cohort_test, cohort_example: a folder's CMakeLists.txt is a list of facts.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_definitions(_GNU_SOURCE)

# cohort_sources(FILE...): sources of libcohort, relative to the calling folder.
function(cohort_sources)
  foreach(file IN LISTS ARGN)
    set_property(GLOBAL APPEND PROPERTY COHORT_SOURCES "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  endforeach()
endfunction()

# cohort_test(NAME LABEL FILE...): a program of TESTs under the runner, linked with the static library.
function(cohort_test name label)
  cohort_test_with(cohort_static ${name} "${label}" ${ARGN})
endfunction()

# cohort_fault_test(NAME LABEL FILE...): the same, linked with the library that can be made to die (core/sync/fault.h).  Not
# under sanitizers: processes die by the thousand over memory that they share and no sanitizer watches.
function(cohort_fault_test name label)
  if(COHORT_SANITIZE)
    return()
  endif()
  cohort_test_with(cohort_faulty ${name} "${label}" ${ARGN})
  # Where they died: tests/fault/points.sh.
  set_tests_properties(${name} PROPERTIES FIXTURES_SETUP deaths ENVIRONMENT COHORT_FAULT_LOG=${CMAKE_CURRENT_BINARY_DIR}/${name}.deaths)
endfunction()

function(cohort_test_with library name label)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE cohort_test_support ${library} cohort_warnings)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/net ${PROJECT_SOURCE_DIR}/tests)
  target_compile_options(${name} PRIVATE -UNDEBUG)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT 300)
endfunction()

# cohort_contract(SUITE FILES FILE... KINDS KIND...): the same tests for each kind of thing that makes
# the same promise; ctest has SUITE/KIND, the program finds KIND in $COHORT_CONTRACT.
function(cohort_contract suite)
  cmake_parse_arguments(arg "" "" "FILES;KINDS" ${ARGN})
  add_executable(${suite}_contract ${arg_FILES})
  target_link_libraries(${suite}_contract PRIVATE cohort_test_support cohort_static cohort_warnings)
  target_include_directories(${suite}_contract
    PRIVATE ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/net ${PROJECT_SOURCE_DIR}/tests)
  target_compile_options(${suite}_contract PRIVATE -UNDEBUG)
  foreach(kind IN LISTS arg_KINDS)
    add_test(NAME ${suite}/${kind} COMMAND ${suite}_contract)
    set_tests_properties(${suite}/${kind} PROPERTIES
      LABELS "contract;unit" TIMEOUT 300 ENVIRONMENT "COHORT_CONTRACT=${kind};COHORT_COMMAND=${PROJECT_BINARY_DIR}/net/cmd/cohort")
  endforeach()
endfunction()

# cohort_example(NAME): examples/NAME.c linked with the shared library, as a user would.
function(cohort_example name)
  add_executable(${name} ${name}.c)
  target_link_libraries(${name} PRIVATE cohort_shared cohort_warnings ${ARGN})
endfunction()
