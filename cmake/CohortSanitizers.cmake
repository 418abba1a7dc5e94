# COHORT_SANITIZE=address,undefined: the whole tree is built with it.
if(COHORT_SANITIZE)
  add_compile_options(-fsanitize=${COHORT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${COHORT_SANITIZE})
endif()

# COHORT_FUZZ: libFuzzer's coverage everywhere, and the sanitizers that judge.
if(COHORT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=address,undefined)
endif()

# A sanitized program is large, and there is one for each test: LLVM's linker takes half of the time.
if((COHORT_SANITIZE OR COHORT_FUZZ) AND CMAKE_C_COMPILER_ID MATCHES Clang)
  find_program(COHORT_LLD NAMES ld.lld)
  if(COHORT_LLD)
    add_link_options(-fuse-ld=lld)
  endif()
endif()
