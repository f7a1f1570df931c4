#!/usr/bin/env bash
# Makes the secrets of docker-compose.yml that are missing; those that are there are kept.
# usage: make.sh [FOLDER]
set -euo pipefail
cd "${1:-$(dirname "$0")}"
chmod 700 .
# A bind mount keeps owner and mode, and every container has a user of its own: so the files may be
# read by all, and the folder is closed to others on this machine.
umask 022

random() { head -c 24 /dev/urandom | od -An -vtx1 | tr -d ' \n'; }
digest() { printf '%s' "$1" | sha256sum | cut -d' ' -f1; }

for name in door_token customer_key grafana_admin_password clickhouse_admin_password clickhouse_writer_password \
  clickhouse_migrator_password clickhouse_grafana_password clickhouse_board_password board_session_key \
  kafka_door_password kafka_ingest_password kafka_worker_password kafka_sink_password kafka_board_password \
  kafka_operator_password kafka_source_password; do
  if [ ! -s "$name" ]; then
    random > "$name.new"
    mv "$name.new" "$name"
    echo "made $name"
  fi
done

# The administrator of ClickHouse, who makes the other users; `default` is taken away.
cat > clickhouse_admin_user.xml.new <<XML
<clickhouse>
  <users>
    <default remove="remove"/>
    <callboard_admin>
      <password_sha256_hex>$(digest "$(cat clickhouse_admin_password)")</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <access_management>1</access_management>
      <named_collection_control>1</named_collection_control>
    </callboard_admin>
  </users>
</clickhouse>
XML
mv clickhouse_admin_user.xml.new clickhouse_admin_user.xml
