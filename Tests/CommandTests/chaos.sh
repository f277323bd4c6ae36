#!/usr/bin/env bash
# What may befall a run from outside: signals, stopped ranks, a second job, ranks that mean different things, numbers that
# are not finite. After each the run goes on, and the model at the end has the bits of a run that nothing befell.
#
#   Tests/CommandTests/chaos.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$here/lib/checks.sh" "$@"
# shellcheck source=Tests/CommandTests/lib/runs.sh
. "$here/lib/runs.sh"

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
kill -TERM "$(rank_process 0)"
sleep 2
holds "over within a burst of signals: $(cat "$err")" kill -0 "$job"
sleep 3
kill -USR1 "$(rank_process 0)"
await_end 12
holds "status $status, expected 75" [ "$status" -eq 75 ]
holds "said: $(cat "$err")" grep -q 'second signal' "$err"
conclude "a second signal, after more than five seconds, ends a job that cannot come to the end of its step"
rm -rf burst
begin 2 "${endless[@]}" --output burst
wait_beyond burst 0
for rank in 0 1; do kill -TERM "$(rank_process $rank)"; done
kill -USR1 "$job"
sleep 0.2
for rank in 0 1; do kill -TERM "$(rank_process $rank)" 2>/dev/null || true; done
await_end 12
holds "status $status, expected 75" [ "$status" -eq 75 ]
holds "said: $(cat "$err")" grep -qE 'stopped by SIG[A-Z0-9]+ after step [0-9]+ of .*, which is saved in burst' "$err"
conclude "SIGTERM to every rank, SIGUSR1 to mpirun and SIGTERM again, as Slurm sends them: one wish to stop, with its checkpoint"
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

before=$(newest stalls)
begin 3 "${endless[@]}" --output stalls --resume auto
wait_beyond stalls "${before:-0}"
process=$(rank_process 2)
# A launcher that leaves a job to itself when a rank is lost.
kill -STOP "$job"
kill -KILL "$process"
sleep 9
kill -CONT "$job"
await_end 15
holds "said: $(cat "$err")" grep -qE "rank 2 \(process $process on .*, gone\) is missing from step [0-9]+, " "$err"
conclude "rank 2 of 3 is gone and the launcher does nothing: named, and the job ends after five seconds"

# The same while a checkpoint is written beside the steps, to a slow disk: a rank that ends the job is gone itself after ten
# seconds more, even where the launcher does not answer.
cat >"$scratch/slow.c" <<'C'
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int file) {
  struct stat status;
  if (!fstat(file, &status) && S_ISREG(status.st_mode) && status.st_size > 100000) sleep(18);
  return syscall(SYS_fsync, file);
}
C
compiler=$(command -v clang || command -v cc || true)
# The loader splits names at spaces, and the scratch folder has one.
slow=$(mktemp "${TMPDIR:-/tmp}/bert-ddp-slow-XXXXXX.so")
if [ -n "$compiler" ] && "$compiler" -shared -fPIC -o "$slow" "$scratch/slow.c"; then
  # One long epoch: the next checkpoint is not waited for.
  { head -n 1 train.tsv; for _ in $(seq 400); do tail -n +2 train.tsv; done; } >long.tsv
  mpirun -np 3 -x LD_PRELOAD="$slow" "$program" "${endless[@]}" --train-file long.tsv --checkpoint-every 500 \
    --output slow >"$out" 2>"$err" </dev/null &
  job=$! start=(mpirun)
  for _ in $(seq 3000); do
    [ -z "$(find slow -name '*.tmp-*' -size +100k 2>/dev/null)" ] || break
    sleep 0.01
  done
  process=$(rank_process 2)
  kill -STOP "$job"
  kill -KILL "$process"
  for _ in $(seq 300); do
    [ ! -e slow/checkpoint-500.h5 ] || break
    sleep 0.1
  done
  # What is said then needs a moment.
  sleep 3
  kill -CONT "$job"
  await_end 15
  holds "said: $(cat "$err")" grep -qE "rank 2 \(process $process on .*, gone\) is missing from step [0-9]+, " "$err"
  holds "no checkpoint: $(ls -A slow)" [ -e slow/checkpoint-500.h5 ]
  conclude "rank 2 of 3 is gone while a checkpoint is written: the job ends, and not before that is there"
else
  echo "skipped a rank that is gone while a checkpoint is written: no C compiler here"
fi
rm -f "$slow"

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

echo "-- Ranks that mean different things"
# Rank 0 and rank 1 with options, files or programs of their own.
differ() { # WHAT THE SENTENCE NAMES, PROGRAM OF RANK 1, ARGUMENT…
  rm -rf apart
  observe mpirun -np 1 "$program" "${common[@]}" : -np 1 "$2" "${common[@]}" "${@:3}"
  holds "status $status, expected 78: $(head -c 500 "$err")" [ "$status" -eq 78 ]
  holds "said: $(cat "$err")" [ "$(grep -cE "^bert-ddp: rank 1 disagrees with rank 0 about $1; start every rank" "$err")" -eq 1 ]
  holds "something was written: $(ls -A apart 2>/dev/null)" [ ! -e apart ]
  conclude "another $1 on rank 1: refused, naming it"
}
common=(train --base base --train-file train.tsv --max-length 32 --epochs 1 --quiet --output apart)
differ seed "$program" --seed 2
differ learning_rate "$program" --learning-rate 0.5
differ epochs "$program" --epochs 2
differ "method, method_options" "$program" --method lora --lora-rank 4
differ threads "$program" --threads 2
differ base "$program" --base "base other"
differ checkpoint_every "$program" --checkpoint-every 7
differ "num_labels, train_file" "$program" --train-file "train pairs.tsv" --num-labels 3
cp "$program" "$scratch/bin/another bert-ddp"
printf '\0' >>"$scratch/bin/another bert-ddp"
differ "the program" "$scratch/bin/another bert-ddp"
# Where oneDNN multiplies, one rank is kept from it.
unlike() { # OPTION…
  rm -rf apart
  observe mpirun -np 1 "$program" "${common[@]}" "$@" : -np 1 -x ONEDNN_MAX_CPU_ISA=AVX2 "$program" "${common[@]}" "$@"
}
"$program" doctor >"$scratch/doctor" 2>&1 || true
if grep -q "BLAS: oneDNN" "$scratch/doctor"; then
  unlike
  holds "status $status: $(head -c 500 "$err")" [ "$status" -eq 0 ]
  holds "said: $(cat "$err")" grep -qE "^warning: rank 0 multiplies with oneDNN .*, rank 1 with OpenBLAS" "$err"
  unlike --deterministic
  holds "status $status, expected 78" [ "$status" -eq 78 ]
  holds "said: $(cat "$err")" grep -q "^bert-ddp: rank 1 disagrees with rank 0 about BLAS; start every rank" "$err"
  conclude "another library for products on rank 1: said, and refused where bits are to be the same"
else
  echo "skipped another library for products: oneDNN does not multiply here"
fi
# Files of one name and another content, as on hosts whose disks differ.
mkdir -p one two
cp train.tsv one/train.tsv
sed '$d' train.tsv >two/train.tsv
for what in train test validation; do
  rm -rf apart
  for place in one two; do cp "$place/train.tsv" "$place/file.tsv"; done
  file=("--$what-file" file.tsv)
  options=(train --base "$work/base" --max-length 32 --epochs 1 --quiet --output "$work/apart")
  [ "$what" = train ] || options+=(--train-file "$work/train.tsv")
  observe mpirun -np 1 --wdir "$work/one" "$program" "${options[@]}" "${file[@]}" \
    : -np 1 --wdir "$work/two" "$program" "${options[@]}" "${file[@]}"
  name=${what/train/training}
  holds "status $status, expected 78: $(head -c 500 "$err")" [ "$status" -eq 78 ]
  holds "said: $(cat "$err")" grep -q "^bert-ddp: rank 1 disagrees with rank 0 about the $name data; start every rank" "$err"
  conclude "other $name data under the same name on rank 1: refused, naming it"
done

echo "-- Numbers that are not finite"
for count in 1 3; do
  # The embedding of a word of the training reviews is too large to be normalised.
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
