# shellcheck shell=bash
# What the scripts of Tests/CommandTests share; sourced by them, never run.
#
# Makes a scratch folder with a space in its name, tiny models and data in $work (see Tests/make-fixture), which becomes
# the working folder, and counts checks. Needs bash, coreutils, grep, sed, findutils and mpirun; nothing else.
#
#   SCRIPT [FOLDER]         the folder of the built programs, or bert-ddp in it; $BERT_DDP_BIN when not given
#   VERBOSE=1               also shows each sentence that the program said
#   KEEP=1                  leaves the scratch folder there

bin=$(realpath "${1:-${BERT_DDP_BIN:?is the folder of the built programs: .build/release}}")
[ -d "$bin" ] || bin=$(dirname "$bin")
# shellcheck source=launch/lib/mpi-env.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../../../launch/lib/mpi-env.sh"
mpi_env 4
export OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}
# A crash is a failed check; it need not explain itself for a minute.
export SWIFT_BACKTRACE=enable=no
# Messages of the system are compared.
export LC_ALL=C

scratch=$(mktemp -d "${TMPDIR:-/tmp}/bert-ddp commands XXXXXX")
work="$scratch/my files"
mkdir "$scratch/bin"
# A name that only this run's processes have.
program="$scratch/bin/bert-ddp"
ln -s "$bin/bert-ddp" "$program"
printf '%s\n' "$program" >"$scratch/name"
out="$scratch/out" err="$scratch/err"

limit=60 # seconds for a command; it takes one or two, a busy machine is given more
passed=0 failed=0 problems='' status=0 start=()

# The processes of the program, mpirun among them, that are still there.
processes() { grep -lsF -f "$scratch/name" /proc/[0-9]*/cmdline | sed 's|/proc/\(.*\)/cmdline|\1|' || true; }

clean_up() {
  local process
  for process in $(processes); do kill -KILL "$process" 2>/dev/null || true; done
  if [ -n "${KEEP:-}" ]; then echo "kept: $scratch"; else chmod -R u+rwX "$scratch"; rm -rf "$scratch"; fi
}
trap clean_up EXIT
trap 'echo "FAILED  the script itself: line $LINENO of ${BASH_SOURCE[0]}"' ERR
trap 'exit 130' INT
trap 'exit 143' TERM

# Complains unless a command succeeds.
holds() { # COMPLAINT COMMAND…
  "${@:2}" || complain "$1"
}

complain() { problems+="
        $*"; }

# Ends a check: says its name and whether complaints came up since the last one.
conclude() {
  if [ -z "$problems" ]; then
    passed=$((passed + 1))
    echo "ok      $*"
  else
    failed=$((failed + 1))
    echo "FAILED  $*$problems"
  fi
  problems=''
}

# Ends the script.
report() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

# Runs a command; its status goes to $status, its output to $out and $err. It must end by itself and leave no process.
observe() {
  local begun=$SECONDS
  status=0
  timeout --kill-after=5 "$limit" "$@" >"$out" 2>"$err" </dev/null || status=$?
  [ $((SECONDS - begun)) -lt "$limit" ] || complain "took $limit seconds"
  none_left
}

# Complains of processes that are still there after a moment, which a rank may need to go, and ends them.
none_left() {
  local process
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -n "$(processes)" ] || return 0
    sleep 0.3
  done
  for process in $(processes); do
    complain "left behind: $(tr '\0' ' ' <"/proc/$process/cmdline" 2>/dev/null)"
    kill -KILL "$process" 2>/dev/null || true
  done
}

# Sets $start to what starts the program on a number of ranks: on 1 it is a plain command, on more it takes mpirun.
start_on() { # RANKS
  if [ "$1" -eq 1 ]; then start=("$program"); else start=(mpirun -np "$1" "$program"); fi
}

# Runs the program on a number of ranks.
ranks() { # RANKS ARGUMENT…
  start_on "$1"
  observe "${start[@]}" "${@:2}"
}

# "1 rank", "4 ranks".
of() { if [ "$1" -eq 1 ]; then echo "1 rank"; else echo "$1 ranks"; fi; }

# Runs the program, which must succeed, on a number of ranks; complains otherwise.
succeed() { # RANKS ARGUMENT…
  ranks "$@"
  [ "$status" -eq 0 ] || complain "status $status of bert-ddp ${*:2} on $1: $(head -c 1000 "$err")"
}

# What is in the working folder: names, and of files sizes and times of writing. A lock is taken and left as it was.
snapshot() {
  find "$work" '(' -type f ! -name .bert-ddp.lock -printf '%P: %s bytes of %T@\n' ')' -o -printf '%P: %y\n' | sort
}

"$bin/make-fixture" "$work"
cd "$work" || exit 1
