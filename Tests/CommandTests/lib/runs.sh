# shellcheck shell=bash
# What the scripts share that stop, kill and damage runs; sourced after checks.sh.
#
# $train are the options of a run with --deterministic: 5 steps an epoch, of one or two milliseconds each, and a checkpoint
# of half a megabyte after every 20 of them. $endless is the same without an end within a test's time.
#
#   CHAOS=all       as often as launch/chaos tries each fault; without it as often as a test's time allows
#   CHAOS_SEED=7    another choice of moments and ranks

# shellcheck disable=SC2154,SC2034 # variables of checks.sh, and those that the scripts use

RANDOM=${CHAOS_SEED:-1}
# How often something is tried: in a test, or in all.
often() { if [ "${CHAOS:-}" = all ]; then echo "$2"; else echo "$1"; fi; }
# Long runs, on a machine that does other things as well.
limit=$(often 600 3600)
# Sets $train, to so many epochs.
train_for() { # EPOCHS
  train=(train --base base --train-file train.tsv --max-length 32 --learning-rate 1e-3 --deterministic --quiet
    --epochs "$1" --checkpoint-every 20)
}
train_for 100
# shellcheck disable=SC2034 # for the scripts that source this one
endless=("${train[@]}" --epochs 100000)

# SHA-256 of all tensors of a file of ours.
digest() { "$program" inspect "$1" | grep -E '^/(tensors|optimizer)' | sha256sum | cut -c 1-16; }
# The highest step that a checkpoint's name has.
newest() { { find "$1" -name 'checkpoint-*.h5' -printf '%f\n' 2>/dev/null || true; } | sed 's/[^0-9]*\([0-9]*\)\.h5/\1/' | sort -n | tail -n 1; }
# Starts the program in the background, as $job.
begin() { # RANKS ARGUMENT…
  start_on "$1"
  "${start[@]}" "${@:2}" >"$out" 2>"$err" </dev/null &
  job=$!
}
# Waits until the run in a directory has a newer checkpoint than that of a step, or is over.
wait_beyond() { # DIRECTORY STEP
  local step
  for _ in $(seq 3000); do
    step=$(newest "$1")
    [ "${step:-0}" -le "$2" ] || return 0
    kill -0 "$job" 2>/dev/null || return 0
    sleep 0.01
  done
  complain "no checkpoint after step $2 within half a minute: $(head -c 500 "$err")"
}
# Waits for the end of the job; its status goes to $status. It must come within so many seconds.
await_end() { # SECONDS
  local begun=$SECONDS watcher
  (sleep "$1" >/dev/null; for process in $(processes); do kill -KILL "$process" 2>/dev/null || true; done) &
  watcher=$!
  status=0
  wait "$job" 2>/dev/null || status=$?
  # Told in a way for which there is no trap: before it has got rid of this shell's, it would clean up.
  kill -KILL "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
  [ $((SECONDS - begun)) -lt "$1" ] || complain "took $1 seconds"
  none_left
}
# The processes of the ranks of the job, in their order; on one rank the job itself.
rank_processes() {
  local children
  children=$(cat "/proc/$job/task/$job/children" 2>/dev/null || true)
  if [ "${start[0]}" = mpirun ]; then echo "$children"; else echo "$job"; fi
}
# The process of one rank.
rank_process() { rank_processes | tr -s ' ' '\n' | sed -n "$(($1 + 1))p"; }
# Complains unless a finished run has the undisturbed one's bits.
same_end() { # DIRECTORY
  holds "$1 ended without a model" [ -e "$1/model.h5" ]
  [ ! -e "$1/model.h5" ] || holds "$1 has other bits than the undisturbed run" [ "$(digest "$1/model.h5")" = "$expected" ]
}
# Finishes a run on some ranks and looks at its end.
finish_on() { # RANKS DIRECTORY
  succeed "$1" "${train[@]}" --output "$2" --resume auto
  same_end "$2"
}
# Trains without any disturbance; $expected are the bits that every other run is to end with.
undisturbed() { # DIRECTORY
  succeed 1 "${train[@]}" --output "$1"
  expected=$(digest "$1/model.h5")
  holds "no tensors" [ "$expected" != "$(printf '' | sha256sum | cut -c 1-16)" ]
  conclude "undisturbed, on 1 rank: $expected"
}
# Where to look for what nobody is left to remove when mpirun is killed: its ranks' message buffers.
buffers() {
  local process
  for process in $(rank_processes); do grep -hosE '/dev/shm/(vader|sm)_segment.*' "/proc/$process/maps" || true; done | sort -u
}
# Removes them, and mpirun's directory.
sweep() { # BUFFERS
  [ -z "$1" ] || tr '\n' '\0' <<<"$1" | xargs -0 rm -f
  rm -rf "${TMPDIR:-/tmp}/ompi.$(hostname).$(id -u)/pid.$job"
}
