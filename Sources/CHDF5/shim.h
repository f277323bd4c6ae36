// HDF5, as Swift sees it: Swift does not import macros that call functions, so each one gets a named accessor.
#pragma once
#include <hdf5.h>

static inline hid_t CHDF5_nativeFloat(void) { return H5T_NATIVE_FLOAT; }
