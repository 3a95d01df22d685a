#!/usr/bin/env bash
# A Slurm cluster of one node on this machine's loopback, to try and to test sweeps on Slurm.
#
#   scripts/slurm_cluster.sh start    set it up and wait until it takes jobs; does nothing if it does
#   scripts/slurm_cluster.sh status   what it says of itself; exit status 1 where it is not up
#   scripts/slurm_cluster.sh stop     cancel its jobs, end its three daemons, delete its files
#   eval "$(scripts/slurm_cluster.sh env)"    point this shell's sbatch and squeue at it
#
# It needs the commands of Debian's packages slurm-wlm and munge, no service and no root. All it
# writes lies in one folder of its own, so a Slurm that is installed already is left alone.
# Jobs run without control groups, under `nice`, and see all cores: it tests sweeps, it isolates
# nothing.
set -euo pipefail

FOLDER=${RPS_BENCH_SLURM_FOLDER:-${TMPDIR:-/tmp}/rps_bench_slurm_$(id -un)} # all state
SLOTS=${RPS_BENCH_SLURM_SLOTS:-8} # cores the node claims: more than any test's parallel limit
PORT=${RPS_BENCH_SLURM_PORT:-16817} # of slurmctld; slurmd takes the next one
START_SECONDS=600                   # how long the daemons may take
STOP_SECONDS=300
MARK=$FOLDER/.rps_bench_slurm # only a folder with this file is ever deleted
export SLURM_CONF=$FOLDER/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

require_commands() {
  local name
  for name in munged slurmctld slurmd sbatch srun scontrol; do
    command -v "$name" >/dev/null || {
      echo "slurm_cluster: $name is missing; install it with: apt-get install slurm-wlm munge" >&2
      exit 3
    }
  done
}

write_configuration() {
  mkdir -p "$FOLDER"
  touch "$MARK"
  chmod 755 "$FOLDER" # munged refuses a folder that others can write
  mkdir -p "$FOLDER"/{munge,state,spool,log}
  chmod 711 "$FOLDER"/munge # the socket is for all, the key and the log for its owner
  [ -s "$FOLDER/munge/key" ] || (umask 077 && head -c 128 /dev/urandom >"$FOLDER/munge/key")
  local host user megabytes
  host=$(hostname -s)
  user=$(id -un)
  megabytes=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  cat >"$SLURM_CONF" <<CONF
ClusterName=rps_bench
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmdPort=$((PORT + 1))
SlurmUser=$user
SlurmdUser=$user
AuthInfo=socket=$FOLDER/munge/socket
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/log/slurmctld.log
SlurmdLogFile=$FOLDER/log/slurmd.log
# No control groups, no accounting: neither is there without a whole system of services.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
# A job that is told to end gets 5 seconds; a finished one can be asked about for an hour.
KillWait=5
MinJobAge=3600
NodeName=$host NodeAddr=127.0.0.1 CPUs=$SLOTS RealMemory=$megabytes State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

is_up() {
  [ -f "$SLURM_CONF" ] && scontrol ping 2>/dev/null | grep -q 'is UP' &&
    sinfo --noheader --format=%T 2>/dev/null | grep -qE '^(idle|mixed|allocated)$'
}

is_alive() { # the daemon whose id is in that file
  [ -s "$FOLDER/$1.pid" ] && kill -0 "$(cat "$FOLDER/$1.pid")" 2>/dev/null
}

start() {
  require_commands
  if is_up; then
    echo "slurm_cluster: is up already ($FOLDER)"
    return
  fi
  if [ -e "$FOLDER" ] && [ ! -e "$MARK" ]; then
    echo "slurm_cluster: $FOLDER is not this script's; set RPS_BENCH_SLURM_FOLDER" >&2
    exit 2
  fi
  write_configuration
  is_alive munged || munged --key-file="$FOLDER/munge/key" --socket="$FOLDER/munge/socket" \
    --pid-file="$FOLDER/munged.pid" --log-file="$FOLDER/munge/munged.log" \
    --seed-file="$FOLDER/munge/seed"
  is_alive slurmctld || slurmctld
  is_alive slurmd || nice -n 19 slurmd
  local deadline=$((SECONDS + START_SECONDS))
  until is_up; do
    if [ $SECONDS -ge $deadline ]; then
      echo "slurm_cluster: not up after $START_SECONDS s; the logs end with" >&2
      tail -n 5 "$FOLDER"/log/*.log "$FOLDER/munge/munged.log" >&2 || true
      exit 1
    fi
    sleep 0.5
  done
  echo "slurm_cluster: is up ($FOLDER)"
}

stop() {
  if [ ! -e "$MARK" ]; then
    echo "slurm_cluster: is not there"
    return
  fi
  if is_up; then
    scancel --user="$(id -un)" 2>/dev/null || true
    local deadline=$((SECONDS + STOP_SECONDS))
    until [ -z "$(squeue --noheader 2>/dev/null)" ] || [ $SECONDS -ge $deadline ]; do sleep 0.5; done
  fi
  local name
  for name in slurmd slurmctld munged; do end_daemon "$name"; done
  rm -rf "$FOLDER"
  echo "slurm_cluster: is gone"
}

end_daemon() {
  is_alive "$1" || return 0
  local id deadline=$((SECONDS + STOP_SECONDS))
  id=$(cat "$FOLDER/$1.pid")
  kill "$id"
  while kill -0 "$id" 2>/dev/null; do
    if [ $SECONDS -ge $deadline ]; then
      kill -9 "$id" 2>/dev/null || true
      return 0
    fi
    sleep 0.2
  done
}

show_status() {
  if ! is_up; then
    echo "slurm_cluster: is not up"
    exit 1
  fi
  sinfo
  squeue
}

case "${1:-}" in
start) start ;;
stop) stop ;;
status) show_status ;;
env) echo "export SLURM_CONF='$SLURM_CONF'" ;;
*)
  echo "usage: $0 start | status | stop | env" >&2
  exit 2
  ;;
esac
