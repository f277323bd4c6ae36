// The room Kernels.
