# What Open MPI's mpirun has to be told on this machine; to be sourced by bash.
#
#   source launch/lib/mpi-env.sh
#   mpi_env RANKS [THREADS]       # THREADS per rank, 1 when not given
#   mpirun -np RANKS …
#
# It exports only what is needed, never overrides what is set already, leaves the machine to Slurm or to a host list
# where there is one, and says in one line on standard error what it set and why.
# shellcheck shell=bash

# Sets a variable unless it is set, and remembers the reason.
_mpi_env_set() { # NAME VALUE REASON
  [ -z "${!1+set}" ] || return 0
  export "$1=$2"
  _mpi_env_said="${_mpi_env_said:+$_mpi_env_said; }$1=$2 ($3)"
}

# The slots that mpirun counts: cores, not hardware threads, and no more than this process may use.
_mpi_env_slots() {
  local cores allowed
  # nproc would otherwise answer with the thread count of OpenMP.
  allowed=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || echo 1)
  cores=$(LC_ALL=C lscpu -p=CORE,SOCKET 2>/dev/null | grep -v '^#' | sort -u | wc -l) || cores=0
  if [ "$cores" -gt 0 ] && [ "$cores" -lt "$allowed" ]; then echo "$cores"; else echo "$allowed"; fi
}

mpi_env() {
  local ranks=${1:?mpi_env RANKS [THREADS]} threads=${2:-1} slots
  _mpi_env_said=
  slots=$(_mpi_env_slots)

  # mpirun refuses root unless told twice; in a container root is what one is.
  if [ "$(id -u)" -eq 0 ]; then
    _mpi_env_set OMPI_ALLOW_RUN_AS_ROOT 1 "this is root"
    _mpi_env_set OMPI_ALLOW_RUN_AS_ROOT_CONFIRM 1 "it asks twice"
  fi

  # A scheduler or a host list says itself how many ranks go where.
  if [ -z "${SLURM_JOB_ID:-}" ] && [ -z "${OMPI_MCA_orte_default_hostfile:-}" ]; then
    # mpirun gives no slot to the second rank on a core. Ranks that wait then give their core away by themselves:
    # mpirun sees to that when it knows of the crowd, the program when it does not.
    if [ "$ranks" -gt "$slots" ]; then
      _mpi_env_set OMPI_MCA_rmaps_base_oversubscribe 1 "$ranks ranks on $slots cores, no faster than $slots"
      _mpi_env_set PRTE_MCA_rmaps_default_mapping_policy :oversubscribe "Open MPI 5's name for it"
    fi
  fi

  # mpirun binds each of one or two ranks to one core, which its threads would have to share.
  if [ "$threads" -gt 1 ]; then
    _mpi_env_set OMPI_MCA_hwloc_base_binding_policy none "$threads threads per rank need $threads cores"
    _mpi_env_set PRTE_MCA_hwloc_default_binding_policy none "Open MPI 5's name for it"
  fi

  if [ -n "$_mpi_env_said" ]; then echo "mpi-env: $_mpi_env_said" >&2; fi
  unset _mpi_env_said
}
