// mpi
