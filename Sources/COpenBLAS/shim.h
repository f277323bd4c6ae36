// OpenBLAS, as Swift sees it. `openblas_config.h` comes with <cblas.h>.
#pragma once
#include <cblas.h>
