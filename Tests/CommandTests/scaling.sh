#!/usr/bin/env bash
# `bert-ddp scaling`, `plan` and `doctor`: a tiny study that is killed and goes on, its files, plans and refusals, what the
# doctor says alone and under mpirun; traces, logs of ranks, and options that are printed and read again.
#
#   Tests/CommandTests/scaling.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$here/lib/checks.sh" "$@"

# Complains unless a file is JSON.
is_json() { # FILE
  "$bin/make-fixture" check-json "$1" >"$scratch/json" || complain "$1: $(cat "$scratch/json")"
}

# Sends SIGTERM to the job in the background once a command holds, and complains unless it ends with 75, its own jobs too.
terminate_when() { # COMMAND…
  local i
  for ((i = 0; i < 600; i++)); do
    if "$@"; then break; fi
    sleep 0.1
  done
  kill -TERM "$job"
  status=0
  wait "$job" || status=$?
  none_left
  holds "status $status: $(cat "$err")" [ "$status" -eq 75 ]
}

echo "-- A study that is stopped and goes on"
study=(scaling --methods "lora:2,fusion" --ranks "1,2" --max-steps 2 --warmup-steps 1 --repetitions 2
  --global-batch-size 4 --output study --base base --train-file train.tsv --max-length 32)
limit=240
"$program" "${study[@]}" >"$out" 2>"$err" </dev/null &
job=$!
two_runs() { [ -f study/runs.jsonl ] && [ "$(wc -l <study/runs.jsonl)" -ge 2 ]; }
terminate_when two_runs
holds "another sentence: $(cat "$err")" grep -q "the same command goes on" "$err"
done_before=$(wc -l <study/runs.jsonl)
holds "nothing was kept" [ "$done_before" -ge 2 ]
conclude "SIGTERM ends the study with 75 and keeps what was measured"

"$program" prove --ranks 1 --output proof -- --base base --train-file train.tsv --epochs 100000 >"$out" 2>"$err" </dev/null &
job=$!
terminate_when test -s "proof/on 1/metrics.jsonl"
conclude "SIGTERM ends prove with 75, and the run that it had started"

# As a kill in the middle of a write leaves it.
printf '{"method":"lora:2","ra' >>study/runs.jsonl
succeed 1 "${study[@]}"
holds "it did not go on: $(head -n 3 "$out")" grep -q "^going on: $done_before of 16 runs" "$out"
holds "runs: $(wc -l <study/runs.jsonl)" [ "$(grep -c '"rep' study/runs.jsonl)" -eq 16 ]
holds "a run was left: $(ls study)" [ -z "$(find study -maxdepth 1 -name 'run-*')" ]
conclude "the same command does the rest"

echo "-- Its files"
columns=method,ranks,threads,nodes,global_batch,seq,rep,samples,seconds,samples_per_s,compute_s,comm_s,wait_s,io_s,speedup,efficiency,pss_mb,bytes_reduced
holds "columns: $(head -n 1 study/scaling.csv)" grep -q "^$columns," study/scaling.csv
# Two methods: one rank in both kinds, two ranks with each batch, half a batch on one rank, two repetitions.
holds "lines: $(wc -l <study/scaling.csv)" [ "$(wc -l <study/scaling.csv)" -eq $((1 + 2 * (4 + 1) * 2)) ]
holds "half batches" [ "$(grep -c '^[^,]*,1,1,1,2,.*,half,' study/scaling.csv)" -eq 4 ]
awk -F, 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad }' study/scaling.csv || complain "lines of different lengths"
# samples = steps × batch, 32 tokens at most, memory of a process at least.
awk -F, 'NR > 1 && ($6 != 32 || $8 != 2 * $5 || $9 <= 0 || $10 <= 0 || $17 < 1 || $18 <= 0) { print; bad = 1 } END { exit bad }' \
  study/scaling.csv >"$scratch/wrong" || complain "numbers: $(head -n 2 "$scratch/wrong")"
holds "the base of weak scaling is missing" grep -q '^lora:2,1,1,1,4,.*,weak,' study/scaling.csv
conclude "scaling.csv has the agreed columns and every run"
for name in efficiency-strong rate-strong efficiency-weak rate-weak model forecast; do
  holds "$name.svg is no image" grep -q '</svg>' "study/$name.svg"
done
holds "no ideal line" grep -q 'ideal' study/rate-strong.svg
holds "predictions do not say so" grep -q 'predicted' study/forecast.svg
for words in '## Measured' '## Predicted' 'Nothing in this section was measured' '## Environment' 'processor' 'efficiency-strong.svg'; do
  holds "study.md lacks $words" grep -qF "$words" study/study.md
done
holds "forecast.csv: $(tail -n 1 study/forecast.csv)" grep -q '^lora:2,strong,10GbE,1024,.*,predicted$' study/forecast.csv
conclude "page, plots and forecast, which say what is predicted"
succeed 1 "${study[@]}" --json
cp "$out" study.json
is_json study.json
for key in environment measured held_out; do holds "no $key" grep -q "\"$key\"" study.json; done
conclude "all done: the report again, as JSON"

echo "-- What a study refuses"
ranks 1 "${study[@]}" --max-length 16
holds "status $status" [ "$status" -eq 78 ]
conclude "other options in the same directory"
for arguments in "--ranks 0" "--ranks 1,x" "--methods lora:0" "--methods nothing" "--methods full:3" "--kinds sideways" \
  "--network fast" "--repetitions 0" "--launcher ssh" "--output other --method full" "--output other --bad-option" \
  "--output other --epochs 0"; do
  # shellcheck disable=SC2086
  ranks 1 scaling $arguments
  holds "$arguments: status $status" [ "$status" -eq 64 ]
  holds "$arguments: $(cat "$err")" [ "$(grep -c '^error: ' "$err")" -eq 1 ]
done
ranks 2 scaling --output other
holds "under mpirun: status $status" [ "$status" -eq 64 ]
holds "something was made" [ ! -e other ]
conclude "what makes no sense, before anything is made"
limit=60

echo "-- Plans"
succeed 1 plan --base base --train-file train.tsv --method lora --ranks 2 --no-calibration --json
cp "$out" plan.json
is_json plan.json
succeed 2 train --base base --train-file train.tsv --method lora --max-length 32 --max-steps 1 --output "run plan"
for key in trainable_parameters total_parameters all_reduce_bytes_per_step; do
  planned=$(sed -nE "s/.*\"$key\" : ([0-9]+).*/\1/p" plan.json)
  holds "$key: planned $planned" grep -qE "\"$key\" : $planned(,|\$)" "run plan/results.json"
done
conclude "counts and bytes are those of a run"
succeed 1 plan --base base --train-file train.tsv --ranks 2
for words in 'trained parameters' 'a node of 2 ranks' 'a step' 'an epoch' 'start: mpirun -np'; do
  holds "no $words: $(cat "$out")" grep -qF "$words" "$out"
done
conclude "memory, a step, an epoch, and how to start it"
succeed 1 plan --reviews 150000 --mean-tokens 20 --method full --ranks 2 --no-calibration --memory-per-node 1000
holds "no multilingual BERT: $(cat "$out")" grep -q '177,854,978 of 177,854,978' "$out"
ranks 1 plan --reviews 150000 --mean-tokens 20 --method full --ranks 64 --no-calibration --memory-per-node 16
holds "status $status" [ "$status" -eq 1 ]
holds "$(cat "$err")" grep -q 'use at most [1-9] on a node' "$err"
ranks 1 plan --base base
holds "no reviews: status $status" [ "$status" -eq 64 ]
ranks 1 plan --base base --reviews 10 --method nothing
holds "no method: status $status" [ "$status" -eq 64 ]
conclude "a base to come; what cannot fit is refused with what can"

echo "-- The doctor"
observe env -u OPENBLAS_CORETYPE "$program" doctor --ranks 1 --output "$work/new/run" --json
cp "$out" doctor.json
is_json doctor.json
for subject in cores BLAS MPI 'shared memory' locks disk limits; do
  holds "nothing of $subject" grep -q "\"subject\" : \"$subject\"" doctor.json
done
holds "the folder was made" [ ! -e new ]
conclude "looks at everything and makes nothing"
observe "$program" doctor --ranks 4096 --threads 8 --output "$work"
holds "status $status" [ "$status" -eq 1 ]
holds "no cure: $(cat "$out")" grep -qE '^ +mpirun -np [0-9]+ --map-by' "$out"
conclude "too many threads are a problem with a cure"
observe mpirun -np 2 --bind-to none "$program" doctor --output "$work"
holds "not once: $(cat "$out")" [ "$(grep -cE '^(ok +|note +|PROBLEM )cores: 2 ranks' "$out")" -eq 1 ]
holds "no binding: $(cat "$out")" grep -qE '^(ok +|note +|PROBLEM )binding: ' "$out"
conclude "under mpirun: the ranks as they were started, said once"
mkdir closed
observe "$program" doctor --output /proc/nothing
holds "status $status" [ "$status" -eq 1 ]
holds "$(cat "$out")" grep -q '^PROBLEM output: ' "$out"
conclude "a place that cannot be written to"

echo "-- What each rank does"
succeed 2 train --base base --train-file train.tsv --method lora --max-length 32 --max-steps 4 --log-every 2 --trace \
  --log-ranks --output traced
for rank in 0 1; do
  is_json "traced/trace-$rank.json"
  for name in step compute waiting "sum of gradients"; do
    holds "trace-$rank.json has no $name" grep -q "\"name\":\"$name\"" "traced/trace-$rank.json"
  done
  holds "trace-$rank.json: steps" [ "$(grep -c '"name":"step"' "traced/trace-$rank.json")" -eq 4 ]
  holds "log-$rank.txt: $(cat "traced/log-$rank.txt")" grep -q " rank $rank of 2, " "traced/log-$rank.txt"
  holds "log-$rank.txt has no steps" [ "$(grep -c ' step [24]: loss ' "traced/log-$rank.txt")" -eq 2 ]
done
succeed 2 train --base base --train-file train.tsv --method lora --max-length 32 --max-steps 4 --output untraced
holds "$(ls untraced)" [ -z "$(find untraced -name 'trace-*' -o -name 'log-*')" ]
same_tensors traced/model.h5 untraced/model.h5
conclude "traces and logs of each rank, where they are asked for, and the same run"

echo "-- Installing"
limit=300
observe env PREFIX="$work/prefix" BERT_DDP_BIN="$bin" bash "$here/../../launch/install"
holds "status $status: $(tail -n 3 "$err")" [ "$status" -eq 0 ]
for file in bin/bert-ddp share/bert-ddp/demo-base.h5 share/man/man1/bert-ddp.1 share/man/man1/bert-ddp-scaling.1 \
  share/bash-completion/completions/bert-ddp share/zsh/site-functions/_bert-ddp \
  share/fish/vendor_completions.d/bert-ddp.fish; do
  holds "no $file" [ -s "prefix/$file" ]
done
holds "no options in the manual" grep -q 'max\\-steps' prefix/share/man/man1/bert-ddp-scaling.1
bash -n prefix/share/bash-completion/completions/bert-ddp || complain "the completions are no bash"
observe prefix/bin/bert-ddp --version
holds "status $status" [ "$status" -eq 0 ]
observe env PREFIX="$work/prefix" bash "$here/../../launch/install" --uninstall
holds "left: $(find prefix -type f)" [ -z "$(find prefix -type f)" ]
conclude "program, manual and completions come and go"
limit=60

echo "-- Numbers beyond all bounds"
refused "more positions than the base has" 64 --max-length positions -- \
  plan --base base --reviews 100 --mean-tokens 40 --max-length 100000 --no-calibration
refused "memory without end" 64 --memory-per-node -- plan --memory-per-node inf
refused "a gradient's limit without end" 64 --max-grad-norm -- \
  train --base base --train-file train.tsv --max-grad-norm inf --output new
refused "warm-up steps below zero" 64 --warmup-steps -1 -- scaling --warmup-steps=-1 --output new
refused "warm-up steps without end" 64 --warmup-steps -- scaling --warmup-steps 9223372036854775807 --output new

echo "-- Options that are printed and read again"
succeed 1 train --print-config --method lora --lora-rank 4 --train-file "a: b.tsv" --base base --lora-layers 0-1
cp "$out" printed.yaml
for line in 'method: lora' 'lora-rank: 4' 'train-file: "a: b.tsv"' 'lora-layers: 0,1' 'learning-rate: 0.001' 'epochs: 4'; do
  holds "no $line: $(cat printed.yaml)" grep -qxF "$line" printed.yaml
done
succeed 1 train --config printed.yaml --print-config
holds "not the same: $(diff printed.yaml "$out")" cmp -s printed.yaml "$out"
conclude "--print-config writes what --config reads"
report
