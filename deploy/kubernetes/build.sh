#!/usr/bin/env bash
# Prints an overlay with the addresses of its own callboard-config in the links of alerts and boards:
#   deploy/kubernetes/build.sh deploy/kubernetes/overlays/production | kubectl apply -f -
# The generated rules and boards name this machine, and kustomize replaces whole fields only.
set -euo pipefail
[ $# -eq 1 ] || { echo "build.sh OVERLAY" >&2; exit 1; }
built=$(kubectl kustomize --load-restrictor LoadRestrictionsNone "$1")
address() {
  local found
  found=$(sed -n "s/^  $1: *//p" <<< "$built" | tr -d "\"'" | sort -u)
  [[ $found =~ ^https?://[^[:space:]\|\&]+$ ]] || { echo "$1=$found is no address" >&2; exit 1; }
  printf '%s' "$found"
}
board=$(address CALLBOARD_BOARD_URL)
grafana=$(address CALLBOARD_GRAFANA_URL)
sed -e "s|http://127.0.0.1:7080|$board|g" -e "s|http://127.0.0.1:3000|$grafana|g" <<< "$built"
