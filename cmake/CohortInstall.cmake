# What `cmake --install` puts where: libraries, headers, the command, pages, and the two files
# by which others find us.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(cohort_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cohort)

install(TARGETS cohort_shared EXPORT cohort-shared-targets)
install(TARGETS cohort_static EXPORT cohort-static-targets)
install(DIRECTORY core/include/cohort DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
set(cohort_pc_requires libevent_core)
if(COHORT_NET)
  install(DIRECTORY net/include/cohort DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
  string(APPEND cohort_pc_requires " libssl libcrypto")
endif()

if(TARGET cohort_cmd)
  file(RELATIVE_PATH cohort_bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(cohort_cmd PROPERTIES INSTALL_RPATH "$ORIGIN/${cohort_bin_to_lib}")
  install(TARGETS cohort_cmd)
endif()
foreach(section RANGE 1 8)
  file(GLOB cohort_pages CONFIGURE_DEPENDS core/man/*.${section} net/man/*.${section})
  if(cohort_pages)
    install(FILES ${cohort_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endif()
endforeach()

# Both files find the prefix from where they lie, so an installed tree can be moved.
file(RELATIVE_PATH cohort_pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/cohort.pc.in cohort.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cohort.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(kind IN ITEMS shared static)
  install(EXPORT cohort-${kind}-targets NAMESPACE Cohort:: DESTINATION ${cohort_cmake_dir})
endforeach()
configure_package_config_file(cmake/cohort-config.cmake.in cohort-config.cmake INSTALL_DESTINATION ${cohort_cmake_dir})
write_basic_package_version_file(cohort-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cohort-config.cmake ${PROJECT_BINARY_DIR}/cohort-config-version.cmake
  cmake/FindTPL.cmake DESTINATION ${cohort_cmake_dir})
