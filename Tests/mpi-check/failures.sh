#!/usr/bin/env bash
# Ways for a job to fail, each under mpirun: it must end by itself within seconds, with the right status, leave no
# process behind, and say one sentence.
#
#   Tests/mpi-check/failures.sh PATH/TO/mpi-check [RANKS]
set -euo pipefail

check=$(realpath "${1:?the program mpi-check}")
ranks=${2:-4}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# shellcheck source-path=SCRIPTDIR source=../../launch/lib/mpi-env.sh
source "$here/../../launch/lib/mpi-env.sh"
mpi_env "$ranks"

# A name that only this run's processes have.
program="$scratch/mpi-check-$$"
cp "$check" "$program"
# A rank that is meant to crash need not explain itself.
export SWIFT_BACKTRACE=enable=no

limit=20  # seconds; a job takes one or two, a busy machine is given more
passed=0 failed=0
sentence="mpi-check: train.tsv, line 3: the label is 'x', expected 0 or 1"
of_rank_1=${sentence/mpi-check: /mpi-check: rank 1: }

complain() { problems="$problems
        $*"; }

# Runs a command; its status goes to $status, its output to $scratch/{out,err}.
observe() {
  local start=$SECONDS
  status=0
  timeout --kill-after=5 "$limit" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
  [ $((SECONDS - start)) -lt "$limit" ] || complain "took $limit seconds"
  # Ranks that mpirun has told to go may need a moment.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    pgrep -f "$program" >/dev/null || return 0
    sleep 0.3
  done
  complain "left behind: $(pgrep -f "$program" | tr '\n' ' ')"
  pgrep -f "$program" | while read -r left; do kill -KILL "$left" 2>/dev/null || true; done
}

# Says whether the last job went as expected.
conclude() { # NAME
  if [ -z "$problems" ]; then
    passed=$((passed + 1)); echo "ok      $1"
  else
    failed=$((failed + 1)); echo "FAILED  $1$problems"
  fi
}

# One rank fails in a way; expects a status and, unless it is "*", exactly this on standard error.
expect() { # NAME KIND STATUS STDERR
  problems=
  observe mpirun -np "$ranks" "$program" fail 1 "$2"
  [ "$status" -eq "$3" ] || complain "status $status, expected $3"
  [ "$4" = "*" ] || [ "$(cat "$scratch/err")" = "$4" ] || complain "said: $(head -c 2000 "$scratch/err")"
  conclude "$1"
}

expect "a rank that throws ends the job with its sentence" throw 65 "$of_rank_1"
expect "an error that all ranks meet is said once" throw-all 65 "$sentence"
expect "an agreed error names the rank it came from" agreed 65 "$of_rank_1"
expect "an agreed error of work that one rank does names none" agreed-one 65 "$sentence"
expect "ranks that disagree are told about what" disagree 78 \
  "mpi-check: rank 1 disagrees with rank 0 about seed; start every rank with the same program, options, environment and files"
expect "ranks that ignore mpirun's signals are ended too" stubborn 65 "$of_rank_1"
expect "output written before the end arrives" talkative 65 "$of_rank_1"
problems=
[ "$(wc -l <"$scratch/out")" -eq 100000 ] || complain "$(wc -l <"$scratch/out") lines of 100000"
conclude "… all 100,000 lines of it"
expect "a watchdog ends the job while its rank stays away" watchdog-away 75 "mpi-check: rank 1: no progress in step 7"
expect "a watchdog ends the job while its rank waits in MPI" watchdog-inside 75 "mpi-check: rank 1: no progress in step 7"
expect "a rank whose share of an evaluation takes longer than the stall timeout is waited for" slow-evaluation 65 "$sentence"
expect "signals do no harm to products" signals 65 "$sentence"
expect "a rank that exits ends the job" exit-3 3 "*"
expect "a rank that leaves as if all were well does not" exit-0 1 "*"
expect "a killed rank ends the job" kill 137 "*"
expect "a terminated rank ends the job with its sentence" term 75 \
  "mpi-check: rank 1: stopped by SIGTERM before there was anything to save; start again."
expect "writing into frozen weights is a fault, not a wrong number" write-frozen 139 "*"

problems=
observe mpirun -np "$ranks" "$program" fail 1 watchdog-away-forever
[ "$status" -eq 64 ] || complain "status $status, expected 64"
conclude "an unknown word is an error of usage"

# A rank that does not come to the first messages, as where hosts cannot reach each other.
problems=
observe mpirun -np 1 "$program" fail 1 throw late : -np 1 sh -c "sleep 6; exec '$program' fail 1 throw late"
[ "$status" -eq 65 ] || complain "status $status, expected 65"
[ "$(grep -c "^mpi-check: ranks have not reached each other for 3 s; .* --mca btl_tcp_if_include" "$scratch/err")" -eq 1 ] ||
  complain "said: $(head -c 2000 "$scratch/err")"
conclude "ranks that do not reach each other say so"

# Processes that a launcher started but MPI does not connect.
problems=
observe env SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4 "$program"
[ "$status" -eq 64 ] || complain "status $status, expected 64"
grep -q "srun --mpi=pmix -n 4" "$scratch/err" || complain "no cure in: $(cat "$scratch/err")"
observe env SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=4 "$program"
[ "$status" -eq 64 ] || complain "status $status of the second, expected 64"
[ ! -s "$scratch/err" ] || complain "another process than the first speaks too"
conclude "processes that srun does not connect are refused, once"
problems=
observe env PMI_RANK=0 PMI_SIZE=4 "$program"
[ "$status" -eq 64 ] || complain "status $status, expected 64"
conclude "processes of another MPI's launcher are refused"

# The mpirun that is killed itself, with its ranks inside a barrier.
problems=
mpirun -np "$ranks" "$program" fail 1 hang >/dev/null 2>&1 & job=$!
for _ in $(seq 50); do [ "$(pgrep -fc "$program fail 1 hang" || true)" -gt "$ranks" ] && break; sleep 0.1; done
sleep 1
# What nobody is left to remove: message buffers and mpirun's directory.
debris=$(pgrep -f "$program" | sed 's|.*|/proc/&/maps|' | xargs grep -ho '/dev/shm/\(vader\|sm\)_segment.*' | sort -u || true)
kill -KILL "$job"; wait "$job" 2>/dev/null || true
observe sleep 3
conclude "ranks whose mpirun is killed leave"
[ -z "$debris" ] || echo "$debris" | tr '\n' '\0' | xargs -0 rm -f
rm -rf "${TMPDIR:-/tmp}/ompi.$(hostname).$(id -u)/pid.$job"

# The shared memory of a container.
problems=
limit=120
small=$(printf 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"')
if unshare --mount bash -c "$small" -- true 2>/dev/null; then
  observe unshare --mount bash -c "$small" -- mpirun -np "$ranks" "$program" fail 1 big-window
  [ "$status" -eq 75 ] || complain "status $status, expected 75"
  grep -q "^copied, 0 wrong, shared memory (/dev/shm) has room for" "$scratch/out" || complain "$(cat "$scratch/out" "$scratch/err")"
  observe unshare --mount bash -c "$small" -- mpirun -np "$ranks" "$program"
  [ "$status" -eq 0 ] || complain "the suite in 64 MB: $(tail -3 "$scratch/out")"
  conclude "shared memory of 64 MB ends in copies, not in a fault"
else
  echo "skipped shared memory of 64 MB: mounting needs rights that this user has not"
fi

# A container that forbids reading other processes' memory, by which Open MPI copies large messages.
problems=
compiler=$(command -v clang || command -v cc || true)
cat >"$scratch/forbid.c" <<'C'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **words) {
  struct sock_filter rules[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_writev, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog filter = {sizeof rules / sizeof *rules, rules};
  if (count < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 77;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return 77;
  execvp(words[1], words + 1);
  return 77;
}
C
if [ -n "$compiler" ] && "$compiler" -o "$scratch/forbid" "$scratch/forbid.c" && "$scratch/forbid" true; then
  observe "$scratch/forbid" mpirun -np "$ranks" "$program"
  [ "$status" -eq 0 ] || complain "status $status: $(tail -3 "$scratch/out")"
  [ ! -s "$scratch/err" ] || complain "said: $(head -c 500 "$scratch/err")"
  conclude "a container that forbids process_vm_readv is no obstacle"
else
  echo "skipped process_vm_readv: no C compiler or no seccomp here"
fi

echo "$passed passed, $failed failed (failures, $ranks ranks)"
[ "$failed" -eq 0 ]
