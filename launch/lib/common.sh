# shellcheck shell=bash
# What the scripts of launch/ share; sourced by them, never run.
#
# Sets root to the folder of the project, wherever the script was called from.

root=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")

# A line about what the script itself does, apart from what it runs.
say() { printf '\n== %s\n' "$*"; }

# One sentence on standard error, and the end.
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Tells mpirun what it has to be told on this machine (as root, with fewer cores than ranks, with threads) by setting the
# environment, and says so: prepare_mpi RANKS [THREADS], before the first mpirun.
prepare_mpi() {
  if [ ! -r "$root/launch/lib/mpi-env.sh" ]; then return; fi
  # shellcheck source=/dev/null
  . "$root/launch/lib/mpi-env.sh"
  mpi_env "$@"
}
