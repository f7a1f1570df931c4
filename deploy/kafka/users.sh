#!/usr/bin/env bash
# Makes the users of Kafka, gives them their rights and takes away what they have beyond these; doing
# it again does no harm. It runs beside the broker, in its network: only there is a listener without
# log-in.
# usage: users.sh            reads acls.txt beside it, and $SECRETS_DIR/kafka_<user>_password
#        users.sh print      prints the commands without passwords and runs none
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${KAFKA_BIN:-/opt/kafka/bin}
server=${KAFKA_SERVER:-127.0.0.1:9090}
export KAFKA_HEAP_OPTS=${KAFKA_HEAP_OPTS:--Xmx96m}
if [ "${1:-}" = print ]; then run() { echo "$*"; }; else run() { "$@" < /dev/null > /dev/null; }; fi

set_password() {
  local name=${1#kafka-}
  local credentials
  credentials=$(mktemp)
  if [ "${2:-}" != print ]; then
    # In a file and not as an argument, which everybody in the container could read.
    echo "SCRAM-SHA-512=password=$(cat "${SECRETS_DIR:?}/kafka_${name}_password")" > "$credentials"
  fi
  run "$bin/kafka-configs.sh" --bootstrap-server "$server" --alter --entity-type users \
    --entity-name "$1" --add-config-file "$credentials"
  rm -f "$credentials"
}

give_rights() {
  local user kind pattern operations names
  while read -r user kind pattern operations names; do
    [ "$user" = "$1" ] || continue
    local words=()
    for operation in ${operations//,/ }; do words+=(--operation "$operation"); done
    for name in $names; do words+=("--$kind" "$name"); done
    run "$bin/kafka-acls.sh" --bootstrap-server "$server" --add --allow-principal "User:$user" \
      --resource-pattern-type "$pattern" "${words[@]}"
  done < "$here/acls.txt"
}

# Lines of kind, name, pattern and operation: what acls.txt says, and what the broker says.
wanted_rights() {
  awk -v user="$1" '$1 == user {
    n = split($4, operations, ",")
    for (i = 5; i <= NF; i++) for (j = 1; j <= n; j++) print $2, $i, $3, operations[j]
  }' "$here/acls.txt" | sort
}

given_rights() {
  "$bin/kafka-acls.sh" --bootstrap-server "$server" --list --principal "User:$1" < /dev/null |
    awk -F '[=,)]' '
      /resourceType=/ { resource = tolower($2) " " $4 " " tolower($6) }
      /host=\*,.*permissionType=ALLOW/ {
        operation = ""
        n = split(tolower($6), words, "_")
        for (i = 1; i <= n; i++)
          operation = operation toupper(substr(words[i], 1, 1)) substr(words[i], 2)
        print resource, operation
      }' | sort
}

take_rights() {
  local given kind name pattern operation
  given=$(given_rights "$1")
  while read -r kind name pattern operation; do
    echo "$1 may no longer $operation $kind $name"
    run "$bin/kafka-acls.sh" --bootstrap-server "$server" --remove --force \
      --allow-principal "User:$1" --operation "$operation" \
      --resource-pattern-type "$pattern" "--$kind" "$name"
  done < <(comm -13 <(wanted_rights "$1") <(echo "$given" | sed '/^$/d'))
}

users=$(grep -v '^#' "$here/acls.txt" | cut -d' ' -f1 | sort -u)
# Every command is a JVM that mostly waits: the users are done side by side.
jobs=()
for user in $users; do
  if [ "${1:-}" = print ]; then
    set_password "$user" print
    give_rights "$user"
  else
    (set_password "$user"; give_rights "$user"; take_rights "$user"; echo "$user has its rights") &
    jobs+=($!)
  fi
done
for job in ${jobs[@]+"${jobs[@]}"}; do wait "$job"; done
