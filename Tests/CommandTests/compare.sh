#!/usr/bin/env bash
# Comparisons of methods: killed in the middle, gone on with, and refused where the options are not the same.
#
#   Tests/CommandTests/compare.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib/checks.sh" "$@"

# Eight runs.
limit=300
compare=(compare --base base --train-file train.tsv --test-file test.tsv --max-length 32 --epochs 2 --global-batch-size 16
  --log-every 1 --checkpoint-every 2)
cells=(--methods 'full,lora:4@1e-3' --train-limits "100,50" --seeds "1,2")

# What a comparison found, without what it measured by the clock.
found() { cut -d, -f 1-4,6- "$1/comparison.csv"; }
# The cells that are done.
done_cells() { find "$1/cells" -name results.json 2>/dev/null | wc -l; }

echo "-- Undisturbed"
succeed 2 "${compare[@]}" "${cells[@]}" --output whole
holds "no table: $(cat "$out")" grep -qE '^lora:4@1e-3 +50 ' "$out"
for file in comparison.csv comparison.json comparison.md report.html; do
  holds "no $file" [ -s "whole/$file" ]
done
"$bin/make-fixture" check-json whole/comparison.json >"$scratch/json" || complain "$(cat "$scratch/json")"
holds "not a line a cell" [ "$(wc -l <whole/comparison.csv)" -eq 9 ]
holds "no McNemar's test of two seeds" [ "$(grep -c '"p_value"' whole/comparison.json)" -eq 4 ]
holds "the report is not whole" grep -q '^</html>$' whole/report.html
holds "the report names something outside" [ -z "$(grep -E '(src|href)=' whole/report.html || true)" ]
for directory in whole/cells/*; do
  holds "not 61 predictions in $directory" [ "$(wc -l <"$directory/predictions.tsv")" -eq 62 ]
  holds "no model in $directory" [ -s "$directory/model.h5" ]
  holds "checkpoints are left in $directory" [ -z "$(find "$directory" -name 'checkpoint-*')" ]
done
conclude "two methods, two numbers of reviews, two seeds: tables, tests, report and cells are whole"

echo "-- Killed, and gone on with"
start_on 2
"${start[@]}" "${compare[@]}" "${cells[@]}" --output killed >"$out" 2>"$err" </dev/null &
for ((tries = 0; tries < 600; tries++)); do
  [ "$(done_cells killed)" -lt 3 ] || break
  sleep 0.1
done
for process in $(processes); do kill -KILL "$process" 2>/dev/null || true; done
wait || true
none_left
before=$(done_cells killed)
holds "$before cells were done when it was killed" [ "$before" -ge 3 ]
find killed/cells -name results.json -printf '%p %T@\n' | sort >"$scratch/before"
succeed 2 "${compare[@]}" "${cells[@]}" --output killed
begun=$(grep -cE '^cell [0-9]+ of 8 ' "$out" || true)
holds "$before cells were done and $begun were run" [ $((before + begun)) -eq 8 ]
find killed/cells -name results.json -printf '%p %T@\n' | sort >"$scratch/after"
holds "a cell that was done was done again" [ -z "$(comm -23 "$scratch/before" "$scratch/after")" ]
found whole >"$scratch/one"
found killed >"$scratch/two"
holds "it found something else: $(diff "$scratch/one" "$scratch/two" | head -n 4)" cmp -s "$scratch/one" "$scratch/two"
conclude "what was done is skipped, the rest is run, and the figures are those of an undisturbed comparison"
succeed 1 "${compare[@]}" "${cells[@]}" --output killed --threads 2
holds "a cell was run again" [ "$(grep -cE '^cell ' "$out" || true)" -eq 0 ]
conclude "a comparison that is done runs nothing, on another number of ranks too"

ranks 2 "${compare[@]}" --methods full --epochs 100000 --output stopped --max-minutes 0.05
holds "status $status, expected 75" [ "$status" -eq 75 ]
holds "said: $(cat "$err")" grep -q 'go on with the same command\.$' "$err"
start_on 2
"${start[@]}" "${compare[@]}" --methods full --epochs 100000 --output stuck --stall-timeout 2 >"$out" 2>"$err" </dev/null &
job=$!
for ((tries = 0; tries < 600; tries++)); do
  [ -z "$(find stuck/cells -name 'checkpoint-*.h5' 2>/dev/null)" ] || break
  sleep 0.1
done
read -ra children <"/proc/$job/task/$job/children" || true # The list ends without a line.
kill -STOP "${children[1]}"
wait "$job" || true
none_left
holds "said: $(cat "$err")" grep -q ' is missing from .*; start again with the same command\.$' "$err"
conclude "one that is stopped or stuck says how to go on: compare has no --resume"

echo "-- A fusion, and the embedded demo"
succeed 2 "${compare[@]}" --methods fusion,adapter:4 --train-limits 50 --output fused
holds "no fusion: $(cat "$out")" grep -qE '^fusion +50 ' "$out"
holds "checkpoints are left: $(find fused -name 'checkpoint-*')" [ -z "$(find fused -name 'checkpoint-*')" ]
conclude "a fusion of two new adapters"
adapter=(train --base base --train-file train.tsv --max-length 32 --method adapter --epochs 1)
succeed 1 "${adapter[@]}" --output "an adapter"
succeed 1 "${adapter[@]}" --output "another adapter" --seed 2
fuse=("${compare[@]}" --methods fusion --train-limits 50 --output "fused files")
succeed 1 "${fuse[@]}" --fuse "a=an adapter/model.h5,b=new"
cp "an adapter/model.h5" moved.h5
succeed 1 "${fuse[@]}" --fuse "a=moved.h5,b=new"
holds "a cell was run again" [ "$(grep -cE '^cell ' "$out" || true)" -eq 0 ]
conclude "a fusion of a file counts it by its content: moved, it is the same"
refused "another adapter" 78 fuse_1 -- "${fuse[@]}" --fuse "a=another adapter/model.h5,b=new"
succeed 2 compare --methods linear-probe --epochs 1 --max-steps 3 --output demo
holds "no table: $(cat "$out")" grep -qE '^linear-probe +8,000 ' "$out"
conclude "the embedded demo"

echo "-- Refused"
cp -r base "base lower-cased" && rm "base lower-cased/tokenizer_config.json"
lower=("${compare[@]}" "${cells[@]}" --base "base lower-cased" --output whole)
refused "another tokenizer of the same numbers" 78 base_form_sha256 -- "${lower[@]}"
cp -r whole "whole before"
sed -i '/"base_form_sha256"/d' "whole before"/cells/*/cell.json
succeed 1 "${lower[@]}" --output "whole before"
holds "a cell was run again" [ "$(grep -cE '^cell ' "$out" || true)" -eq 0 ]
conclude "cells that are older than that are taken as they are"
refused "another number of epochs" 78 epochs -- "${compare[@]}" "${cells[@]}" --epochs 3 --output whole
refused "other test reviews" 78 test_sha256 -- "${compare[@]}" "${cells[@]}" --test-file train.tsv --output whole
refused "no directory" 64 --output -- "${compare[@]}" "${cells[@]}"
refused "no test reviews" 64 --test-file -- compare --base base --train-file train.tsv --max-length 32 --output none
refused "an unknown method" 64 nonsense full -- "${compare[@]}" --methods full,nonsense --output none
refused "a method twice" 64 lora:4 twice -- "${compare[@]}" --methods lora:4,lora:4 --output none
refused "a rate that is none" 64 'full@x' -- "${compare[@]}" --methods full@x --output none
refused "a value that full does not take" 64 full:3 -- "${compare[@]}" --methods full:3 --output none
refused "an option that there is not" 64 lora:size=3 -- "${compare[@]}" --methods lora:size=3 --output none
refused "a rank of zero" 64 lora:0 lora-rank -- "${compare[@]}" --methods lora:0 --output none
refused "seeds that are none" 64 --seeds -- "${compare[@]}" --seeds 1,two --output none
refused "a limit of zero" 64 --train-limits -- "${compare[@]}" --train-limits 0 --output none
report
