# The warnings every file of the project is built with.
add_library(cohort_warnings INTERFACE)
target_compile_options(cohort_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wformat=2 -Wvla -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wcast-qual -Wundef -Wconversion -Wno-sign-conversion)
if(COHORT_WERROR)
  target_compile_options(cohort_warnings INTERFACE -Werror)
endif()
