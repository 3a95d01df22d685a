#!/usr/bin/env bash
# openwandb, a self-hosted server that speaks W&B's protocol, met by W&B's newest client.
#
# Guessed: a run arrives as it was sent (group, job type, tags, NaN and infinity as the client writes them); with
# resume="allow" under the same id the client goes on at the next step; wandb.Api reads the runs back.
# Seen, wandb 0.31.0 with openwandb 0.5.25 (strawberry-graphql 0.341.2, graphql-core 3.3.2):
#   The curve and settings arrive, and so does what an outage of the server held up. But the client is told of no
#     earlier run: run.resumed is False, run.step 0 and run.config empty, so that a resumed script that lets the client
#     count the steps writes over the first rows' steps in silence. Explicit steps continue the curve.
#   Group and job type are dropped, tags kept. A run that ended with exit code 3 is "finished". A NaN becomes NULL, and
#     an infinite summary number is stored as Infinity, which is no JSON.
#   wandb.Api, and with it `wandb sweep`, fails: the client's service sends an empty operationName, which GraphQL-core
#     takes for the name of an operation.
set -euo pipefail
folder=$(mktemp -d); trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv client && client/bin/pip -q install wandb==0.31.0
python3 -m venv server && server/bin/pip -q install openwandb==0.5.25 strawberry-graphql==0.341.2 graphql-core==3.3.2
port=$(client/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export HOME=$folder WANDB_SILENT=true WANDB_CONSOLE=off
export WANDB_BASE_URL=http://127.0.0.1:$port WANDB_API_KEY=local0000000000000000000000000000000000000000
server/bin/openwandb serve --host 127.0.0.1 --port "$port" --data-dir data >server.log 2>&1 &
server=$!
for _ in $(seq 300); do curl -so /dev/null "$WANDB_BASE_URL" && break || sleep 0.2; done

cat >show.py <<'PY'
import json
import sqlite3

import wandb

run = wandb.init(project="p", id="first", group="group", job_type="job", tags=["tag"], config={"lr": 0.1})
for epoch, loss in ((1, 0.5), (2, float("nan"))):
    run.log({"epoch": epoch, "loss": loss}, step=epoch)
run.summary["largest"] = float("inf")
run.finish(exit_code=3)
run = wandb.init(project="p", id="first", resume="allow")
print("resumed", run.resumed, "step", run.step, "config", dict(run.config), "group", repr(run.group))
run.log({"epoch": 3, "loss": 0.25}, step=3)
run.finish()

file = sqlite3.connect("data/openwandb.db")
columns = {row[1] for row in file.execute("PRAGMA table_info(runs)")}
print("columns for group and job type:", sorted(columns & {"group", "run_group", "job_type"}))
((state, tags, summary),) = file.execute("SELECT state, tags_json, summary_json FROM runs")
print(state, tags, {key: value for key, value in json.loads(summary).items() if key == "largest"}, "Infinity" in summary)
print([row for row in file.execute("SELECT step, value FROM metrics WHERE key = 'loss' ORDER BY step")])
try:
    print([run.id for run in wandb.Api().runs("default/p")])
except Exception as error:
    print(f"{type(error).__name__}: {error}")
PY
found=$(client/bin/python show.py 2>/dev/null)
echo "$found"
diff <(echo "$found") - <<'SEEN'
resumed False step 0 config {} group ''
columns for group and job type: []
finished ["tag"] {'largest': inf} True
[(1, 0.5), (2, None), (3, 0.25)]
WandbApiFailedError: Unknown operation named "".
SEEN
echo "as described"
