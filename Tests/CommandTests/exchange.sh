#!/usr/bin/env bash
# Adapters to and from PEFT and AdapterHub's library: what is exported and imported again is the same model, and folders
# that are damaged, hostile, of another base or of another kind are refused in a sentence.
#
#   Tests/CommandTests/exchange.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail

# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib/checks.sh" "$@"

train=(train --base base --train-file train.tsv --max-length 32 --learning-rate 1e-2 --max-steps 8)
lora=(--method lora --lora-rank 4 --lora-targets "query,value")
small=(--method adapter --adapter-reduction-factor 4)

# A copy of a folder, to be damaged.
copy() { rm -rf "$2" && cp -r "$1" "$2"; }
# A copy of a folder with a text of its configuration replaced, which has to be there.
edit() { # FROM TO FILE OLD NEW
  copy "$1" "$2"
  grep -qF "$4" "$2/$3" || complain "no $4 in $2/$3"
  sed -i "s/${4//[/\\[}/$5/" "$2/$3"
}
evaluation() { # FILE OF OURS
  succeed 1 evaluate --json --checkpoint "$1" --test-file test.tsv --max-length 32 --unmerged
  cat "$out"
}

echo "-- What is exported and imported again"
succeed 1 "${train[@]}" "${lora[@]}" --output lora
succeed 1 "${train[@]}" --method ia3 --output ia3
succeed 1 "${train[@]}" --method prefix-tuning --prefix-length 4 --prefix-bottleneck 8 --output prefix
succeed 1 "${train[@]}" "${small[@]}" --adapter-config pfeiffer+inv --output ko
succeed 1 "${train[@]}" "${small[@]}" --output a
succeed 1 "${train[@]}" "${small[@]}" --seed 2 --output b
succeed 1 "${train[@]}" "${small[@]}" --language-adapter ko=ko/model.h5 --output stack
succeed 1 "${train[@]}" --method fusion --fuse a=a/model.h5,b=b/model.h5 --output fusion
succeed 1 "${train[@]}" --method full --output full
conclude "training for the checks below"
for pair in "lora peft" "lora adapterhub" "ia3 adapterhub" "prefix adapterhub" "ko adapterhub" "stack adapterhub" \
  "fusion adapterhub"; do
  read -r run format <<<"$pair"
  for count in 1 4; do
    rm -rf "$run for $format" "$run from $format.h5"
    succeed "$count" export --checkpoint "$run/model.h5" --format "$format" --output "$run for $format"
    holds "not compared: $(cat "$out")" grep -qE 'logits of 64 reviews differ by at most 0\.0$' "$out"
    succeed "$count" import "$run for $format" --base base --output "$run from $format.h5"
  done
  evaluation "$run/model.h5" >expected.json
  evaluation "$run from $format.h5" >found.json
  holds "other metrics: $(diff expected.json found.json | head -n 4)" cmp -s expected.json found.json
  tensors "$run/model.h5" | sed 's/  */ /g' | sort >"$scratch/one"
  tensors "$run from $format.h5" | sed 's/  */ /g' | sort >"$scratch/two"
  holds "no tensors" [ -s "$scratch/one" ]
  # A file of a run that was built on other adapters has those too.
  holds "other tensors: $(diff "$scratch/one" "$scratch/two" | head -n 4)" cmp -s "$scratch/one" "$scratch/two"
  succeed 1 predict --checkpoint "$run from $format.h5" --input test.tsv
  holds "$(wc -l <"$out") lines for 61 texts" [ "$(wc -l <"$out")" -eq 62 ]
  conclude "$run to $format and back: the same tensors and metrics"
done
succeed 1 import "lora for peft" --base base --output again.h5 --json
"$bin/make-fixture" check-json "$out" >"$scratch/json" || complain "$(cat "$scratch/json")"
grep -q '"method" : "lora"' "$out" || complain "no method: $(cat "$out")"
succeed 1 export --checkpoint again.h5 --format peft --output "again for peft" --json
holds "no difference: $(cat "$out")" grep -q '"largest_difference" : 0' "$out"
conclude "--json of import and export"
succeed 1 import "lora for peft" --base base --output again.h5
holds "not said: $(cat "$out")" grep -qx 'trained on base, as the folder says' "$out"
conclude "import says which base a folder names"
succeed 1 export --checkpoint "lora from adapterhub.h5" --format peft --output "lora by way of adapterhub"
succeed 1 import "lora by way of adapterhub" --base base --output "by way.h5"
evaluation lora/model.h5 >expected.json
evaluation "by way.h5" >found.json
holds "other metrics" cmp -s expected.json found.json
succeed 1 export --checkpoint "by way.h5" --format hf --output "lora merged"
conclude "from one library's form to the other's, and to a plain model"
succeed 1 predict --checkpoint lora/model.h5 --input test.tsv --logits
holds "header: $(head -n 1 "$out")" [ "$(head -n 1 "$out")" = $'label\tprobability\tlogit_0\tlogit_1' ]
awk -F '\t' 'NR > 1 { p = 1 / (1 + exp($3 - $4)); if ($1 != (p > 0.5)) exit 1; if ($1 == 0) p = 1 - p
  d = p - $2; if (d > 2e-6 || d < -2e-6) exit 1 }' "$out" || complain "logits and probabilities do not agree"
conclude "predict --logits"

echo "-- Adapters without a head, old ones"
succeed 1 export --checkpoint a/model.h5 --format adapterhub --output "a for adapterhub"
copy "a for adapterhub" headless
rm headless/head_config.json headless/*head.bin headless/*head.safetensors
succeed 1 import headless --base base --output headless.h5 --name mine
holds "not said: $(cat "$out")" grep -q 'no head' "$out"
tensors headless.h5 | grep -q 'adapters\.mine\.' || complain "not named"
conclude "an adapter without a head, under another name"
for command in "evaluate --test-file test.tsv" "predict --input test.tsv" "export --format adapterhub --output new" \
  "export --format hf --output new"; do
  read -ra words <<<"$command"
  refused "${words[*]:0:3} without a head" 65 "classification head" -- "${words[@]}" --checkpoint headless.h5
done
succeed 1 "${train[@]}" "${small[@]}" --language-adapter headless.h5 --output "on the headless one"
conclude "it serves as a language adapter"
succeed 1 export --checkpoint full/model.h5 --format hf --output "with a head"
for count in 1 4; do
  succeed "$count" import headless --base "with a head" --output "headless.h5"
  holds "not said: $(cat "$out")" grep -q "no head of its own: the base's of 2 classes" "$out"
  succeed "$count" evaluate --checkpoint headless.h5 --test-file test.tsv
  holds "not said: $(cat "$out")" grep -q "^the head is the base's: headless.h5 brings none$" "$out"
  succeed "$count" predict --checkpoint headless.h5 --input test.tsv --output labels.tsv
  holds "not said: $(cat "$err")" grep -q "^the head is the base's" "$err"
  conclude "an adapter without a head on a base that has one, $(of "$count")"
done
succeed 1 evaluate --checkpoint a/model.h5 --test-file test.tsv
! grep -q "head is the base's" "$out" || complain "said where the file brings a head"
conclude "a head of its own is not the base's"
copy "ko for adapterhub" old
cat >old/adapter_config.json <<'JSON'
{"config": {"mh_adapter": false, "output_adapter": true, "original_ln_before": true, "non_linearity": "relu",
 "reduction_factor": 4, "leave_out": [], "invertible_adapter":
 {"block_type": "nice", "non_linearity": "gelu", "reduction_factor": 2}},
 "hidden_size": 32, "model_type": "bert", "model_name": "tiny", "name": "task", "type": "text_lang"}
JSON
for flag in "" --nested-non-linearity; do
  # shellcheck disable=SC2086
  succeed 1 import old --base base --output "old$flag.h5" $flag
  holds "no warning: $(cat "$err")" [ "$(grep -c '^warning: .*gelu_new.*relu' "$err")" -eq 1 ]
  evaluation "old$flag.h5" >"$scratch/metrics $flag"
done
evaluation ko/model.h5 >expected.json
holds "not the current library's reading" cmp -s expected.json "$scratch/metrics "
! cmp -s "$scratch/metrics " "$scratch/metrics --nested-non-linearity" || complain "the option changes nothing"
conclude "an old invertible block: a warning, and an option"

echo "-- Formats that cannot hold it"
refused "an adapter for PEFT" 64 adapter "--format adapterhub" -- export --checkpoint a/model.h5 --format peft --output new
refused "an adapter merged" 64 adapter "--format adapterhub" -- export --checkpoint a/model.h5 --format hf --output new
refused "a fusion for PEFT" 64 fusion "--format adapterhub" -- export --checkpoint fusion/model.h5 --format peft --output new
refused "two non-linearities for AdapterHub" 64 non-linearity "no format holds it" -- \
  export --checkpoint old--nested-non-linearity.h5 --format adapterhub --output new
refused "full fine-tuning for PEFT" 64 full "--format hf" -- export --checkpoint full/model.h5 --format peft --output new
refused "full fine-tuning for AdapterHub" 64 full "--format hf" -- \
  export --checkpoint full/model.h5 --format adapterhub --output new
succeed 1 "${train[@]}" "${lora[@]}" --lora-variant dora --output dora
refused "DoRA for AdapterHub" 64 DoRA "--format hf or peft" -- \
  export --checkpoint dora/model.h5 --format adapterhub --output new
# Trained far beyond reason its logits are thousands: folding the update into the weights moves them by more than 1e-4.
succeed 1 train --base base --train-file train.tsv --max-length 32 --learning-rate 1000 --max-steps 8 "${lora[@]}" --output wild
refused "a merge that changes the logits" 1 "differ by 0.0" "more than 0.0001" "was removed" -- \
  export --checkpoint wild/model.h5 --format hf --output new
refused "export into a folder with something in it" 74 base "not empty" -- \
  export --checkpoint lora/model.h5 --format peft --output base

echo "-- Options of import"
peft="lora for peft" hub="a for adapterhub" pair="fusion for adapterhub"
new=(--base base --output new.h5)
refused "an adapter without its base" 64 "$peft" --base -- import "$peft" --output new.h5
refused "a base with a base" 64 --base -- import base "${new[@]}"
refused "a name for PEFT's" 64 --name PEFT -- import "$peft" "${new[@]}" --name mine
refused "a name for several" 64 --name Fuse -- import "$pair" "${new[@]}" --name mine
refused "a name that is none" 64 a.b -- import "$hub" "${new[@]}" --name a.b
refused "a base that is missing" 66 nowhere -- import "$peft" --base nowhere --output new.h5
refused "import into a folder that is not there" 74 nowhere/new.h5 -- import "$peft" --base base --output nowhere/new.h5

echo "-- Another base"
succeed 1 --max-steps 1 --output demo
succeed 1 export --checkpoint demo/model.h5 --format hf --output "demo base"
for folder in "$peft" "$hub" "$pair"; do
  refused "$folder on a base of another width" 65 "$folder" "hidden size 32" "this base has" -- \
    import "$folder" --base "demo base" --output new.h5
done
refused "evaluation on another base" 65 "lora from peft.h5" "base other" --base -- \
  evaluate --checkpoint "lora from peft.h5" --base "base other" --test-file test.tsv

echo "-- Damaged and hostile folders"
bad() { refused "$1" "$2" "${@:3}" -- import bad "${new[@]}"; }
copy "$peft" bad && truncate -s 3000 bad/adapter_model.safetensors
bad "PEFT's safetensors cut short" 65 bad/adapter_model.safetensors
copy "$hub" bad && truncate -s 3000 bad/adapter.safetensors
bad "AdapterHub's safetensors cut short" 65 bad/adapter.safetensors
copy "$hub" bad && rm bad/adapter.safetensors && truncate -s 3000 bad/pytorch_adapter.bin
bad "AdapterHub's .bin cut short" 65 bad/pytorch_adapter.bin
magic='\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}(X\x0d\0\0\0little_endian\x88u.%b'
# shellcheck disable=SC2059
printf "$magic" '\x80\x02cposix\nsystem\nX\x0b\0\0\0touch pwned\x85R.' >bad/pytorch_adapter.bin
bad "a pickle that runs something" 65 bad/pytorch_adapter.bin "posix system"
# shellcheck disable=SC2059
printf "$magic" '\x80\x02(S'"'touch pwned'"'\niposix\nsystem\n.' >bad/pytorch_adapter.bin
bad "an opcode that is not known" 65 bad/pytorch_adapter.bin
: >bad/pytorch_adapter.bin
bad "an empty .bin" 65 bad/pytorch_adapter.bin empty
rm bad/pytorch_adapter.bin
bad "no weights" 66 bad pytorch_adapter.bin
copy "$peft" bad && rm bad/adapter_model.safetensors
bad "no weights of PEFT" 66 bad adapter_model.safetensors
copy "$hub" bad && rm bad/*head.bin bad/*head.safetensors
bad "a head without its weights" 66 bad model_head
copy "$pair" bad && rm -r bad/a
bad "a part that is missing" 66 bad/a
copy "$pair/a,b" bad
bad "a fusion alone" 66 bad "a, b" save_adapter_setup
copy "$peft" bad && echo '{"peft_type": "LORA", ' >bad/adapter_config.json
bad "a configuration that is not JSON" 65 bad/adapter_config.json
edit "$hub" bad adapter_config.json '"name": "task"' '"name": "..\/task"'
bad "a name that leads elsewhere" 65 bad/adapter_config.json name
edit "$hub" bad adapter_config.json '"model_type": "bert"' '"model_type": "roberta"'
bad "an adapter of another kind of model" 65 bad/adapter_config.json roberta
edit "$hub" bad adapter_config.json '"name": "task"' '"name": "other"'
bad "an adapter of another name than its tensors" 65 bad other

echo "-- Tensors and configuration that do not fit"
edit "$peft" bad adapter_config.json '"query",' '"query", "key",'
bad "PEFT: tensors that are missing" 65 bad attention.self.key.lora_A
edit "$peft" bad adapter_config.json '"query",' ''
bad "PEFT: tensors that are too many" 65 bad attention.self.query.lora_A
edit "$peft" bad adapter_config.json '"r": 4' '"r": 5'
bad "PEFT: tensors of another rank" 65 bad lora_A "[4, 32]" "[5,"
edit "$hub" bad adapter_config.json '"mh_adapter": false' '"mh_adapter": true'
bad "AdapterHub: tensors that are missing" 65 bad attention.output.adapters.task
edit "$hub" bad adapter_config.json '"leave_out": []' '"leave_out": [0]'
bad "AdapterHub: tensors that are too many" 65 bad encoder.layer.0.output.adapters.task
edit "$hub" bad adapter_config.json '"reduction_factor": 4' '"reduction_factor": 5'
bad "AdapterHub: tensors of another width" 65 bad adapter_down "[8, 32]" "[6, 32]"
edit "$hub" bad head_config.json '"LABEL_1": 1' '"LABEL_1": 1, "LABEL_2": 2'
sed -i 's/"num_labels": 2/"num_labels": 3/' bad/head_config.json
bad "AdapterHub: a head of other classes" 65 bad classifier "[2, 32]" "[3, 32]"

echo "-- Kinds that are not computed here"
edit "$peft" bad adapter_config.json '"LORA"' '"IA3"'
bad "another method of PEFT" 65 IA3 LORA
edit "$peft" bad adapter_config.json '"SEQ_CLS"' '"CAUSAL_LM"'
bad "another task of PEFT" 65 CAUSAL_LM SEQ_CLS
edit "$peft" bad adapter_config.json '"init_lora_weights": true' '"init_lora_weights": "pissa"'
bad "PiSSA" 65 pissa
edit "$peft" bad adapter_config.json '"use_dora": false' '"lora_bias": true'
bad "a bias in the update" 65 lora_bias
edit "$hub" bad adapter_config.json '"phm_layer": false' '"phm_layer": true'
bad "Compacter" 65 phm_layer Compacter
edit "$hub" bad adapter_config.json '"inv_adapter": null' '"inv_adapter": "glow"'
bad "GLOW" 65 glow nice
edit "$hub" bad adapter_config.json '"use_gating": false' '"use_gating": true'
bad "gating" 65 use_gating
edit "$hub" bad adapter_config.json '"non_linearity": "relu"' '"non_linearity": "leakyrelu"'
bad "another non-linearity" 65 leakyrelu relu
edit "$hub" bad adapter_config.json '"scaling": 1.0' '"scaling": "channel"'
bad "a factor for each channel" 65 bad
copy "$hub" bad && printf '{"config": {"architecture": "union", "configs": [{"architecture": "lora"}, {"architecture": "prefix_tuning"}]}, "name": "task", "version": "adapters.1.3.0"}' >bad/adapter_config.json
bad "a union of methods" 65 union lora prefix_tuning
copy "$hub" bad && printf '{"config": {"architecture": "reft"}, "name": "task", "version": "adapters.1.3.0"}' >bad/adapter_config.json
bad "another architecture" 65 reft
edit "$pair" bad adapter_setup.json '"Fuse"' '"Parallel"'
bad "another composition" 65 Parallel Stack Fuse
edit "$pair" bad "a,b/adapter_fusion_config.json" '"temperature": false' '"temperature": true'
bad "a fusion with a temperature" 65 temperature

report
