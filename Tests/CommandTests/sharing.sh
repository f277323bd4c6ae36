#!/usr/bin/env bash
# Moments that ranks share out (--shard-optimizer): the bits of moments that every rank has, in checkpoints that know
# nothing of ranks and are gone on from on any number of them.
#
#   Tests/CommandTests/sharing.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib/checks.sh" "$@"

train=(train --base base --train-file train.tsv --max-length 32 --learning-rate 1e-3 --lr-schedule constant --warmup-ratio 0 --quiet
  --epochs 40 --weight-decay 0.01)

for method in full lora; do
  run=("${train[@]}" --method "$method" --deterministic)
  succeed 1 "${run[@]}" --max-steps 20 --output "$method 1"
  succeed 3 "${run[@]}" --max-steps 9 --shard-optimizer --output "$method shared"
  succeed 2 "${run[@]}" --max-steps 15 --shard-optimizer --output "$method shared" --resume auto
  succeed 4 "${run[@]}" --max-steps 20 --no-shard-optimizer --output "$method shared" --resume auto
  same_tensors "$method 1/checkpoint-20.h5" "$method shared/checkpoint-20.h5"
  conclude "$method: moments shared out over 3 ranks, then 2, then whole on 4, have the bits of one rank's"
done

# Without --deterministic the order of ranks is the order of sums, shared out or not.
for share in --no-shard-optimizer --shard-optimizer; do
  succeed 3 "${train[@]}" --method full --max-steps 10 "$share" --output "three$share"
done
same_tensors three--no-shard-optimizer/checkpoint-10.h5 three--shard-optimizer/checkpoint-10.h5
conclude "without --deterministic: the same bits at the same number of ranks"

results=three--shard-optimizer/results.json
count() { grep -c "\"$1\"" "$results" || true; }
# Once for each rank and once for each epoch.
[ "$(count waiting_s)" -ge 3 ] || complain "no seconds by phase in $(cat "$results")"
for name in pss_bytes node_memory_bytes phase_seconds; do
  [ "$(count "$name")" -ge 1 ] || complain "$results has no $name"
done
conclude "results.json says what each rank's time went into, and what memory the node holds"

report
