#!/usr/bin/env bash
# launch/slurm.sbatch under a real Slurm of one node, which is set up beside any other that the machine has: a job that is
# told to stop, one that is preempted by a more urgent one and one whose time is over queue again and finish, through srun
# and through mpirun, and the model has the bits of a run that nothing befell.
#
#   Tests/CommandTests/slurm.sh [FOLDER OF THE PROGRAMS]
#
# Needs root and Debian's slurm-wlm and munge; says what is missing otherwise.
set -euo pipefail

skip() {
  echo "skipped: $*"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}
[ "$(id -u)" -eq 0 ] || skip "only root can start a Slurm of its own"
for tool in slurmctld slurmd munged srun sbatch; do
  command -v "$tool" >/dev/null || PATH=$PATH:/usr/sbin
  command -v "$tool" >/dev/null || skip "there is no $tool here; \"apt-get install slurm-wlm munge\" brings it"
done
# mpirun binds each rank to a core of its own, as people will have it.
[ "$(nproc)" -ge 2 ] || skip "two ranks that are bound to cores need two cores"

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=Tests/CommandTests/lib/checks.sh
. "$here/lib/checks.sh" "$@"
job_script=$here/../../launch/slurm.sbatch

# Slurm's own files have no spaces in their names.
slurm=$(mktemp -d "${TMPDIR:-/tmp}/bert-ddp-slurm-XXXXXX")
export SLURM_CONF=$slurm/slurm.conf
end_slurm() {
  local file
  scancel --user=root 2>/dev/null || true
  for file in slurmd slurmctld munged; do
    [ ! -f "$slurm/$file.pid" ] || kill "$(cat "$slurm/$file.pid")" 2>/dev/null || true
  done
  sleep 1
  clean_up
  rm -rf "$slurm"
}
trap end_slurm EXIT

# Ports beside Slurm's usual ones; a requeued job may start after seconds instead of two minutes (cred_expire).
port=$((20000 + $$ % 10000))
node=$(hostname -s)
cat >"$SLURM_CONF" <<CONF
ClusterName=bertddp
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket,cred_expire=6
CredType=cred/munge
SlurmUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.log
KillWait=12
ReturnToService=2
SchedulerParameters=batch_sched_delay=1,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=patient Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 GraceTime=30 State=UP
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=9 PreemptMode=OFF State=UP
CONF
mkdir "$slurm/state" "$slurm/spool"
dd if=/dev/urandom of="$slurm/munge.key" bs=128 count=1 status=none
chmod 700 "$slurm" && chmod 600 "$slurm/munge.key"
munged --force --key-file="$slurm/munge.key" --socket="$slurm/munge.socket" --pid-file="$slurm/munged.pid" \
  --log-file="$slurm/munged.log" --seed-file="$slurm/munge.seed" --num-threads=2 2>"$slurm/munged.err" ||
  skip "munged does not start here: $(tail -n 1 "$slurm/munged.err")"
for daemon in "slurmctld -c" slurmd; do
  # shellcheck disable=SC2086
  $daemon -f "$SLURM_CONF" 2>"$slurm/start.err" || skip "Slurm does not start here: $(tail -n 1 "$slurm/start.err")"
done
for _ in $(seq 40); do
  [ "$(sinfo -h -p patient -o %T 2>/dev/null || true)" != idle ] || break
  sleep 0.5
done
[ "$(sinfo -h -p patient -o %T 2>/dev/null || true)" = idle ] ||
  skip "Slurm has no idle node after 20 s: $(tail -n 1 "$slurm/slurmctld.log")"

options=(--base base --train-file train.tsv --max-length 32 --learning-rate 1e-3 --deterministic --quiet --epochs 80
  --checkpoint-every 2)

# Submits the shipped job script; its number goes to $id.
submit() { # NAME LAUNCHER OPTION OF sbatch… -- OPTION OF train…
  local name=$1 launcher=$2 own=()
  shift 2
  while [ "$1" != -- ]; do own+=("$1"); shift; done
  shift
  id=$(BERT_DDP=$program LAUNCHER=$launcher sbatch --parsable --ntasks-per-node=2 --output="$work/$name.log" \
    "${own[@]}" "$job_script" --output "$name" "$@" 2>"$err") || complain "not submitted: $(cat "$err")"
}
state() { scontrol show job "$id" 2>/dev/null | sed -nE 's/.*JobState=([A-Z]+).*/\1/p'; }
restarts() { scontrol show job "$id" 2>/dev/null | sed -nE 's/.*Restarts=([0-9]+).*/\1/p'; }
# Waits until a condition on the job holds.
await() { # WHAT SECONDS COMMAND…
  local what=$1 end=$((SECONDS + $2))
  shift 2
  until "$@"; do
    if ((SECONDS >= end)); then
      complain "not $what: $(state), $(tail -n 3 "$slurm/slurmctld.log" | tr '\n' ' ')"
      return 0
    fi
    sleep 0.05
  done
}
has_checkpoint() { [ -n "$(find "$1" -name 'checkpoint-*.h5' 2>/dev/null)" ]; }
# Whether a run has a checkpoint of a step within an epoch of so many.
has_checkpoint_within() { # DIRECTORY STEPS
  find "$1" -name 'checkpoint-*.h5' -printf '%f\n' | sed 's/[^0-9]*\([0-9]*\).*/\1/' |
    awk -v steps="$2" '$1 % steps { found = 1 } END { exit !found }'
}
is_state() { [ "$(state)" = "$1" ]; }
has_restarted() { [ "$(restarts)" -ge 1 ] && is_state RUNNING; }
# Complains unless the job stopped, by SIGUSR1 or what else is given, queued again and ended with the same bits as the
# undisturbed run.
finished() { # NAME [WHAT STOPPED IT]
  await "completed" 240 is_state COMPLETED
  holds "no restart" [ "$(restarts)" = 1 ]
  holds "not by the signal: $(cat "$1.log")" grep -q "stopped by ${2:-SIGUSR1} after step" "$1.log"
  holds "not queued again by the script: $(cat "$1.log")" grep -q 'the job queues again' "$1.log"
  same_tensors whole/model.h5 "$1/model.h5"
}

limit=240
echo "-- A job for Slurm"
succeed 1 train "${options[@]}" --output whole
conclude "the run that nothing befalls"
for launcher in srun mpirun; do
  submit "told with $launcher" "$launcher" -- "${options[@]}"
  await "running with a checkpoint" 120 has_checkpoint "told with $launcher"
  scancel --signal=USR1 --batch "$id"
  finished "told with $launcher"
  conclude "through $launcher: told to stop by scancel, it saves, queues again and goes on to the same bits"
done
submit preempted srun -- "${options[@]}"
await "running with a checkpoint" 120 has_checkpoint preempted
urgent=$(sbatch --parsable --partition=urgent --exclusive --output=/dev/null --wrap="date >$slurm/urgent; sleep 1")
finished preempted
holds "the urgent job has not run: $(scontrol show job "$urgent")" [ -s "$slurm/urgent" ]
conclude "preempted by a more urgent job, it makes way and goes on afterwards"

for launcher in srun mpirun; do
  name="cancelled with $launcher"
  # A checkpoint is due at the end of an epoch only, every 150 steps.
  submit "$name" "$launcher" -- "${options[@]}" --global-batch-size 1 --checkpoint-every 100000 --log-every 1
  await "running" 120 grep -qs '"event":"step"' "$name/metrics.jsonl"
  scancel "$id"
  await "cancelled" 60 is_state CANCELLED
  # Its processes have some seconds more (KillWait).
  for _ in $(seq 30); do [ -n "$(processes)" ] || break; sleep 0.5; done
  sleep 1
  holds "queued again: $(cat "$name.log")" is_state CANCELLED
  holds "nothing saved: $(cat "$name.log")" has_checkpoint_within "$name" 150
  # An mpirun that gets SIGTERM ends with 1, and not always with its ranks' last words.
  if [ "$launcher" = srun ]; then
    holds "not by the signal: $(cat "$name.log")" grep -q "stopped by SIGTERM after step .*, which is saved in $name" "$name.log"
    holds "no word of it: $(cat "$name.log")" grep -q 'not queued again from here' "$name.log"
  fi
  conclude "through $launcher: cancelled, it saves and stays ended"
done

# What takes minutes by its nature is launch/chaos's.
if [ "${CHAOS:-}" = all ]; then
  # A minute is Slurm's least; in the place of SIGUSR1, which Slurm may send a minute early, comes one that means nothing.
  submit "time is over" srun --time=1 --signal=B:CONT@1 -- "${options[@]}" --epochs 100000
  await "stopped" 70 grep -qs 'stopped by --max-minutes after step .*, which is saved' "time is over.log"
  await "queued again" 60 has_restarted
  scancel "$id"
  await "cancelled" 60 is_state CANCELLED
  conclude "when its time is nearly over it stops by itself, with a checkpoint, and queues again"

  # The lock of a host that was lost, which a file server still keeps for this job; another process has it here.
  submit locked srun --begin=now+5 -- "${options[@]}"
  mkdir -p locked
  printf 'host lost-host\nprocess 7\nsince 2026-11-26T00:00:00Z\njob %s\n' "$id" >locked/.bert-ddp.lock
  flock --no-fork locked/.bert-ddp.lock sleep 600 &
  keeper=$!
  await "refused" 240 grep -qs 'in use by process 7 on host lost-host, .*before it was queued again' locked.log
  kill "$keeper"
  await "completed" 240 is_state COMPLETED
  holds "no restart: $(cat locked.log)" [ "$(restarts)" = 1 ]
  conclude "a lock that a file server keeps for the job's former life: it queues again and goes on when the lock is free"
fi

echo "-- A study"
id=$(sbatch --parsable --ntasks-per-node=2 --output="$work/study.log" --wrap="'$program' scaling --methods lora --ranks 1,2 \
  --repetitions 2 --warmup-steps 1 --max-steps 3 --base base --train-file train.tsv --max-length 32 --output study" 2>"$err") ||
  complain "not submitted: $(cat "$err")"
await "completed" 240 is_state COMPLETED
holds "not all runs: $(cat study/scaling.csv)" [ "$(grep -c '^lora,' study/scaling.csv)" -eq 10 ]
holds "not by srun: $(cat study/study.md)" grep -q srun study/study.md
conclude "inside an allocation scaling starts its runs with srun"

echo "-- Refused"
for case in "no --output:--base base" "no program:--output new --base base"; do
  program_given=$program
  [ "${case%%:*}" != "no program" ] || program_given=/nowhere/bert-ddp
  read -ra words <<<"${case#*:}"
  id=$(BERT_DDP=$program_given sbatch --parsable --wait --ntasks-per-node=1 --output="$work/refused.log" "$job_script" "${words[@]}") || true
  holds "not refused: $(cat refused.log)" grep -qE '^slurm.sbatch: .*(--output|no program)' refused.log
  conclude "${case%%:*}"
done

report
