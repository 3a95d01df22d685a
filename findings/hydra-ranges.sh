#!/usr/bin/env bash
# A range of numbers on Hydra's command line, swept over with -m.
#
# Guessed: range(0.1,0.4,0.1) gives 0.1, 0.2 and 0.30000000000000004, sort(range(0,10,3),reverse=true) the
# four values of range(0,10,3) from 9 down.
# Seen, hydra-core 1.3.8 with omegaconf 2.3.1: the first gives four values, the excluded end among them,
#   0.1 0.2 0.30000000000000004 0.4
# and the second gives values that the range does not hold,
#   7 4 1 -2
# Seen, hydra-core 1.4.0rc3 with omegaconf 2.4.1rc1: 0.1 0.2 0.3 and 9 6 3 0.
# So the same command is another sweep, with other learning rates, under the next version.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"

cat >app.py <<'PY'
import hydra

kwargs = {"version_base": "1.3"} if hydra.__version__.startswith("1.3") else {}


@hydra.main(config_path="conf", config_name="config", **kwargs)
def main(config):
    print("value", config.value)


main()
PY
mkdir conf
cat >conf/config.yaml <<'YAML'
value: null
hydra: {output_subdir: null, sweep: {dir: ., subdir: .}}
YAML

values() { # VENV WORD -> the values of the sweep in one line
  "$1/bin/python" app.py -m "$2" hydra/job_logging=none hydra/hydra_logging=none |
    sed -n 's/^value //p' | paste -sd' '
}
expect() { [ "$1" = "$2" ] || { echo "changed: expected '$2', got '$1'" >&2; exit 1; }; }

python3 -m venv stable && stable/bin/pip -q install hydra-core==1.3.8 omegaconf==2.3.1
expect "$(values stable 'value=range(0.1,0.4,0.1)')" "0.1 0.2 0.30000000000000004 0.4"
expect "$(values stable 'value=sort(range(0,10,3),reverse=true)')" "7 4 1 -2"

python3 -m venv next && next/bin/pip -q install --pre hydra-core==1.4.0rc3 omegaconf==2.4.1rc1
expect "$(values next 'value=range(0.1,0.4,0.1)')" "0.1 0.2 0.3"
expect "$(values next 'value=sort(range(0,10,3),reverse=true)')" "9 6 3 0"
echo "as described"
