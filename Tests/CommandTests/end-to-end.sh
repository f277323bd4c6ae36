#!/usr/bin/env bash
# The commands as a person uses them, from a Hugging Face directory to predictions, on one to four ranks.
#
#   Tests/CommandTests/end-to-end.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib/checks.sh" "$@"

train=(train --base base --train-file train.tsv --max-length 32 --learning-rate 2e-3)

# Complains unless a file is JSON that has all of these keys.
keys() { # FILE KEY…
  local file=$1 key
  shift
  "$bin/make-fixture" check-json "$file" >"$scratch/json" || complain "$(cat "$scratch/json")"
  for key in "$@"; do grep -q "\"$key\" *:" "$file" || complain "no $key in $file"; done
}
# The loss of an evaluation; a run's epochs, whose lines stand further in, have their own.
loss() { sed -nE 's/^  "loss" : ([0-9.]+).*/\1/p' "$1"; }

echo "-- Help"
succeed 1 --help
mapfile -t commands < <(sed -nE '/^SUBCOMMANDS:/,$s/^  ([a-z]+) .*/\1/p' "$out")
for command in train import evaluate predict inspect; do
  [[ " ${commands[*]} " == *" $command "* ]] || complain "no $command"
done
for command in "${commands[@]}"; do
  succeed 1 "$command" --help
  grep -A 1 "Example:" "$out" | grep -q "bert-ddp $command" || complain "no example"
  ! grep -v '^USAGE: ' "$out" | grep -qE '.{81}' || complain "wider than 80 columns: $command"
done
conclude "the help of each command has an example"
for count in 1 4; do
  succeed "$count" --version
  holds "said: $(cat "$out")" grep -qxE 'bert-ddp [0-9]+\.[0-9]+\.[0-9]+' "$out"
done
conclude "the version, said once"

echo "-- The demo"
for count in 1 2 3 4; do
  run="demo on $count"
  succeed "$count" --max-steps 4 --log-every 2 --output "$run"
  for file in config.json metrics.jsonl results.json checkpoint-4.h5 model.h5; do
    holds "no $file" [ -s "$run/$file" ]
  done
  keys "$run/config.json" base_sha256 data_sha256 version world_size method epochs learning_rate adam_beta1 adam_beta2 \
    adam_epsilon weight_decay max_grad_norm lr_schedule warmup_ratio global_batch_size accumulation_steps max_length \
    max_steps seed output resume keep_checkpoints threads log_every num_labels text_column label_column
  keys "$run/results.json" accuracy precision recall f1 loss tp fp tn fn method trainable_parameters total_parameters \
    world_size all_reduce_bytes_per_step epochs train_seconds peak_rss_bytes
  keys "$run/metrics.jsonl"
  for key in event step epoch loss learning_rate grad_norm reviews_per_second tokens_per_second; do
    holds "step events: $key" [ "$(grep '"event":"step"' "$run/metrics.jsonl" | grep -c "\"$key\":")" -eq 2 ]
  done
  grep '"event":"epoch"' "$run/metrics.jsonl" | grep -q '"train_seconds":' || complain "no epoch event"
  for key in split step accuracy precision recall f1 loss tp fp tn fn; do
    grep '"event":"evaluation"' "$run/metrics.jsonl" | grep -q "\"$key\":" || complain "evaluation event: $key"
  done
  holds "another world size" grep -q "\"world_size\" : $count" "$run/results.json"
  # 4 bytes for each number that is trained, but for rows of token embeddings that no token of a step has.
  bytes=$(sed -nE 's/.*"all_reduce_bytes_per_step" : ([0-9]+).*/\1/p' "$run/results.json")
  trained=$(sed -nE 's/.*"trainable_parameters" : ([0-9]+).*/\1/p' "$run/results.json")
  holds "$bytes bytes a step for $trained numbers" [ "$bytes" -lt $((4 * trained)) -a "$bytes" -gt $((2 * trained)) ]
  holds "no closing table: $(cat "$out")" grep -qE '^test: [0-9,]+ reviews' "$out"
  holds "no run directory: $(cat "$out")" grep -q "results in $run" "$out"
  ! grep -q $'[\e\r]' "$out" || complain "control characters, though this is no terminal"
  conclude "the demo on $(of "$count")"
done
numbers "demo on 1/metrics.jsonl" step loss >"$scratch/alone"
for count in 2 3 4; do
  numbers "demo on $count/metrics.jsonl" step loss >"$scratch/together"
  close "$scratch/alone" "$scratch/together" 1e-5
done
conclude "its losses do not depend on the number of ranks"

echo "-- From a base to metrics"
succeed 1 import base --output base.h5
succeed 4 import "base bin" --output "base bin.h5"
succeed 1 import "base sharded" --output "base sharded.h5"
for other in "base bin.h5" "base sharded.h5"; do
  tensors base.h5 | sort >"$scratch/one"
  tensors "$other" | sort >"$scratch/two"
  holds "no tensors" [ -s "$scratch/one" ]
  holds "base.h5 and $other differ: $(diff "$scratch/one" "$scratch/two")" cmp -s "$scratch/one" "$scratch/two"
done
conclude "import of safetensors, shards and pytorch_model.bin"
succeed 2 "${train[@]}" --test-file test.tsv --epochs 2 --output full
succeed 2 "${train[@]}" --base base.h5 --test-file test.tsv --epochs 2 --output "full from HDF5"
same_tensors full/model.h5 "full from HDF5/model.h5"
same_tensors full/checkpoint-10.h5 "full from HDF5/checkpoint-10.h5"
conclude "training on a directory and on what is imported from it: the same bits"
for file in test.tsv test.jsonl; do
  for count in 1 2 3 4; do
    succeed "$count" evaluate --json --checkpoint full/model.h5 --test-file "$file"
    [ -e metrics.json ] || cp "$out" metrics.json
    holds "on $(of "$count"): $(diff metrics.json "$out" | head -n 3)" cmp -s "$out" metrics.json
  done
  conclude "evaluation of $file: the same digits on 1, 2, 3 and 4 ranks"
done
keys metrics.json accuracy precision recall f1 loss tp fp tn fn
counts=$(sed -nE 's/.*"(tp|fp|tn|fn)" : ([0-9]+).*/\2/p' metrics.json | paste -sd+)
holds "counts do not sum to 61: $counts" [ $((counts)) -eq 61 ]
for key in accuracy precision recall f1 loss; do
  grep -qF "$(grep "\"$key\" :" metrics.json | tr -d ' ,')" <(tr -d ' ,' <full/results.json) || complain "$key differs"
done
conclude "they are the metrics that training ended with"
succeed 1 evaluate --json --checkpoint full/checkpoint-10.h5 --test-file test.tsv --base base.h5
holds "metrics differ" cmp -s "$out" metrics.json
conclude "a checkpoint is as good as the model, an imported base as the directory"

echo "-- Predictions"
{ cut -f 2 test.tsv | tail -n +2; printf '\n"quoted"\n\nthe end'; } >texts.txt
for count in 1 2 3 4; do
  succeed "$count" predict --checkpoint full/model.h5 --input texts.txt --output "labels on $count.tsv"
  holds "predictions differ on $(of "$count")" cmp -s "labels on 1.tsv" "labels on $count.tsv"
done
holds "header: $(head -n 1 "labels on 1.tsv")" [ "$(head -n 1 "labels on 1.tsv")" = $'label\tprobability' ]
holds "$(wc -l <"labels on 1.tsv") lines for 65 texts" [ "$(wc -l <"labels on 1.tsv")" -eq 66 ]
! tail -n +2 "labels on 1.tsv" | grep -vqxE $'[01]\t(0\\.[5-9][0-9]{5}|1\\.000000)' || complain "a line is not like the others"
conclude "a header and a line a text, empty ones too, on 1, 2, 3 and 4 ranks"
# All but the last line, which has no end.
head -n -1 texts.txt | tac >turned.txt
succeed 1 predict --checkpoint full/model.h5 --input turned.txt --output turned.tsv
tail -n +2 turned.tsv | tac >"$scratch/one"
tail -n +2 "labels on 1.tsv" | head -n -1 >"$scratch/two"
holds "other labels" cmp -s <(cut -f 1 "$scratch/one") <(cut -f 1 "$scratch/two")
close <(cut -f 2 "$scratch/one") <(cut -f 2 "$scratch/two") 2e-6
conclude "in the order of the texts, whatever else is in the file"
tail -n +2 test.tsv | cut -f 3 >"$scratch/labels"
right=$(paste "$scratch/labels" <(tail -n +2 "labels on 1.tsv" | head -n 61 | cut -f 1) | awk '$1 == $2' | wc -l)
awk -v right="$right" '/"accuracy" :/ { gsub(",", ""); d = $3 - right / 61; exit !(d < 1e-9 && d > -1e-9) }' metrics.json ||
  complain "$right of 61 labels are right, but $(grep '"accuracy" :' metrics.json)"
succeed 1 predict --checkpoint full/model.h5 --input test.tsv --output -
holds "the table's texts have other labels" cmp -s "$out" <(head -n 62 "labels on 1.tsv")
"$program" predict --checkpoint full/model.h5 <texts.txt >"$out" 2>"$err" || complain "from standard input: $(cat "$err")"
holds "texts on standard input have other labels" cmp -s "$out" "labels on 1.tsv"
conclude "as right as the accuracy says; from a table and from standard input the same"
{ head -n 3 test.jsonl; echo; sed -n 4p test.jsonl; printf ' \n\n'; } >blank.jsonl
for count in 1 4; do
  succeed "$count" predict --checkpoint full/model.h5 --input blank.jsonl
  holds "$(wc -l <"$out") lines for 7 lines" [ "$(wc -l <"$out")" -eq 8 ]
  holds "other labels" cmp -s <(sed -n '2,4p;6p' "$out" | cut -f 1) <(sed -n 2,5p "labels on 1.tsv" | cut -f 1)
  conclude "blank lines among JSON lines have an answer too, $(of "$count")"
done
sed '1s/document/text/; 1s/label/score/' test.tsv >renamed.tsv
for count in 1 4; do
  succeed "$count" evaluate --json --checkpoint full/model.h5 --test-file renamed.tsv --text-column text --label-column score
  holds "other metrics" cmp -s "$out" metrics.json
  succeed "$count" predict --checkpoint full/model.h5 --input renamed.tsv --text-column text
  holds "other labels" cmp -s <(cut -f 1 "$out") <(head -n 62 "labels on 1.tsv" | cut -f 1)
  conclude "columns of other names than in training, $(of "$count")"
done

echo "-- Data"
succeed 2 "${train[@]}" --train-file train.jsonl --test-file test.jsonl --epochs 2 --output "full from JSON lines"
same_tensors full/model.h5 "full from JSON lines/model.h5"
conclude "JSON lines and a table: the same bits"
pairs=(--train-file "train pairs.tsv" --test-file "test pairs.tsv" --text-column first --text-pair-column second
  --label-column praises --num-labels 3)
succeed 4 "${train[@]}" "${pairs[@]}" --max-length 64 --epochs 1 --output pairs
keys pairs/results.json accuracy precision recall f1 loss
succeed 1 evaluate --json --checkpoint pairs/model.h5 --test-file "test pairs.tsv"
holds "accuracies differ: $(cat "$out")" grep -qF "$(grep '"accuracy" :' pairs/results.json)" "$out"
succeed 3 predict --checkpoint pairs/model.h5 --input "test pairs.tsv"
holds "$(wc -l <"$out") lines for 60 pairs" [ "$(wc -l <"$out")" -eq 61 ]
sed '1s/first/one/; 1s/second/two/; 1s/praises/class/' "test pairs.tsv" >"renamed pairs.tsv"
cut -f 1 "$out" >"$scratch/one"
succeed 1 predict --checkpoint pairs/model.h5 --input "renamed pairs.tsv" --text-column one --text-pair-column two
holds "other labels" cmp -s <(cut -f 1 "$out") "$scratch/one"
succeed 1 evaluate --json --checkpoint pairs/model.h5 --test-file "renamed pairs.tsv" \
  --text-column one --text-pair-column two --label-column class
holds "accuracies differ: $(cat "$out")" grep -qF "$(grep '"accuracy" :' pairs/results.json)" "$out"
succeed 3 predict --checkpoint pairs/model.h5 --input "test pairs.tsv"
! tail -n +2 "$out" | cut -f 1 | grep -vqx '[012]' || complain "other labels"
conclude "pairs of texts, three classes"
succeed 2 "${train[@]}" --train-limit 40 --epochs 1 --output limited
holds "not 40 reviews: $(cat "$out")" grep -q '^training data: 40 reviews' "$out"
holds "not 2 steps: $(cat "$out")" grep -q 'steps done 2 of 2' "$out"
conclude "--train-limit"

echo "-- Options"
short=("${train[@]}" --max-steps 6 --log-every 1)
succeed 1 "${short[@]}" --global-batch-size 32 --output "whole"
succeed 1 "${short[@]}" --global-batch-size 16 --accumulation-steps 2 --output "in halves"
for key in loss grad_norm; do
  numbers whole/metrics.jsonl step $key >"$scratch/one"
  numbers "in halves/metrics.jsonl" step $key >"$scratch/two"
  close "$scratch/one" "$scratch/two" 1e-4
done
conclude "two passes of 16 reviews make the step of one of 32"
succeed 1 train --base base --train-file train.tsv --max-steps 1 --output "all positions"
holds "not said: $(cat "$out")" grep -q '^ *longest review  *64 tokens, all positions that the base has' "$out"
holds "not stored" grep -q '"max_length" : 64' "all positions/config.json"
conclude "the default --max-length gives way to a base of 64 positions"
printf 'method: lora\nlora_rank: 4\nlora_targets: [query, value, dense]\nseed: 3\nquiet: true\nmax_steps:\n' >"my options.yaml"
succeed 2 "${train[@]}" --config "my options.yaml" --seed 5 --epochs 1 --test-file test.tsv --output lora
holds "not the file's method" grep -q '"method" : "lora"' lora/config.json
holds "not the file's rank" grep -q '"lora_rank" : 4' lora/config.json
holds "a list did not arrive" grep -q '"dense"' lora/config.json
holds "the command line does not win" grep -q '"seed" : 5' lora/config.json
! grep -q 'training data' "$out" || complain "not quiet"
conclude "--config; the command line wins"
for command in train pretrain; do
  succeed 1 "$command" --help
  mapfile -t flags < <(sed -nE 's/^  (--[a-z-]+)(\/--no-[a-z-]+)?( .*|$)/\1/p' "$out" | grep -v -e --help -e --version -e --print-config)
  # An option that takes a value is none.
  for flag in "${flags[@]}"; do
    if grep -qE "^  $flag <" "$out"; then continue; fi
    for given in "$flag" "$(grep -qE "^  $flag/--no-" "$out" && echo "--no-${flag#--}")"; do
      [ -n "$given" ] || continue
      "$program" "$command" --base base --train-file train.tsv "$given" --print-config >printed.yaml 2>"$err" || continue
      "$program" "$command" --config printed.yaml --print-config >again.yaml 2>"$err" || complain "$given: $(cat "$err")"
      holds "$given: $(diff printed.yaml again.yaml)" cmp -s printed.yaml again.yaml
      name=${given#--} value=true
      if [[ $given == --no-* ]]; then name=${flag#--} value=false; fi
      # What is said is no option of the run, and is not printed.
      [[ $name == quiet || $name == json ]] || holds "no $name: $value" grep -qxF "$name: $value" printed.yaml
      printed+=" $given"
    done
  done
done
# Of the demo's two runs each has its own method and epochs.
"$program" --print-config >printed.yaml
! grep -E '^(method|epochs):' printed.yaml || complain "what the demo's runs do not share"
"$program" train --config printed.yaml --print-config >again.yaml
holds "the demo: $(diff printed.yaml again.yaml)" cmp -s printed.yaml again.yaml
for flag in --deterministic --no-shard-optimizer --shard-optimizer --trace --cache-frozen --next-sentence; do
  [[ "${printed:-} " == *" $flag "* ]] || complain "$flag was not tried:${printed:-}"
done
conclude "every flag, on and off, as --print-config writes it and --config reads it"
succeed 2 evaluate --json --checkpoint lora/model.h5 --test-file test.tsv
cp "$out" merged.json
succeed 2 evaluate --json --checkpoint lora/model.h5 --test-file test.tsv --unmerged
close <(loss merged.json) <(loss "$out") 1e-5
conclude "LoRA folded into the weights and beside them"
succeed 1 train --help
read -ra methods < <(tr -s ' \n' ' ' <"$out" | sed -nE 's/.*Fine-tuning method: ([^.]*)\..*/\1/p' | tr -d ,) || true
holds "few methods: ${methods[*]}" [ "${#methods[@]}" -ge 4 ]
for method in "${methods[@]}"; do
  # It needs adapters: fusion.sh.
  [ "$method" != fusion ] || continue
  succeed 2 "${train[@]}" --method "$method" --max-steps 2 --test-file test.tsv --output "method $method"
  succeed 1 evaluate --json --checkpoint "method $method/model.h5" --test-file test.tsv
  close <(loss "method $method/results.json") <(loss "$out") 1e-5
  conclude "--method $method: evaluated as at the end of training"
done
succeed 1 export --checkpoint lora/model.h5 --format hf --output exported
succeed 2 "${train[@]}" --base exported --learning-rate 0 --max-steps 1 --test-file test.tsv --output "from exported"
close <(loss "from exported/results.json") <(loss merged.json) 1e-5
conclude "LoRA exported for Hugging Face and used as a base: the same model"
cp -r exported "with names"
sed -i 's/LABEL_0/schlecht/g; s/LABEL_1/gut/g' "with names/config.json"
for names in "schlecht gut" "LABEL_0 LABEL_1 LABEL_2"; do
  read -ra names <<<"$names"
  file=train.tsv columns=()
  if [ ${#names[@]} -eq 3 ]; then
    file="train pairs.tsv" columns=(--text-column first --text-pair-column second --label-column praises --num-labels 3)
  fi
  rm -rf named "named for hf" "named for adapterhub"
  succeed 1 train --base "with names" --train-file "$file" "${columns[@]}" --max-length 32 --max-steps 1 \
    --method ia3 --output named
  for format in hf adapterhub; do
    succeed 1 export --checkpoint named/model.h5 --format "$format" --output "named for $format"
    for name in "${names[@]}"; do
      grep -rqF "\"$name\"" "named for $format" --include='*config.json' || complain "no $name in $format"
    done
  done
  conclude "names of ${#names[@]} classes, ${names[*]}, leave with the model"
done
cp -r base "much said"
{ echo '{"long": "'; head -c 2000000 /dev/zero | tr '\0' x; echo '",'; tail -n +2 base/config.json; } | tr -d '\n' >"much said/config.json"
succeed 1 import "much said" --output "much said.h5"
succeed 1 export --checkpoint "much said.h5" --format hf --output "much said for hf"
holds "not kept" [ "$(stat -c %s "much said for hf/config.json")" -gt 2000000 ]
succeed 1 train --base "much said.h5" --train-file train.tsv --max-length 32 --max-steps 1 --output "much said run"
succeed 1 export --checkpoint "much said run/model.h5" --format hf --output "much said run for hf"
succeed 1 pretrain --base "much said.h5" --train-file train.tsv --max-length 32 --max-steps 1 --output "much said pretrained"
holds "no base" [ -e "much said pretrained/base.h5" ]
conclude "a config.json of two megabytes goes through import, training, export and pretraining"

echo "-- What is said"
for count in 1 4; do
  for command in train evaluate import inspect; do
    case $command in
    train) arguments=("${train[@]}" --max-steps 2 --test-file test.tsv --output "json on $count") ;;
    evaluate) arguments=(evaluate --checkpoint full/model.h5 --test-file test.tsv) ;;
    import) arguments=(import base --output again.h5) ;;
    inspect) arguments=(inspect full/model.h5) ;;
    esac
    succeed "$count" "${arguments[@]}" --json
    cp "$out" "$scratch/said"
    "$bin/make-fixture" check-json "$scratch/said" >"$out" || complain "$command: $(head -c 300 "$scratch/said")"
  done
  conclude "--json: JSON on standard output and nothing else, $(of "$count")"
done
succeed 4 "${train[@]}" --max-steps 2 --test-file test.tsv --output quiet --quiet
holds "more: $(cat "$out")" [ "$(wc -l <"$out")" -le 5 ]
holds "no result: $(cat "$out")" grep -q '^test: 61 reviews' "$out"
conclude "--quiet: the result alone"

echo "-- Killed, and going on"
for count in 1 4; do
  rm -rf runs
  ranks "$count" "${train[@]}" --epochs 100000 --max-minutes 0.05
  holds "status $status, expected 75" [ "$status" -eq 75 ]
  directory=$(echo runs/*)
  holds "not one directory: $directory" [ -d "$directory" ]
  holds "said: $(cat "$err")" grep -qF "go on with --output $directory --resume auto." "$err"
  ranks "$count" "${train[@]}" --epochs 100000 --max-minutes 0.05 --output "$directory" --resume auto
  holds "said: $(cat "$err")" grep -qF "go on with --resume auto." "$err"
  conclude "stopped in a directory of no chosen name, which is said, $(of "$count")"
done
for count in 1 2; do
  # Sixty microseconds: after every step.
  run="by time on $count"
  timed=("${train[@]}" --max-steps 9 --epochs 9 --checkpoint-minutes 0.000001)
  succeed "$count" "${timed[@]}" --output "$run"
  succeed "$count" "${timed[@]}" --output "$run again" --max-steps 4
  succeed "$count" "${timed[@]}" --output "$run again" --resume auto
  for directory in "$run" "$run again"; do
    # Each makes room for the next one, of whatever kind; those of epochs only for each other.
    saved=$(cd "$directory" && echo checkpoint-*)
    holds "saved: $saved" [ "$saved" = "checkpoint-5.h5 checkpoint-9.h5" ]
  done
  succeed "$count" "${train[@]}" --max-steps 9 --epochs 9 --checkpoint-minutes 0 --keep-checkpoints 100 --output "$run not"
  holds "saved: $(ls "$run not")" [ "$(find "$run not" -name 'checkpoint-*.h5' | wc -l)" -le 3 ]
  same_tensors "$run/model.h5" "$run not/model.h5"
  conclude "checkpoints by time, $(of "$count")"
done
# The demo alone compares two methods, each in a directory of its own.
demo=(--max-steps 400 --checkpoint-every 50)
for method in full lora; do
  rm -rf runs
  "$program" "${demo[@]}" >"$out" 2>"$err" </dev/null &
  job=$!
  for _ in $(seq 2000); do compgen -G "runs/*/$method/config.json" >/dev/null && break; sleep 0.01; done
  kill -USR1 "$job"
  status=0
  wait "$job" || status=$?
  holds "status $status, expected 75: $(cat "$err")" [ "$status" -eq 75 ]
  read -ra advice <<<"$(sed -nE 's/.* go on with (.*)\.$/\1/p' "$err")"
  succeed 1 "${demo[@]}" "${advice[@]}"
  holds "it did not go on with ${advice[*]}: $(cat "$out")" grep -q '^going on from step' "$out"
  conclude "the demo is stopped in $method, and goes on as it says: ${advice[*]}"
done
for count in 1 2; do
  # Long enough to be caught on its way by any machine.
  long=("${train[@]}" --epochs 60 --checkpoint-every 1 --method lora)
  succeed "$count" "${long[@]}" --output "whole on $count"
  run="killed on $count"
  start_on "$count"
  "${start[@]}" "${long[@]}" --output "$run" >"$out" 2>"$err" </dev/null &
  job=$!
  # Any of step 10 or later: two stay, so a certain one is soon gone.
  for _ in $(seq 2000); do compgen -G "$run/checkpoint-*[0-9][0-9].h5" >/dev/null && break; sleep 0.01; done
  debris=$(for process in $(processes); do grep -hosE '/dev/shm/(vader|sm)_segment.*' "/proc/$process/maps" || true; done | sort -u)
  for process in $(processes); do kill -KILL "$process" 2>/dev/null || true; done
  wait "$job" 2>/dev/null || true
  none_left
  # What nobody is left to remove: message buffers, mpirun's directory.
  [ -z "$debris" ] || tr '\n' '\0' <<<"$debris" | xargs -0 rm -f
  rm -rf "${TMPDIR:-/tmp}/ompi.$(hostname).$(id -u)/pid.$job"
  holds "no checkpoint: $(ls -A "$run")" compgen -G "$run/checkpoint-*.h5" >"$scratch/checkpoints"
  holds "it ended before it was killed" [ ! -e "$run/model.h5" ]
  succeed "$count" "${long[@]}" --output "$run" --resume auto
  grep -qE 'going on from step ([1-9][0-9]|[12][0-9]{2}) of 300' "$out" || complain "it did not go on: $(head -n 30 "$out")"
  same_tensors "whole on $count/model.h5" "$run/model.h5"
  same_tensors "whole on $count/checkpoint-300.h5" "$run/checkpoint-300.h5"
  numbers "whole on $count/metrics.jsonl" epoch loss >"$scratch/one"
  numbers "$run/metrics.jsonl" epoch loss >"$scratch/two"
  holds "the curves differ" cmp -s "$scratch/one" "$scratch/two"
  holds "not an event for each of 60 epochs" [ "$(wc -l <"$scratch/two")" -eq 60 ]
  holds "half-written: $(ls -A "$run")" [ -z "$(find "$run" -name '.*' ! -name .bert-ddp.lock -type f)" ]
  conclude "killed and gone on with: the same bits as in one go, $(of "$count")"
done
succeed 2 "${long[@]}" --output "killed on 2" --resume auto
same_tensors "whole on 2/model.h5" "killed on 2/model.h5"
conclude "going on with a run that is done changes nothing"

report
