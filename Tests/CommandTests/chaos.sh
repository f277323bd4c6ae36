#!/usr/bin/env bash
# What may befall a run: signals, killed and stopped ranks, full disks, damaged checkpoints, numbers that are not finite.
# After each the run goes on from a valid checkpoint, with whatever number of ranks, and the model at the end has the bits
# of a run that nothing befell (--deterministic).
#
#   Tests/CommandTests/chaos.sh [FOLDER OF THE PROGRAMS]
#
#   CHAOS=100       kills at random moments (8 unless said)
#   CHAOS_SEED=7    another choice of moments and ranks
set -euo pipefail

# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib/checks.sh" "$@"

rounds=${CHAOS:-8}
RANDOM=${CHAOS_SEED:-1}
# 5 steps an epoch, of one or two milliseconds each, and a checkpoint of half a megabyte after every 20 of them.
epochs=$((120 + 12 * rounds))
train=(train --base base --train-file train.tsv --max-length 32 --learning-rate 1e-3 --deterministic --quiet
  --epochs "$epochs" --checkpoint-every 20)
# The same without an end within a test's time.
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
  kill "$watcher" 2>/dev/null || true
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

echo "-- Undisturbed"
succeed 1 "${train[@]}" --output whole
expected=$(digest whole/model.h5)
holds "no tensors" [ "$expected" != "$(printf '' | sha256sum | cut -c 1-16)" ]
conclude "a run of $((5 * epochs)) steps on 1 rank: $expected"
succeed 4 "${train[@]}" --output "on 4" --threads 2
same_end "on 4"
conclude "the same on 4 ranks of 2 threads, bit for bit"
succeed 1 "${train[@]}" --output "another" --seed 2
holds "another seed has the same bits" [ "$(digest another/model.h5)" != "$expected" ]
conclude "another seed has other bits: this can be told"

echo "-- Signals"
# SIGNAL, to whom (mpirun, or a rank), on how many ranks, the status that the shell sees.
stop() {
  local before
  before=$(newest signals)
  begin "$3" "${endless[@]}" --output signals --resume auto
  wait_beyond signals "${before:-0}"
  if [ "$2" = mpirun ]; then kill -"$1" "$job"; else kill -"$1" "$(rank_process "$2")"; fi
  await_end 12
  holds "status $status, expected $4: $(head -c 500 "$err")" [ "$status" -eq "$4" ]
  local step
  step=$(sed -nE 's/.*stopped by (SIG[A-Z0-9]+) after step ([0-9]+) of .*--resume auto\.$/\2/p' "$err")
  holds "said: $(cat "$err")" [ -n "$step" ]
  holds "no checkpoint of step $step: $(ls signals)" [ -e "signals/checkpoint-${step:-none}.h5" ]
  holds "half-written: $(ls -A signals)" [ -z "$(find signals -name '*.tmp-*')" ]
  conclude "$1 to $2 of $(of "$3"): stops after a step with its checkpoint, status $4"
}
stop USR1 mpirun 4 75
stop TERM 0 1 75
# A shell has its background processes ignore SIGINT, and the program leaves it at that; mpirun's ranks do not.
stop INT 0 2 75
stop TERM 2 3 75
stop USR1 1 2 75
# An mpirun that is told to end has settled on status 1 before any rank hears of it.
stop TERM mpirun 2 1
stop INT mpirun 4 1
rm -rf "stuck"
begin 2 "${endless[@]}" --output stuck
wait_beyond stuck 0
kill -STOP "$(rank_process 1)"
kill -USR1 "$(rank_process 0)"
sleep 1
kill -USR1 "$(rank_process 0)"
await_end 12
holds "status $status, expected 75" [ "$status" -eq 75 ]
holds "said: $(cat "$err")" grep -q 'second signal' "$err"
conclude "a second signal ends a job that cannot come to the end of its step"
rm -rf limited
begin 2 "${train[@]}" --output limited --max-minutes 0.05 --epochs 100000
await_end 12
holds "status $status, expected 75: $(cat "$err")" [ "$status" -eq 75 ]
holds "said: $(cat "$err")" grep -q 'stopped by --max-minutes after step' "$err"
holds "no checkpoint" [ -n "$(newest limited)" ]
conclude "--max-minutes: stops before they are over, with a checkpoint"

echo "-- Stopped ranks"
for victim in 0 2; do
  before=$(newest stalls)
  begin 3 "${endless[@]}" --output stalls --resume auto --stall-timeout 2
  wait_beyond stalls "${before:-0}"
  process=$(rank_process $victim)
  kill -STOP "$process"
  await_end 15
  holds "status $status, expected 75" [ "$status" -eq 75 ]
  holds "said: $(cat "$err")" grep -qE "no progress for [0-9]+ s .*: rank $victim \(process $process on .*, stopped\) is missing from step [0-9]+, " "$err"
  conclude "rank $victim of 3 is stopped: named, and the job ends"
done

echo "-- Killed at random moments"
# Ranks, mpirun, whole jobs; steps and saves; each time another number of ranks goes on.
lost=0
for round in $(seq "$rounds"); do
  [ ! -e kills/model.h5 ] || break
  count=$((RANDOM % 4 + 1))
  before=$(newest kills)
  begin "$count" "${train[@]}" --output kills --resume auto
  wait_beyond kills "${before:-0}"
  sleep "0.0$((RANDOM % 90 + 10))"
  case $((RANDOM % 3)) in
  0) victims=$(rank_process $((RANDOM % count))) ;;
  1) victims=$job ;;
  2) victims="$(rank_processes) $job" ;;
  esac
  # What nobody is left to remove when mpirun is killed: message buffers and its directory.
  debris=$(for process in $(rank_processes); do grep -hos '/dev/shm/vader_segment.*' "/proc/$process/maps" || true; done | sort -u)
  signal=KILL
  if [ $((RANDOM % 4)) -eq 0 ] && [ "$victims" != "$job" ]; then signal=SEGV; fi
  for victim in $victims; do kill -"$signal" "$victim" 2>/dev/null || true; done
  await_end 20
  [ -z "$debris" ] || tr '\n' '\0' <<<"$debris" | xargs -0 rm -f
  rm -rf "${TMPDIR:-/tmp}/ompi.$(hostname).$(id -u)/pid.$job"
  [ "$status" -ne 0 ] || [ -e kills/model.h5 ] || complain "round $round: status 0 and no model"
  lost=$((lost + 1))
done
finish_on $((RANDOM % 4 + 1)) kills
holds "half-written: $(ls -A kills)" [ -z "$(find kills -name '*.tmp-*')" ]
conclude "killed $lost times: the undisturbed run's bits"

echo "-- Damaged checkpoints"
# Copies of a run with two checkpoints, the newest of them damaged in some way.
begin 2 "${train[@]}" --output two
wait_beyond two 40
kill -USR1 "$job"
await_end 12
newest=$(newest two)
damage() { # NAME COMMAND…
  rm -rf damaged && cp -r two damaged
  local file=damaged/checkpoint-$newest.h5
  "${@:2}" "$file"
  succeed 2 "${train[@]}" --output damaged --resume auto
  holds "no warning: $(cat "$err")" [ "$(grep -c "^warning: passing over a checkpoint: $file" "$err")" -eq 1 ]
  same_end damaged
  conclude "$1: passed over, and the undisturbed run's bits"
}
flip() {
  local size offset byte
  size=$(stat -c %s "$1")
  offset=$(((RANDOM * 32768 + RANDOM) % size))
  byte=$(od -An -tu1 -j "$offset" -N 1 "$1")
  # shellcheck disable=SC2059
  printf "\\x$(printf %x $((byte ^ (1 << RANDOM % 8))))" | dd of="$1" bs=1 seek="$offset" conv=notrunc status=none
}
zero_tail() { truncate -s "$(($(stat -c %s "$1") - 4096))" "$1" && truncate -s "+4096" "$1"; }
damage "a flipped bit" flip
damage "cut short" truncate -s 100000
damage "a tail of zeros" zero_tail
damage "an empty file" truncate -s 0

echo "-- Disks"
before=$(newest two)
# A file of a rank may have 200 KiB, a checkpoint has more; mpirun's own files are not meant.
# shellcheck disable=SC2016 # for the other shell
limited=(bash -c 'ulimit -f 200; exec "$@"' - "$program")
for count in 1 2; do
  rm -rf full && cp -r two full
  if [ "$count" -gt 1 ]; then start=(mpirun -np "$count" "${limited[@]}"); else start=("${limited[@]}"); fi
  observe "${start[@]}" "${train[@]}" --output full --resume auto
  holds "status $status, expected 74: $(head -c 500 "$err")" [ "$status" -eq 74 ]
  holds "said: $(cat "$err")" [ "$(grep -cE '^(error|bert-ddp): full/checkpoint-[0-9]+\.h5 could not be written: .* bytes' "$err")" -eq 1 ]
  holds "the last checkpoint is gone: $(ls full)" [ -e "full/checkpoint-$before.h5" ]
  holds "half-written: $(ls -A full)" [ -z "$(find full -name '*.tmp-*')" ]
  finish_on $((3 - count)) full
  conclude "files may not be so large, $(of "$count"): status 74, the last checkpoint stands, and it goes on"
done
if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
  mkdir -p disk
  # What is free beside the run is filled up.
  # shellcheck disable=SC2016 # for the other shell
  observe unshare --mount bash -c '
    mount -t tmpfs -o size=4m none disk && cp -r two disk/run || exit 99
    head -c 4000000 /dev/zero >disk/filler 2>/dev/null
    status=0
    "$@" --output disk/run --resume auto || status=$?
    rm -f disk/filler
    [ "$status" -eq 74 ] || exit $((status + 1))
    umount -l disk 2>/dev/null
    exit 74' - mpirun -np 2 "$program" "${train[@]}"
  holds "status $status, expected 74: $(head -c 500 "$err")" [ "$status" -eq 74 ]
  conclude "a full disk: status 74"
else
  echo "skipped a full disk: mounting needs rights that this user has not"
fi

echo "-- Two jobs, other launchers"
begin 2 "${train[@]}" --output "in use" --epochs 100000
wait_beyond "in use" 0
first=$job holder=$(rank_process 0)
observed=("${train[@]}" --epochs 100000 --output "in use" --resume auto)
status=0
timeout 20 "$program" "${observed[@]}" >"$scratch/second" 2>&1 </dev/null || status=$?
holds "status $status, expected 78" [ "$status" -eq 78 ]
holds "said: $(cat "$scratch/second")" grep -qE "in use is in use by process $holder on host $(hostname)" "$scratch/second"
job=$first
kill -KILL "$holder"
await_end 12
begin 2 "${observed[@]}"
wait_beyond "in use" "$(newest "in use")"
kill -USR1 "$job"
await_end 12
holds "after the first job's end: status $status, $(cat "$err")" [ "$status" -eq 75 ]
conclude "a second job in a run directory is refused, naming the first; a dead job's lock is no obstacle"
observe env SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4 "$program" "${train[@]}" --output nowhere
holds "status $status, expected 64" [ "$status" -eq 64 ]
holds "said: $(cat "$err")" grep -q "srun started 4 processes, but MPI connects 1" "$err"
conclude "processes that srun does not connect are refused"

echo "-- Numbers that are not finite"
for count in 1 3; do
  # A word of the training reviews has no number for an embedding.
  succeed "$count" train --base "base with a hole" --train-file train.tsv --max-length 32 --method lora --epochs 2 \
    --global-batch-size 8 --skip-nonfinite 40 --output "hole on $count" --log-every 1
  skipped=$(sed -nE 's/.*"skipped_steps" : ([0-9]+).*/\1/p' "hole on $count/results.json")
  events=$(grep -c '"event":"skipped"' "hole on $count/metrics.jsonl" || true)
  holds "$skipped skipped, $events events" [ "$skipped" -gt 0 ] && [ "$skipped" = "$events" ]
  holds "no warning" [ "$(grep -c '^warning: .*the step is left out' "$err")" -eq "$skipped" ]
  ranks "$count" train --base "base with a hole" --train-file train.tsv --max-length 32 --method lora --epochs 2 \
    --global-batch-size 8 --skip-nonfinite $((skipped - 1)) --output "hole too deep on $count"
  holds "status $status, expected 76" [ "$status" -eq 76 ]
  holds "said: $(cat "$err")" grep -qE "at step [0-9]+ .*after $((skipped - 1)) such steps were left out" "$err"
  conclude "--skip-nonfinite: $skipped steps are left out and counted, one fewer allowed ends with 76, $(of "$count")"
done

echo "-- Read by h5py"
if python3 -c 'import h5py' 2>/dev/null; then
  python3 - whole/checkpoint-*.h5 >"$out" 2>"$err" <<'PYTHON' || complain "$(tail -n 1 "$err")"
import sys, h5py
with h5py.File(sys.argv[-1], "r") as file:
    assert file.attrs["format"] == "bert-ddp checkpoint", file.attrs["format"]
    tensors = file["tensors"]
    assert len(tensors) > 0, "no tensors"
    for name, tensor in tensors.items():
        assert tensor[()].shape == tensor.shape and tensor.fletcher32, name
        assert file["optimizer/first_moment"][name].shape == tensor.shape, name
PYTHON
  conclude "h5py reads every tensor of a checkpoint"
else
  echo "skipped h5py: it is not installed"
fi

report
