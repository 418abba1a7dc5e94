# COHORT_SANITIZE=address,undefined: the whole tree is built with it.
if(COHORT_SANITIZE)
  add_compile_options(-fsanitize=${COHORT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${COHORT_SANITIZE})
endif()
