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

# Runs mpirun and ends with its status; SIGINT and SIGTERM become SIGUSR1 on the way. An mpirun that gets one of the former
# ends with status 1 and kills its ranks after a second; SIGUSR1 it just passes on, and the ranks end the job in good order.
stoppable() {
  local status=0
  # In a process group of its own: Ctrl-C goes to all of the terminal's group.
  set -m
  "$@" <&0 &
  local job=$!
  set +m
  # shellcheck disable=SC2064 # the process is known now
  trap "kill -USR1 $job 2>/dev/null || true" INT TERM
  # A signal interrupts the waiting.
  while kill -0 "$job" 2>/dev/null; do
    status=0
    wait "$job" || status=$?
  done
  exit "$status"
}
