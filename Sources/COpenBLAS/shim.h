// OpenBLAS, as Swift sees it. `openblas_config.h` comes with <cblas.h>.
#pragma once
#include <cblas.h>

// Which processors a thread may run on; glibc declares these two only under _GNU_SOURCE.
extern int blas_getAffinity(int thread, unsigned long size, void *processors) __asm__("sched_getaffinity");
extern int blas_setAffinity(int thread, unsigned long size, const void *processors) __asm__("sched_setaffinity");
