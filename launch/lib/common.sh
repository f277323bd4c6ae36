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

# The comment at the head of the script that was started.
show_head() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; }

# Shows it and ends, where help is asked for: show_help "$@", before anything is done.
show_help() {
  case ${1:-} in
  -h | --help) ;;
  help) [ $# -eq 1 ] || return 0 ;;
  *) return 0 ;;
  esac
  show_head
  exit 0
}

# Tells mpirun what it has to be told on this machine (as root, with fewer cores than ranks, with threads) by setting the
# environment, and says so: prepare_mpi RANKS [THREADS], before the first mpirun.
prepare_mpi() {
  if [ ! -r "$root/launch/lib/mpi-env.sh" ]; then return; fi
  # shellcheck source=/dev/null
  . "$root/launch/lib/mpi-env.sh"
  mpi_env "$@"
}

# Runs mpirun and returns its status; SIGINT, SIGTERM and SIGHUP become SIGUSR1 on the way. An mpirun that gets one of the former
# ends with status 1 and kills its ranks after a second; SIGUSR1 it just passes on, and the ranks end the job in good order.
stoppable() {
  local status=0
  # In a process group of its own: Ctrl-C goes to all of the terminal's group.
  set -m
  "$@" <&0 &
  local job=$!
  set +m
  # shellcheck disable=SC2064 # the process is known now
  trap "kill -USR1 $job 2>/dev/null || true" INT TERM USR1 HUP
  # A signal interrupts the waiting; the shell keeps the status of a job that is over.
  while wait "$job" || true; kill -0 "$job" 2>/dev/null; do :; done
  wait "$job" || status=$?
  trap - INT TERM USR1 HUP
  return "$status"
}

# Complains unless each of these variables is a whole number from 1, or not set.
whole_numbers() { # NAME…
  local name
  for name in "$@"; do
    [[ ${!name:-1} =~ ^[1-9][0-9]*$ ]] || die "$name is \"${!name}\"; it takes a whole number from 1"
  done
}

# shellcheck disable=SC2034 # for the scripts that source this one
# Sets options to --threads, where THREADS is set, the command computes, and none was given by hand.
thread_options() { # COMMAND OPTION…
  options=()
  if [ -n "${THREADS:-}" ] && [[ " $* " != *" --threads"[\ =]* ]]; then
    case ${1:-train} in
    train | pretrain | evaluate | predict | compare | -*) options=(--threads "$THREADS") ;;
    esac
  fi
}
