// HDF5, as Swift sees it: Swift does not import macros that call functions, so each one gets a named
// accessor.
#pragma once
#include <hdf5.h>

// MARK: Numbers in memory (this machine's order) and in files (little-endian everywhere)
static inline hid_t CHDF5_nativeFloat(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t CHDF5_nativeDouble(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t CHDF5_nativeInt64(void) { return H5T_NATIVE_INT64; }
static inline hid_t CHDF5_nativeInt32(void) { return H5T_NATIVE_INT32; }
static inline hid_t CHDF5_nativeUInt8(void) { return H5T_NATIVE_UINT8; }
static inline hid_t CHDF5_fileFloat(void) { return H5T_IEEE_F32LE; }
static inline hid_t CHDF5_fileDouble(void) { return H5T_IEEE_F64LE; }
static inline hid_t CHDF5_fileInt64(void) { return H5T_STD_I64LE; }
static inline hid_t CHDF5_fileInt32(void) { return H5T_STD_I32LE; }
static inline hid_t CHDF5_fileUInt8(void) { return H5T_STD_U8LE; }
static inline hid_t CHDF5_cString(void) { return H5T_C_S1; }

// MARK: Defaults and property list classes
static inline hid_t CHDF5_defaults(void) { return H5P_DEFAULT; }
static inline hid_t CHDF5_fileCreation(void) { return H5P_FILE_CREATE; }
static inline hid_t CHDF5_fileAccess(void) { return H5P_FILE_ACCESS; }
static inline hid_t CHDF5_datasetCreation(void) { return H5P_DATASET_CREATE; }
static inline hid_t CHDF5_groupCreation(void) { return H5P_GROUP_CREATE; }
static inline unsigned CHDF5_truncate(void) { return H5F_ACC_TRUNC; }
static inline unsigned CHDF5_readOnly(void) { return H5F_ACC_RDONLY; }
static inline unsigned CHDF5_creationOrder(void) { return H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED; }

/// How many files and objects in files are open in the whole library.
static inline ssize_t CHDF5_openObjectCount(void) {
  return H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
}

// MARK: Errors
static inline herr_t CHDF5_silence(void) { return H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }
static inline herr_t CHDF5_clearErrors(void) { return H5Eclear2(H5E_DEFAULT); }
static inline herr_t CHDF5_walkErrors(H5E_walk2_t visit, void *context) {
  return H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, visit, context);
}

// MARK: Functions whose names are versioned by macros
/// 1 when `name` in `location` is a hard link, 0 when it is another one, negative when it is missing.
static inline int CHDF5_isHardLink(hid_t location, const char *name) {
  H5L_info_t info;
  if (H5Lget_info(location, name, &info, H5P_DEFAULT) < 0) return -1;
  return info.type == H5L_TYPE_HARD;
}
