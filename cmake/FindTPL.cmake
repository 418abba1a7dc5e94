# TPL::TPL: tpl (Debian libtpl-dev).  Its pkg-config file names a wrong version, and there is
# no static library, so it is looked for by hand.
find_path(TPL_INCLUDE_DIR tpl.h)
find_library(TPL_LIBRARY tpl)
mark_as_advanced(TPL_INCLUDE_DIR TPL_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TPL REQUIRED_VARS TPL_LIBRARY TPL_INCLUDE_DIR)
if(TPL_FOUND AND NOT TARGET TPL::TPL)
  add_library(TPL::TPL UNKNOWN IMPORTED)
  set_target_properties(TPL::TPL PROPERTIES
    IMPORTED_LOCATION "${TPL_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${TPL_INCLUDE_DIR}")
endif()
