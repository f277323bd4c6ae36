// Open MPI, as Swift sees it: Swift does not import cast macros, so each one gets a named accessor.
#pragma once
#include <mpi.h>

static inline MPI_Comm CMPI_commWorld(void) { return MPI_COMM_WORLD; }
static inline MPI_Info CMPI_infoNull(void) { return MPI_INFO_NULL; }
static inline MPI_Request CMPI_requestNull(void) { return MPI_REQUEST_NULL; }
static inline MPI_Errhandler CMPI_errorsReturn(void) { return MPI_ERRORS_RETURN; }

static inline MPI_Datatype CMPI_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype CMPI_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype CMPI_int64(void) { return MPI_INT64_T; }
static inline MPI_Datatype CMPI_byte(void) { return MPI_BYTE; }

static inline MPI_Op CMPI_sum(void) { return MPI_SUM; }
static inline MPI_Op CMPI_min(void) { return MPI_MIN; }
static inline MPI_Op CMPI_max(void) { return MPI_MAX; }

static inline const void *CMPI_inPlace(void) { return MPI_IN_PLACE; }
static inline MPI_Status *CMPI_statusesIgnore(void) { return MPI_STATUSES_IGNORE; }
