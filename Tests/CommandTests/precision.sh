#!/usr/bin/env bash
# bf16 as a person uses it: the same bits on any number of ranks and after going on, evaluation in either precision, and
# a sentence where it cannot be.
#
#   Tests/CommandTests/precision.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib/checks.sh" "$@"

train=(train --base base --train-file train.tsv --max-length 32 --max-steps 6 --learning-rate 2e-3)

echo "-- Where it cannot be"
ranks 1 "${train[@]}" --precision bf16 --max-steps 1 --output first
if [ "$status" -eq 64 ]; then
  holds "said: $(cat "$err")" grep -qE '^error: --precision bf16 needs .*; leave it out to compute in fp32\.$' "$err"
  conclude "a sentence that says what is missing"
  echo "skipped the rest: $(cat "$err")"
  report
  exit
fi
holds "status $status: $(cat "$err")" [ "$status" -eq 0 ]
conclude "a run on one rank"
# oneDNN then uses no instructions for bfloat16, as on a processor without them.
export ONEDNN_MAX_CPU_ISA=AVX2
refused "a processor without instructions for bfloat16" 64 "--precision bf16" AVX512-BF16 fp32 -- \
  "${train[@]}" --precision bf16 --output new
refused "evaluation without them" 64 "--precision bf16" AVX512-BF16 -- \
  evaluate --checkpoint first/model.h5 --test-file test.tsv
unset ONEDNN_MAX_CPU_ISA
refused "another precision" 64 int8 fp32 bf16 -- "${train[@]}" --precision int8 --output new

echo "-- The same bits"
for method in full lora; do
  for count in 1 2 3; do
    run="$method on $count"
    succeed "$count" "${train[@]}" --method "$method" --precision bf16 --deterministic --checkpoint-every 2 \
      --keep-checkpoints 9 --test-file test.tsv --output "$run"
    grep -q '"precision" : "bf16"' "$run/config.json" || complain "no precision in config.json"
    [ "$count" -eq 1 ] || same_tensors "$method on 1/model.h5" "$run/model.h5"
  done
  conclude "$method on 1, 2 and 3 ranks"
  succeed 2 "${train[@]}" --method "$method" --precision bf16 --deterministic --test-file test.tsv \
    --resume "$method on 1/checkpoint-2.h5" --output "$method again"
  same_tensors "$method on 1/model.h5" "$method again/model.h5"
  succeed 1 "${train[@]}" --method "$method" --deterministic --test-file test.tsv --output "$method in fp32"
  tensors "$method in fp32/model.h5" >"$scratch/one"
  tensors "$method on 1/model.h5" >"$scratch/two"
  ! cmp -s "$scratch/one" "$scratch/two" || complain "nothing was rounded"
  conclude "$method gone on with on another number of ranks"
done

echo "-- Identity"
refused "going on in the other precision" 78 precision -- \
  "${train[@]}" --method full --deterministic --resume "full on 1/checkpoint-2.h5" --output new

echo "-- Evaluation"
loss() { sed -nE 's/^  "loss" : ([0-9.]+).*/\1/p' "$1"; }
succeed 1 evaluate --checkpoint "full on 1/model.h5" --test-file test.tsv --unmerged --json
loss "$out" >"$scratch/own"
loss "full on 1/results.json" >"$scratch/trained"
holds "evaluate said $(cat "$scratch/own"), training $(cat "$scratch/trained")" cmp -s "$scratch/own" "$scratch/trained"
conclude "evaluate computes as training did"
# Folded into a plain model nothing is trained any more, and the token embeddings are kept rounded too.
succeed 1 evaluate --checkpoint "full on 1/model.h5" --test-file test.tsv --json
loss "$out" >"$scratch/folded"
close "$scratch/own" "$scratch/folded" 0.001
succeed 2 evaluate --checkpoint "full on 1/model.h5" --test-file test.tsv --precision fp32 --json
loss "$out" >"$scratch/exact"
! cmp -s "$scratch/own" "$scratch/exact" || complain "--precision fp32 makes no difference"
close "$scratch/own" "$scratch/exact" 0.02
succeed 1 predict --checkpoint "full on 1/model.h5" --input test.tsv --precision fp32 --output exact.tsv
succeed 1 predict --checkpoint "full on 1/model.h5" --input test.tsv --output rounded.tsv
# Of those that are not in doubt.
for kind in exact rounded; do awk -F '\t' 'NR > 1 { print $1, $2 }' "$kind.tsv" >"$scratch/$kind labels"; done
paste "$scratch/exact labels" "$scratch/rounded labels" | awk '{ d = $2 - $4; if (d < 0) d = -d }
  $2 > 0.53 && ($1 != $3 || d > 0.03) { print; bad = 1 } END { exit bad || NR == 0 }' >"$scratch/far" ||
  complain "other labels: $(head -n 3 "$scratch/far")"
! cmp -s exact.tsv rounded.tsv || complain "the probabilities are the same"
conclude "evaluate and predict in the other precision"

report
