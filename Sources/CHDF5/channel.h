// An HDF5 file driver over a descriptor that the caller has opened, for three reasons:
//
// - A file is verified and then parsed through the *same* descriptor: nobody can swap it in between.
// - libhdf5 must not see a write fail. It cannot close a file whose cache it cannot flush: the file stays
//   open for ever, and 1.10.8 crashes on it when the process ends. Here the first failure is remembered and
//   all later writes are dropped, so the library closes in good order and the caller reads the cause: errno,
//   place and size.
// - It takes no file locks; readers of a published file need none, and on NFS and Lustre they often fail.
//
// H5FD_class_t is the public interface of such drivers: H5FDpublic.h, since 1.13.2 H5FDdevelop.h.
#pragma once
#include <errno.h>
#include <hdf5.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 13, 2)
#include <H5FDdevelop.h>
#endif

/// What the driver needs from its user and tells him; it must outlive the HDF5 file.
typedef struct CHDF5_channel {
  /// Open for reading, or for reading and writing; never closed by the driver.
  int descriptor;
  /// errno of the first write that failed, or 0; writes after it are dropped.
  int writeError;
  /// errno of the last read that failed, or 0.
  int readError;
  /// Where that write began, and how many bytes it had.
  unsigned long long failedOffset, failedCount;
} CHDF5_channel;

/// The driver's view of a file: HDF5's own part comes first.
typedef struct CHDF5_channelFile {
  H5FD_t base;
  CHDF5_channel *channel;
  haddr_t endOfAllocation, endOfFile;
} CHDF5_channelFile;

static void CHDF5_noteWriteError(CHDF5_channel *channel, haddr_t offset, size_t count) {
  channel->writeError = errno ? errno : EIO;
  channel->failedOffset = offset;
  channel->failedCount = count;
}

static H5FD_t *CHDF5_channelOpen(const char *name, unsigned flags, hid_t access, haddr_t maximum) {
  (void)name;
  (void)maximum;
  CHDF5_channel *const *given = (CHDF5_channel *const *)H5Pget_driver_info(access);
  struct stat status;
  if (given == NULL || fstat((*given)->descriptor, &status) != 0) return NULL;
  if ((flags & H5F_ACC_TRUNC) && ftruncate((*given)->descriptor, 0) != 0) return NULL;
  CHDF5_channelFile *file = (CHDF5_channelFile *)calloc(1, sizeof(CHDF5_channelFile));
  if (file == NULL) return NULL;
  file->channel = *given;
  file->endOfFile = (flags & H5F_ACC_TRUNC) ? 0 : (haddr_t)status.st_size;
  return &file->base;
}

static herr_t CHDF5_channelClose(H5FD_t *file) {
  free(file);
  return 0;
}

static herr_t CHDF5_channelQuery(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

static haddr_t CHDF5_channelGetAllocation(const H5FD_t *file, H5FD_mem_t kind) {
  (void)kind;
  return ((const CHDF5_channelFile *)file)->endOfAllocation;
}

static herr_t CHDF5_channelSetAllocation(H5FD_t *file, H5FD_mem_t kind, haddr_t address) {
  (void)kind;
  ((CHDF5_channelFile *)file)->endOfAllocation = address;
  return 0;
}

static haddr_t CHDF5_channelGetEnd(const H5FD_t *file, H5FD_mem_t kind) {
  (void)kind;
  return ((const CHDF5_channelFile *)file)->endOfFile;
}

static herr_t CHDF5_channelRead(
    H5FD_t *file, H5FD_mem_t kind, hid_t transfer, haddr_t address, size_t size, void *buffer) {
  (void)kind;
  (void)transfer;
  CHDF5_channel *channel = ((CHDF5_channelFile *)file)->channel;
  char *next = (char *)buffer;
  while (size > 0) {
    ssize_t count = pread(channel->descriptor, next, size, (off_t)address);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      channel->readError = errno;
      return -1;
    }
    if (count == 0) {  // beyond the end a file reads as zeros, as with HDF5's own drivers
      memset(next, 0, size);
      return 0;
    }
    next += count;
    address += (haddr_t)count;
    size -= (size_t)count;
  }
  return 0;
}

static herr_t CHDF5_channelWrite(
    H5FD_t *file, H5FD_mem_t kind, hid_t transfer, haddr_t address, size_t size, const void *buffer) {
  (void)kind;
  (void)transfer;
  CHDF5_channelFile *self = (CHDF5_channelFile *)file;
  if (address + size > self->endOfFile) self->endOfFile = address + size;
  const char *next = (const char *)buffer;
  while (size > 0 && self->channel->writeError == 0) {
    errno = 0;
    ssize_t count = pwrite(self->channel->descriptor, next, size, (off_t)address);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      CHDF5_noteWriteError(self->channel, address, size);
      break;
    }
    next += count;
    address += (haddr_t)count;
    size -= (size_t)count;
  }
  return 0;
}

/// Makes the file as long as what was allocated; space that was reserved beyond is given back.
static herr_t CHDF5_channelTruncate(H5FD_t *file, hid_t transfer, hbool_t closing) {
  (void)transfer;
  (void)closing;
  CHDF5_channelFile *self = (CHDF5_channelFile *)file;
  if (self->channel->writeError == 0 &&
      ftruncate(self->channel->descriptor, (off_t)self->endOfAllocation) != 0) {
    CHDF5_noteWriteError(self->channel, self->endOfAllocation, 0);
  }
  self->endOfFile = self->endOfAllocation;
  return 0;
}

/// Registers the driver with the library; the identifier of the driver, or a negative number.
static inline hid_t CHDF5_registerChannelDriver(void) {
  static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 2)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)700,
#endif
    .name = "channel",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(CHDF5_channel *),
    .open = CHDF5_channelOpen,
    .close = CHDF5_channelClose,
    .query = CHDF5_channelQuery,
    .get_eoa = CHDF5_channelGetAllocation,
    .set_eoa = CHDF5_channelSetAllocation,
    .get_eof = CHDF5_channelGetEnd,
    .read = CHDF5_channelRead,
    .write = CHDF5_channelWrite,
    .truncate = CHDF5_channelTruncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
  };
  return H5FDregister(&driver);
}

// Declared by <fcntl.h> only for GNU sources, which Swift's importer does not ask for.
extern int fallocate(int descriptor, int mode, off_t offset, off_t length);

/// Sets aside space on the disk for the first bytes of a file without changing its length; 0 or errno.
static inline int CHDF5_reserve(int descriptor, long long byteCount) {
  const int keepSize = 1;  // FALLOC_FL_KEEP_SIZE
  int result;
  do {
    result = fallocate(descriptor, keepSize, 0, (off_t)byteCount);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

/// Tells a file access list to use the driver on a channel.
static inline herr_t CHDF5_setChannel(hid_t access, hid_t driver, CHDF5_channel *channel) {
  return H5Pset_driver(access, driver, &channel);
}
