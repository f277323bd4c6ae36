// Open MPI, as Swift sees it: Swift does not import cast macros, so each one gets a named accessor.
#pragma once
#include <mpi.h>

static inline MPI_Comm CMPI_commWorld(void) { return MPI_COMM_WORLD; }
