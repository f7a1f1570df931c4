#!/usr/bin/env bash
# Prints the configuration of the operator's Alertmanager as a Secret: routes, opening hours of the
# sites, contact points from the environment (CALLBOARD_ALERT_…), the history of alerts by the door.
#   deploy/kubernetes/alertmanager.sh SETTINGS_FOLDER | kubectl apply -f -
# Name it in the Alertmanager: spec.configSecret: callboard-alertmanager.
set -euo pipefail
[ $# -eq 1 ] || { echo "alertmanager.sh SETTINGS_FOLDER" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export CALLBOARD_DOOR_URL=${CALLBOARD_DOOR_URL:-http://callboard-door.callboard:7070}
if [ -z "${CALLBOARD_DOOR_TOKEN:-}" ]; then
  export CALLBOARD_DOOR_TOKEN_FILE=${CALLBOARD_DOOR_TOKEN_FILE:-$here/../secrets/door_token}
fi
CALLBOARD_ALERTS_BY=prometheus callboard alerts write --out "$out" --settings "$1" > /dev/null
# The operator puts the configuration into another folder than what lies beside it in the secret.
sed -i 's|^- callboard.tmpl$|- /etc/alertmanager/config/callboard.tmpl|' \
  "$out/alertmanager/alertmanager.yml"
encoded() { base64 < "$1" | tr -d '\n'; }
cat <<YAML
apiVersion: v1
kind: Secret
metadata: {name: callboard-alertmanager, namespace: ${CALLBOARD_MONITORING:-monitoring}}
data:
  alertmanager.yaml: $(encoded "$out/alertmanager/alertmanager.yml")
  callboard.tmpl: $(encoded "$out/alertmanager/callboard.tmpl")
YAML
