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

# Checks that arguments are refused: with a status, and one sentence that has these words.
refused() { # NAME STATUS WORD… -- ARGUMENT…
  local name=$1 expected=$2 words=() count word sentence first=''
  shift 2
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  shift
  snapshot >"$scratch/before"
  for count in 1 4; do
    ranks "$count" "$@"
    holds "status $status, expected $expected" [ "$status" -eq "$expected" ]
    sentence=$(grep -aE '^(error|bert-ddp): ' "$err" || true)
    if [ "$(grep -acE '^(error|bert-ddp): ' "$err")" -ne 1 ]; then
      complain "not one sentence: $(head -c 2000 "$err")"
    elif grep -aqvE '^(error|bert-ddp|warning): ' "$err"; then
      complain "more than a sentence: $(head -c 2000 "$err")"
    fi
    # Free bytes of the disk change, and how many ranks there are.
    sentence=$(sed -E 's/[0-9]{9,} are available/N are available/; s/ GiB for its [0-9]+;/ GiB for its ranks;/' <<<"${sentence#*: }")
    holds "a long sentence: $sentence" [ "${#sentence}" -le 400 ]
    for word in "${words[@]}"; do
      [[ $sentence == *"$word"* ]] || complain "no \"$word\" in: $sentence"
    done
    if [ "$count" -eq 1 ]; then
      first=$sentence
    else
      holds "alone it said: $first -- now: $sentence" [ "$sentence" = "$first" ]
    fi
    snapshot >"$scratch/after"
    diff "$scratch/before" "$scratch/after" >"$scratch/changes" ||
      complain "the folder changed: $(head -n 5 "$scratch/changes")"
    conclude "$name, $(of "$count")"
    [ -z "${VERBOSE:-}" ] || echo "          $status $sentence"
  done
}

# The tensors of a file of ours, a line each, with their checksums.
tensors() { "$program" inspect "$1" | grep -E '^/(tensors|optimizer)' || true; }
# Complains unless two files have the same tensors, bit for bit.
same_tensors() { # FILE FILE
  tensors "$1" >"$scratch/one"
  tensors "$2" >"$scratch/two"
  holds "no tensors in $1" [ -s "$scratch/one" ]
  holds "$1 and $2 differ: $(diff "$scratch/one" "$scratch/two" | head -n 3)" cmp -s "$scratch/one" "$scratch/two"
}
# The numbers under a key of metrics.jsonl, one a line, of the events of a kind.
numbers() { sed -nE "/\"event\":\"$2\"/s/.*\"$3\":([-+.0-9eE]+).*/\1/p" "$1"; }
# Complains unless two lists of numbers, a line each, agree to a tolerance.
close() { # FILE FILE TOLERANCE
  paste "$1" "$2" | awk -v most="$3" '
    NF != 2 { print "lists of different lengths"; bad = 1 }
    { d = $1 - $2; if (d < 0) d = -d; if (d > most) { print; bad = 1 } }
    END { if (NR == 0) print "nothing"; exit bad || NR == 0 }' \
    >"$scratch/far" || complain "further apart than $3: $(head -n 3 "$scratch/far")"
}
# Inverts a bit of a file.
flip() { # FILE OFFSET
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  # shellcheck disable=SC2059
  printf "\\x$(printf %x $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

"$bin/make-fixture" "$work"
cd "$work" || exit 1
