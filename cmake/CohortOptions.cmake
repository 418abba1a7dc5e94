# Every option a user may set, in one place.
option(COHORT_TESTS "Build the tests (needs CUnit)" ON)
option(COHORT_EXAMPLES "Build the examples (needs zlib)" ON)
option(COHORT_FUZZ "Build the fuzz targets (needs clang)" OFF)
option(COHORT_WERROR "Treat warnings as errors" OFF)
option(COHORT_NET "Build the half that needs an address" ON)
set(COHORT_SANITIZE "" CACHE STRING "Sanitizers, as in address,undefined or thread")
option(COHORT_BENCH "Build the figures of tests/bench" ON)
