#!/usr/bin/env bash
# Words that mean one thing in a single run and another in a sweep (-m) under hydra-core 1.4.0rc3.
#
# Guessed: a plain word means the same with -m, which only adds the sweeps.
# Seen, hydra-core 1.4.0rc3 with omegaconf 2.4.1rc1, on a config with `items: [1]`:
#   app.py    items=extend_list(2,3)   items [1, 2, 3]
#   app.py -m items=extend_list(2,3)   items [2, 3]: the list is replaced
#   app.py    ~items                   items is gone
#   app.py -m ~items                   Could not delete from config. The value of 'items' is [1] and not None.
# The second two are told; the first two run another experiment without a word.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"

cat >app.py <<'PY'
import hydra


@hydra.main(config_path="conf", config_name="config")
def main(config):
    print("items", config.get("items", "gone"))


main()
PY
mkdir conf
cat >conf/config.yaml <<'YAML'
items: [1]
hydra: {output_subdir: null, run: {dir: .}, sweep: {dir: ., subdir: .}}
YAML

python3 -m venv next && next/bin/pip -q install --pre hydra-core==1.4.0rc3 omegaconf==2.4.1rc1
app() { next/bin/python -W ignore app.py "$@" hydra/job_logging=none hydra/hydra_logging=none 2>&1 || true; }
expect() { grep -qxF "$2" <<<"$1" || { echo "changed: expected '$2' in: $1" >&2; exit 1; }; }

expect "$(app 'items=extend_list(2,3)')" "items [1, 2, 3]"
expect "$(app -m 'items=extend_list(2,3)')" "items [2, 3]"
expect "$(app '~items')" "items gone"
expect "$(app -m '~items')" "Could not delete from config. The value of 'items' is [1] and not None."
echo "as described"
