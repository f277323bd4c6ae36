#!/usr/bin/env bash
# Several hosts on one machine: network namespaces with names and addresses of their own, a daemon of Open MPI on each, and
# everything between them over a network. The numbers are those of one host; a host that is cut off ends the run in good
# order, and the hosts that are left go on to the same bits; a slow one is waited for.
#
#   Tests/CommandTests/hosts.sh [FOLDER OF THE PROGRAMS]
#
# Needs root, iproute2 and a kernel that gives network namespaces; says what is missing otherwise.
set -euo pipefail

skip() {
  echo "skipped: $*"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}
[ "$(id -u)" -eq 0 ] || skip "only root can make network namespaces"
command -v ip >/dev/null || PATH=$PATH:/usr/sbin:/sbin
command -v ip >/dev/null || skip "there is no ip here; \"apt-get install iproute2\" brings it"

# Hosts ha, hb and hc of this run on a switch, which is a namespace with a bridge.
mark=$$
host() { echo "h$1$mark"; }
make_hosts() {
  local letter number=0 name
  ip netns add "sw$mark" || return 1
  ip -n "sw$mark" link add bridge type bridge && ip -n "sw$mark" link set bridge up || return 1
  for letter in a b c; do
    name=$(host "$letter") number=$((number + 1))
    ip netns add "$name" && mkdir -p "/etc/netns/$name" || return 1
    printf '127.0.0.1 localhost\n10.77.0.1 %s\n10.77.0.2 %s\n10.77.0.3 %s\n' "$(host a)" "$(host b)" "$(host c)" \
      >"/etc/netns/$name/hosts"
    ip link add eth0 netns "$name" type veth peer name "$letter" netns "sw$mark" &&
      ip -n "$name" addr add "10.77.0.$number/24" dev eth0 && ip -n "$name" link set eth0 up &&
      ip -n "$name" link set lo up && ip -n "sw$mark" link set dev "$letter" master bridge up || return 1
  done
}
remove_hosts() {
  local name
  for name in "$(host a)" "$(host b)" "$(host c)" "sw$mark"; do
    ip netns del "$name" 2>/dev/null || true
    rm -rf "/etc/netns/$name"
  done
}
link() { ip -n "sw$mark" link set dev "$1" "$2"; }
# Connects a host again and waits until host a gets answers from it: a switch forwards some time after a link is up.
join() { # LETTER NUMBER
  local answer
  link "$1" up
  for _ in $(seq 100); do
    # Nothing listens at port 9; a host that is there says so.
    answer=$(timeout 1 ip netns exec "$(host a)" bash -c "exec 3<>/dev/tcp/10.77.0.$2/9" 2>&1 || true)
    [[ $answer != *refused* ]] || return 0
    sleep 0.1
  done
  complain "host $1 does not answer after its link is up"
}
if ! make_hosts 2>/tmp/hosts.$mark.err; then
  remove_hosts
  why=$(tail -n 1 /tmp/hosts.$mark.err) && rm -f /tmp/hosts.$mark.err
  skip "the machine gives no network namespaces: $why"
fi
rm -f /tmp/hosts.$mark.err
trap remove_hosts EXIT

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$here/lib/checks.sh" "$@"
trap 'remove_hosts; clean_up' EXIT

# What Open MPI calls in the place of ssh: enter HOST COMMAND…
cat >"$scratch/enter" <<'SCRIPT'
#!/bin/sh
host=$1
shift
exec ip netns exec "$host" unshare --uts sh -c '
  hostname "$0"
  # A host that has a folder of its own there.
  [ -z "${HIDDEN:-}" ] || mount -t tmpfs none "$HIDDEN"
  exec sh -c "$*"' "$host" "$@"
SCRIPT
chmod +x "$scratch/enter"
# mpirun splits the agent at spaces, and the scratch folder has one.
agent=$(mktemp -u "${TMPDIR:-/tmp}/bert-ddp-enter-XXXXXX")
ln -s "$scratch/enter" "$agent"
trap 'remove_hosts; rm -f "$agent"; clean_up' EXIT

# Writes a file of hosts: three a=2 b=1 c=1.
hosts_file() { # FILE LETTER=SLOTS…
  local file=$1 entry
  shift
  for entry in "$@"; do echo "$(host "${entry%%=*}") slots=${entry#*=}"; done >"$file"
}
# What starts a command on host a, as a person who works there.
# shellcheck disable=SC2016 # that shell is to expand it
on_a=(ip netns exec "$(host a)" unshare --uts sh -c 'hostname "$0"; exec "$@"' "$(host a)")
launch=("${on_a[@]}" env BERT_DDP="$program" BINDING=none NOTICE=6 MPI_FLAGS="--mca plm_rsh_agent $agent"
  "$here/../../launch/hosts")
# Runs launch/hosts on a file of hosts.
on_hosts() { observe "${launch[@]}" "$@"; }
# The same in the background, as $job.
begin_on_hosts() {
  "${launch[@]}" "$@" >"$out" 2>"$err" </dev/null &
  job=$!
}
await_checkpoint() { # DIRECTORY
  local end=$((SECONDS + 60))
  until [ -n "$(find "$1" -name 'checkpoint-*.h5' 2>/dev/null)" ] || ! kill -0 "$job" 2>/dev/null; do
    ((SECONDS < end)) || return 0
    sleep 0.05
  done
}
# Waits for the end of the job, which must come within so many seconds and leave nothing on any host. Ranks of a host that
# mpirun cannot reach end by their own watchdogs, within so many seconds more.
await_end() { # SECONDS [SECONDS]
  local end=$((SECONDS + $1))
  while kill -0 "$job" 2>/dev/null; do
    if ((SECONDS >= end)); then
      complain "not over after $1 seconds"
      for process in $(processes); do kill -KILL "$process" 2>/dev/null || true; done
    fi
    sleep 0.1
  done
  status=0
  wait "$job" 2>/dev/null || status=$?
  end=$((SECONDS + ${2:-0}))
  while [ -n "$(processes)" ] && ((SECONDS < end)); do sleep 0.2; done
  none_left
}

hosts_file uneven a=2 b=1
hosts_file three a=1 b=1 c=1
hosts_file two a=1 b=1
hosts_file left a=1
train=(train --base base --train-file train.tsv --test-file test.tsv --max-length 32 --learning-rate 1e-3 --log-every 1)
long=(train --base base --train-file train.tsv --max-length 32 --learning-rate 1e-3 --deterministic --quiet
  --epochs 40 --checkpoint-every 2)

echo "-- Across hosts"
limit=400
observe "${on_a[@]}" mpirun --mca plm_rsh_agent "$agent" --hostfile uneven --bind-to none "$bin/mpi-check"
holds "status $status: $(tail -n 3 "$out" "$err")" [ "$status" -eq 0 ]
holds "it failed: $(tail -n 1 "$out")" grep -qE '[1-9][0-9]* passed, 0 failed' "$out"
conclude "mpi-check on two uneven hosts: $(tail -n 1 "$out")"
limit=240
for method in full "lora --lora-rank 4"; do
  read -ra words <<<"$method"
  name=${words[0]}
  succeed 3 "${train[@]}" --method "${words[@]}" --epochs 1 --output "$name on one"
  numbers "$name on one/metrics.jsonl" step loss >"$scratch/losses on one"
  on_hosts uneven "${train[@]}" --method "${words[@]}" --epochs 1 --output "$name on two"
  holds "status $status: $(tail -n 3 "$err")" [ "$status" -eq 0 ]
  holds "not on two: $(head -n 1 "$out")" grep -q '3 ranks on 2 nodes' "$out"
  numbers "$name on two/metrics.jsonl" step loss >"$scratch/losses on two"
  close "$scratch/losses on one" "$scratch/losses on two" 1e-5
  conclude "$name on 2 + 1 ranks: the losses of one host with 3 ranks"
done
succeed 1 "${long[@]}" --output whole
succeed 1 "${long[@]}" --epochs 10 --output short
on_hosts two "${long[@]}" --epochs 10 --output spread
holds "status $status: $(tail -n 3 "$err")" [ "$status" -eq 0 ]
same_tensors short/model.h5 spread/model.h5
conclude "--deterministic on two hosts: the bits of one rank"

mkdir hidden
threads=$(($(nproc) + 1))
HIDDEN=$work/hidden on_hosts uneven "${long[@]}" --epochs 1 --threads $threads --output hidden/run
holds "status $status: $(tail -n 3 "$err")" [ "$status" -eq 0 ]
holds "said: $(cat "$err")" grep -q "host $(host b) does not see the run directory hidden/run: " "$err"
holds "said: $(cat "$err")" grep -q "on host $(host a) 2 ranks × $threads threads share .* (another host likewise)" "$err"
on_hosts two "${long[@]}" --epochs 1 --output seen
holds "said: $(cat "$err")" [ "$(grep -c 'does not see' "$err" || true)" -eq 0 ]
conclude "a host that does not see the run directory, and hosts that are crowded, are named at the start"

echo "-- What crosses the network"
# What host a has sent, as the switch counts it.
sent() { ip netns exec "sw$mark" cat /sys/class/net/a/statistics/rx_bytes; }
# Bytes that host a sends in a step, start and end of a run left out: what eight epochs send more than two.
traffic() { # HOSTS
  local epochs before all=()
  for epochs in 2 8; do
    before=$(sent)
    on_hosts "$1" train --base base --train-file train.tsv --max-length 32 --quiet --epochs "$epochs" \
      --checkpoint-every 100000 --output "sends $1 $epochs"
    holds "status $status: $(tail -n 3 "$err")" [ "$status" -eq 0 ]
    all+=($(($(sent) - before)))
  done
  steps=$(sed -nE 's/.*"steps" : ([0-9]+).*/\1/p' "sends $1 8/results.json" | head -n 1)
  # Of eight epochs, six are more.
  bytes=$(((all[1] - all[0]) * 8 / 6 / steps))
  sums=$(sed -nE 's/.*"all_reduce_bytes_per_step" : ([0-9]+).*/\1/p' "sends $1 8/results.json")
}
hosts_file "two of three" a=3 b=3
traffic two
one_each=$bytes
# Of two nodes each sends half of the sums, and the other half's results.
holds "$bytes bytes a step, $sums are summed" awk -v b="$bytes" -v s="$sums" 'BEGIN { exit !(b > 0.9 * s && b < 1.4 * s) }'
traffic "two of three"
holds "$bytes bytes a step from three ranks, $one_each from one" [ "$bytes" -lt $((one_each * 3 / 2)) ]
conclude "a host of three ranks sends $bytes bytes a step where a host of one sends $one_each, of sums of $sums"

echo "-- What a host has once"
begin_on_hosts uneven "${long[@]}" --method lora --epochs 5000 --output held
await_checkpoint held
# The window that a host's ranks share is the one file in memory that both of its ranks map and no rank elsewhere does.
declare -A windows=()
for process in $(processes); do
  [ "$(cat "/proc/$process/comm" 2>/dev/null)" = bert-ddp ] || continue
  name=$(nsenter --uts --target "$process" hostname)
  windows[$name]+=$(awk '$2 ~ /s/ && $5 > 0 { print $5 }' "/proc/$process/maps" | sort -u)$'\n|\n'
done
holds "ranks on ${#windows[@]} hosts" [ "${#windows[@]}" -eq 2 ]
shared=$(sort <<<"${windows[$(host a)]:-}" | uniq -d | grep -c '^[0-9]' || true)
holds "the ranks of host a share nothing" [ "$shared" -ge 1 ]
across=$(for name in "${!windows[@]}"; do sort -u <<<"${windows[$name]}" | grep '^[0-9]' || true; done | sort | uniq -d | wc -l)
holds "$across mappings are shared by hosts" [ "$across" -eq 0 ]
kill -USR1 "$job"
await_end 60
holds "status $status" [ "$status" -eq 75 ]
conclude "ranks of a host share their pages, hosts share none; a signal stops all of them with 75"

echo "-- A host that is cut off"
begin_on_hosts three "${long[@]}" --output cut
await_checkpoint cut
link b down
await_end 80
join b 2
holds "status $status" [ "$status" -eq 75 ]
holds "no sentence: $(cat "$err")" grep -q 'a host was lost; start again with the hosts that are left and --resume auto' "$err"
holds "it was over before" [ ! -e cut/model.h5 ]
conclude "a link is cut: all hosts end, with 75 and a sentence"
on_hosts left "${long[@]}" --output cut --resume auto
holds "status $status: $(tail -n 3 "$err")" [ "$status" -eq 0 ]
same_tensors whole/model.h5 cut/model.h5
conclude "the host that is left goes on from the checkpoint to the same bits"

"${on_a[@]}" mpirun --mca plm_rsh_agent "$agent" --hostfile two --bind-to none "$program" "${long[@]}" --epochs 5000 \
  --stall-timeout 4 --output silent >"$out" 2>"$err" </dev/null &
job=$!
await_checkpoint silent
link b down
await_end 120 40
join b 2
holds "status $status" [ "$status" -ne 0 ]
holds "no sentence: $(cat "$err")" grep -q 'no progress for .* for a rank of another host; start again with --resume auto' "$err"
conclude "with a plain mpirun it is --stall-timeout that ends all of it, mpirun too"

echo "-- A slow host"
core=$(taskset -cp $$ | sed -E 's/.*: ([0-9]+).*/\1/')
hogs=()
for _ in 1 2 3; do
  taskset -c "$core" nice -n -5 sh -c 'while :; do :; done' &
  hogs+=($!)
done
begin_on_hosts two "${long[@]}" --epochs 4 --stall-timeout 60 --output slow
for _ in $(seq 200); do
  for process in $(processes); do
    [ "$(cat "/proc/$process/comm" 2>/dev/null)" = bert-ddp ] || continue
    [ "$(nsenter --uts --target "$process" hostname 2>/dev/null)" != "$(host b)" ] || { slow=$process && break 2; }
  done
  sleep 0.05
done
taskset -acp "$core" "${slow:-0}" >/dev/null 2>&1 || complain "no rank on host b"
await_end 200
kill "${hogs[@]}" 2>/dev/null || true
wait "${hogs[@]}" 2>/dev/null || true
holds "status $status: $(tail -n 3 "$err")" [ "$status" -eq 0 ]
succeed 1 "${long[@]}" --epochs 4 --output quick
same_tensors quick/model.h5 slow/model.h5
conclude "a host with a quarter of a core is waited for; the same bits"

report
