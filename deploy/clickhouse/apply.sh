#!/usr/bin/env bash
# Makes the users of ClickHouse: run it at every start, and again when a password has changed.
#   apply.sh                      the users of the roles and of Grafana (users.sql)
#   apply.sh analyst NAME SITE    an analyst who sees one site; the password comes on standard input
#   apply.sh print [analyst …]    only prints the statements
# Environment: SECRETS_DIR, CLICKHOUSE_HOST, CLICKHOUSE_ADMIN, CALLBOARD_CLICKHOUSE_DATABASE.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
secrets=${SECRETS_DIR:-$here/../secrets}
database=${CALLBOARD_CLICKHOUSE_DATABASE:-callboard}
[[ $database =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || { echo "$database is no name for a database" >&2; exit 1; }

# Every table that has a column `site`; a test holds this list to the migrations.
tables=(visits legs declines agent_intervals queue_panes team_panes feedback pane_settings
  sink_progress alert_history)

digest() { printf '%s' "$1" | sha256sum | cut -d' ' -f1; }
secret() { digest "$(cat "$secrets/clickhouse_$1_password")"; }

listed=""
for table in "${tables[@]}"; do listed+="${listed:+, }$database.$table"; done

users() {
  sed -e "s/\${database}/$database/g" -e "s/\${tables}/$listed/g" \
    -e "s/\${writer}/$(secret writer)/g" -e "s/\${migrator}/$(secret migrator)/g" \
    -e "s/\${grafana}/$(secret grafana)/g" -e "s/\${board}/$(secret board)/g" "$here/users.sql"
}

analyst() {
  local name=$1 site=$2 password
  # What a site may be called is not known; so letters, digits and a few signs, which need no quotes.
  [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || { echo "NAME: letters, digits and _" >&2; exit 1; }
  [[ $site =~ ^[A-Za-z0-9_.:@-]+$ ]] || { echo "SITE: letters, digits and _ . : @ -" >&2; exit 1; }
  read -r password
  [ -n "$password" ] || { echo "the password comes on standard input" >&2; exit 1; }
  sed -e "s/\${name}/$name/g" -e "s/\${role}/\`callboard_site_$site\`/g" -e "s/\${site}/'$site'/g" \
    -e "s/\${tables}/$listed/g" -e "s/\${password}/$(digest "$password")/g" "$here/analyst.sql"
}

statements() {
  case "${1:-}" in
    "") users ;;
    analyst) [ $# -eq 3 ] || { echo "apply.sh analyst NAME SITE" >&2; exit 1; }; analyst "$2" "$3" ;;
    *) echo "unknown: $1" >&2; exit 1 ;;
  esac
}

if [ "${1:-}" = print ]; then
  statements "${@:2}"
  exit
fi
sql=$(statements "$@")
CLICKHOUSE_USER=${CLICKHOUSE_ADMIN:-callboard_admin}
CLICKHOUSE_PASSWORD=$(cat "$secrets/clickhouse_admin_password")
export CLICKHOUSE_USER CLICKHOUSE_PASSWORD
clickhouse-client --host "${CLICKHOUSE_HOST:-127.0.0.1}" --multiquery <<< "$sql"
echo "users of $database are as they should be"
