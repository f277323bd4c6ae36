#!/usr/bin/env bash
# The best model by validation: which step it is can be read off metrics.jsonl, model.h5 is that step's, the run ends when
# nothing better comes, and a run that was killed in between decides as one that was not.
#
#   Tests/CommandTests/validation.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib/checks.sh" "$@"

# A rate that is too high: validation goes up and down.
train=(train --base base --train-file train.tsv --max-length 32 --method lora --learning-rate 3e-2 --epochs 40
  --evaluate-every 3 --checkpoint-every 2)
patient=("${train[@]}" --validation-file test.tsv --early-stopping-patience 8)

# The validations of a run: step, accuracy, loss, a line each.
validations() {
  grep '"split":"validation"' "$1/metrics.jsonl" |
    sed -nE 's/.*"accuracy":([-+.0-9eE]+).*"loss":([-+.0-9eE]+).*"step":([0-9]+).*/\3 \1 \2/p'
}
# Step, accuracy and loss of the best: the highest accuracy, of equals the lowest loss, of those the first.
best() { validations "$1" | awk 'NR == 1 || $2 > a || ($2 == a && $3 < l) { s = $1; a = $2; l = $3 } END { print s, a, l }'; }

for count in 1 2; do
  run="whole on $count"
  succeed "$count" "${patient[@]}" --output "$run"
  read -r step accuracy loss <<<"$(best "$run")"
  last=$(validations "$run" | tail -n 1 | cut -d ' ' -f 1)
  holds "only $(validations "$run" | wc -l) validations" [ "$(validations "$run" | wc -l)" -ge 9 ]
  holds "the best is the last, $step: the settings of this test show nothing" [ "$step" -lt "$last" ]
  since=$(validations "$run" | awk -v best="$step" '$1 > best' | wc -l)
  holds "it ended $since validations after the best" [ "$since" -eq 8 ]
  holds "not said to have ended early" grep -qE '"stopped_early" ?: ?true' "$run/results.json"
  succeed "$count" evaluate --checkpoint "$run/model.h5" --test-file test.tsv --max-length 32 --unmerged --json
  sed -nE 's/^ *"(accuracy|loss)" ?: ?([-+.0-9eE]+),?$/\2/p' "$out" >"$scratch/found"
  printf '%s\n' "$accuracy" "$loss" >"$scratch/expected"
  close "$scratch/expected" "$scratch/found" 1e-6
  conclude "model.h5 is of the best validation, and the run ends 8 validations later, $(of "$count")"

  # Killed after its best step is behind it, so that the best has to come from the file; and before, so that it has not.
  for moment in 4 $((step + 3)); do
    cut="killed at $moment on $count"
    # A shell on a busy machine may come too late.
    for _ in 1 2 3 4 5; do
      rm -rf "$cut"
      start_on "$count"
      "${start[@]}" "${patient[@]}" --output "$cut" >"$out" 2>"$err" </dev/null &
      job=$!
      for _ in $(seq 2000); do
        last=$(find "$cut" -name 'checkpoint-*.h5' 2>/dev/null | sed -E 's/.*-([0-9]+)\.h5/\1/' | sort -n | tail -n 1 || true)
        [ "${last:-0}" -lt "$moment" ] || break
        sleep 0.01
      done
      for process in $(processes); do kill -KILL "$process" 2>/dev/null || true; done
      wait "$job" 2>/dev/null || true
      none_left
      [ -e "$cut/model.h5" ] || break
    done
    holds "it ended before it was killed" [ ! -e "$cut/model.h5" ]
    succeed "$count" "${patient[@]}" --output "$cut" --resume auto
    grep -qE 'going on from step [1-9]' "$out" || complain "it did not go on: $(head -n 30 "$out")"
    same_tensors "$run/model.h5" "$cut/model.h5"
    validations "$run" >"$scratch/one"
    validations "$cut" >"$scratch/two"
    holds "other validations: $(diff "$scratch/one" "$scratch/two" | head -n 4)" cmp -s "$scratch/one" "$scratch/two"
    conclude "killed at step $moment or later, it decides as without, $(of "$count")"
  done
done

succeed 1 "${train[@]}" --validation-fraction 0.25 --epochs 2 --output "held out"
succeed 2 "${train[@]}" --validation-fraction 0.25 --epochs 2 --output "held out on 2"
holds "no validation" [ -n "$(validations "held out")" ]
validations "held out" | cut -d ' ' -f 1,2 >"$scratch/one"
validations "held out on 2" | cut -d ' ' -f 1,2 >"$scratch/two"
holds "other reviews on 2 ranks: $(diff "$scratch/one" "$scratch/two" | head -n 4)" cmp -s "$scratch/one" "$scratch/two"
succeed 1 "${train[@]}" --validation-fraction 0.25 --epochs 2 --seed 2 --output "held out otherwise"
validations "held out otherwise" | cut -d ' ' -f 1,2 >"$scratch/two"
! cmp -s "$scratch/one" "$scratch/two" || complain "another seed holds out the same"
conclude "a share of the training file, the same on any number of ranks, another by another seed"

echo "-- Gone on with elsewhere, and otherwise"
read -r step accuracy loss <<<"$(best "whole on 1")"
train_until=$((step + 6))
short=("${train[@]}" --validation-file test.tsv --keep-checkpoints 100)
succeed 1 "${short[@]}" --max-steps "$train_until" --output short
ranks 1 "${short[@]}" --max-steps "$train_until" --output elsewhere --resume "short/checkpoint-$((step + 2)).h5"
holds "status $status: $(cat "$err")" [ "$status" -eq 0 ]
same_tensors short/model.h5 elsewhere/model.h5
conclude "in another directory, where the best step is behind it: the same result"
holds "no copy: $(ls elsewhere)" [ -e "elsewhere/checkpoint-$((step + 2)).h5" ]
# As a kill before the copy leaves it: with the configuration alone.
rm elsewhere/*.h5
succeed 1 "${short[@]}" --max-steps "$train_until" --output elsewhere --resume auto
holds "began anew: $(head -n 30 "$out")" grep -q "going on from step $((step + 2)) of" "$out"
same_tensors short/model.h5 elsewhere/model.h5
conclude "ended before a checkpoint of its own, it goes on from where it was told to begin"
figures() { sed -nE 's/^  "(accuracy|loss)" ?: ?([-+.0-9eE]+),?$/\2/p' "$1"; }
read -r _ accuracy loss <<<"$(best short)"
printf '%s\n' "$accuracy" "$loss" >"$scratch/expected"
figures short/results.json | head -n 2 >"$scratch/found"
close "$scratch/expected" "$scratch/found" 1e-6
conclude "without test reviews the results are the figures of the best validation"
refused "other validation reviews" 78 "other validation reviews" -- \
  "${short[@]}" --validation-file train.tsv --max-steps "$train_until" --output short --resume auto
refused "no validation reviews" 78 "other validation reviews" -- \
  "${train[@]}" --max-steps "$train_until" --output short --resume auto
succeed 1 train --base base --train-file train.tsv --max-length 32 --method lora --epochs 2 --max-steps 3 --output cut
succeed 1 train --base base --train-file train.tsv --max-length 32 --method lora --epochs 2 --output cut --resume auto
holds "$(grep -c '"train_seconds"' cut/results.json) epochs of 2" [ "$(grep -c '"train_seconds"' cut/results.json)" -eq 2 ]
conclude "an epoch that --max-steps has cut short is one epoch when the run goes on"
cut=(train --base base --train-file train.tsv --max-length 32 --method lora --epochs 2 --max-steps 3 --output "cut for good")
succeed 1 "${cut[@]}"
bytes=$(grep all_reduce_bytes "cut for good/results.json")
succeed 1 "${cut[@]}" --resume auto
holds "no epoch" [ "$(grep -c '"train_seconds"' "cut for good/results.json")" -eq 1 ]
holds "other bytes" [ "$(grep all_reduce_bytes "cut for good/results.json")" = "$bytes" ]
conclude "where nothing is left to train, the results are those that it had"

echo "-- The best checkpoint is lost"
read -r step _ <<<"$(best short)"
cp -r short lost
rm "lost/checkpoint-$step.h5" lost/model.h5
succeed 1 "${short[@]}" --max-steps "$train_until" --output lost --resume auto
holds "no warning: $(cat "$err")" grep -q "checkpoint of step $step, .* is lost" "$err"
holds "no model" [ -e lost/model.h5 ]
conclude "the run goes on, says so, and has the best of what is left"

report
