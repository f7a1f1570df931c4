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
# What the command for rights says is in $said: on stdout it says why it fails, too. What the one for
# passwords says is not shown.
if [ "${1:-}" = print ]; then
  run() { echo "$*"; }
  acls() { run "$bin/kafka-acls.sh" --bootstrap-server "$server" "$@"; }
else
  run() { "$@" < /dev/null > /dev/null; }
  acls() {
    said=$("$bin/kafka-acls.sh" --bootstrap-server "$server" "$@" < /dev/null) ||
      { echo "$said" >&2; return 1; }
  }
fi

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
    acls --add --allow-principal "User:$user" --resource-pattern-type "$pattern" "${words[@]}"
  done < "$here/acls.txt"
}

# Rights as lines of kind, pattern, operation and name: what acls.txt says, and what the broker says
# of rights from any host. Kinds that the file does not know, like tokens, are nobody's business here.
wanted_rights() {
  awk -v user="$1" '$1 == user {
    n = split($4, operations, ",")
    for (i = 5; i <= NF; i++) for (j = 1; j <= n; j++) print $2 "\t" $3 "\t" operations[j] "\t" $i
  }' "$here/acls.txt"
}

given_rights() {
  awk '
    match($0, /resourceType=[A-Z_]+, name=.*, patternType=[A-Z]+\)/) {
      kind = $0
      sub(/.*resourceType=/, "", kind)
      sub(/,.*/, "", kind)
      name = $0
      sub(/.*resourceType=[A-Z_]+, name=/, "", name)
      pattern = name
      sub(/, patternType=[A-Z]+\).*/, "", name)
      sub(/.*, patternType=/, "", pattern)
      sub(/\).*/, "", pattern)
    }
    /host=\*, .*permissionType=ALLOW/ && (kind == "TOPIC" || kind == "GROUP") {
      sub(/.*operation=/, "")
      sub(/,.*/, "")
      n = split(tolower($0), words, "_")
      operation = ""
      for (i = 1; i <= n; i++)
        operation = operation toupper(substr(words[i], 1, 1)) substr(words[i], 2)
      print tolower(kind) "\t" tolower(pattern) "\t" operation "\t" name
    }' <<< "$1"
}

# Each step ends the script if it fails: nothing is taken on half an answer.
take_rights() {
  local wanted given beyond kind pattern operation name
  wanted=$(wanted_rights "$1")
  [ -n "$wanted" ] || { echo "acls.txt says nothing of $1" >&2; return 1; }
  acls --list --principal "User:$1"
  given=$(given_rights "$said")
  beyond=$(awk 'NR == FNR { wanted[$0]; next } $0 != "" && !($0 in wanted)' \
    <(echo "$wanted") <(echo "$given"))
  while IFS=$'\t' read -r kind pattern operation name; do
    [ -n "$kind" ] || continue
    acls --remove --force --allow-principal "User:$1" --operation "$operation" \
      --resource-pattern-type "$pattern" "--$kind" "$name"
    echo "$1 may no longer $operation $kind $name"
  done <<< "$beyond"
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
