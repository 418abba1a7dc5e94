# libcohort, shared and static, out of what cohort_sources collected.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(TPL REQUIRED)
pkg_check_modules(LIBEVENT REQUIRED IMPORTED_TARGET libevent_core)

get_property(cohort_source_list GLOBAL PROPERTY COHORT_SOURCES)
add_library(cohort_objects OBJECT ${cohort_source_list})
target_include_directories(cohort_objects PUBLIC core core/include)
set(cohort_private_libraries PkgConfig::LIBEVENT TPL::TPL Threads::Threads)
set(cohort_public_includes $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/core/include>)
if(COHORT_NET)
  find_package(OpenSSL 3 REQUIRED COMPONENTS Crypto SSL)
  target_include_directories(cohort_objects PUBLIC net net/include)
  list(APPEND cohort_private_libraries OpenSSL::SSL OpenSSL::Crypto)
  list(APPEND cohort_public_includes $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/net/include>)
endif()
target_link_libraries(cohort_objects PRIVATE cohort_warnings ${cohort_private_libraries})

foreach(kind IN ITEMS shared static)
  string(TOUPPER ${kind} upper)
  add_library(cohort_${kind} ${upper} $<TARGET_OBJECTS:cohort_objects>)
  set_target_properties(cohort_${kind} PROPERTIES OUTPUT_NAME cohort VERSION ${PROJECT_VERSION} SOVERSION 0)
  target_include_directories(cohort_${kind} PUBLIC ${cohort_public_includes} $<INSTALL_INTERFACE:include>)
  target_link_libraries(cohort_${kind} PRIVATE ${cohort_private_libraries})
endforeach()
set_target_properties(cohort_shared PROPERTIES EXPORT_NAME cohort)

# Of the shared library only cohort_* is seen, under a version, whatever a source file says.
target_link_options(cohort_shared PRIVATE LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/cohort.map LINKER:-z,relro,-z,now)
set_target_properties(cohort_shared PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/cohort.map)

# The same sources with points at which a process can be made to die (core/sync/fault.h): for tests, never installed.
if(COHORT_TESTS)
  add_library(cohort_faulty STATIC EXCLUDE_FROM_ALL ${cohort_source_list})
  target_compile_definitions(cohort_faulty PUBLIC COHORT_FAULTS)
  target_include_directories(cohort_faulty PUBLIC $<TARGET_PROPERTY:cohort_objects,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(cohort_faulty PRIVATE cohort_warnings ${cohort_private_libraries})
endif()
