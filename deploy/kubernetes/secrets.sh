#!/usr/bin/env bash
# Prints the secrets of the manifests, from those that deploy/secrets/make.sh made:
#   deploy/secrets/make.sh && deploy/kubernetes/secrets.sh | kubectl apply -f -
set -euo pipefail
secrets=${1:-$(dirname "$0")/../secrets}
value() { cat "$secrets/$1"; }
cat <<YAML
apiVersion: v1
kind: Secret
metadata: {name: callboard-door, namespace: callboard}
stringData:
  token: $(value door_token)
---
apiVersion: v1
kind: Secret
metadata: {name: callboard-customers, namespace: callboard}
stringData:
  key: $(value customer_key)
---
apiVersion: v1
kind: Secret
metadata: {name: callboard-board, namespace: callboard}
stringData:
  session-key: $(value board_session_key)
---
apiVersion: v1
kind: Secret
metadata: {name: callboard-clickhouse, namespace: callboard}
stringData:
  admin: $(value clickhouse_admin_password)
  admin_sha256: $(value clickhouse_admin_password | sha256sum | cut -d' ' -f1)
  writer: $(value clickhouse_writer_password)
  migrator: $(value clickhouse_migrator_password)
  grafana: $(value clickhouse_grafana_password)
  board: $(value clickhouse_board_password)
YAML
