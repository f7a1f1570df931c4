#!/usr/bin/env bash
# Makes a certificate authority, and certificates of Kafka and ClickHouse for docker-compose.tls.yml;
# what is there is kept. Remove a certificate and run it again to renew it. Needs openssl.
# usage: tls.sh [FOLDER]
set -euo pipefail
cd "${1:-$(dirname "$0")}"
chmod 700 .
days=${TLS_DAYS:-825}
# As with the other secrets: the folder is closed, containers have users of their own.
umask 022

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt; }

if [ ! -s tls_authority.key ]; then
  (umask 077; key > tls_authority.key)
  openssl req -x509 -new -key tls_authority.key -sha256 -days 3650 -subj "/CN=callboard authority" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -out tls_authority.crt
  echo "made tls_authority.crt"
fi

# certificate NAME HOST: NAME.crt and NAME.key for a service at HOST, and on this machine
certificate() {
  [ -s "$1.crt" ] && return
  key > "$1.key"
  openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
  printf '%s\n' "subjectAltName=DNS:$2,DNS:localhost,IP:127.0.0.1" "basicConstraints=critical,CA:FALSE" \
    "keyUsage=critical,digitalSignature" "extendedKeyUsage=serverAuth" \
    "subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA tls_authority.crt -CAkey tls_authority.key -sha256 -days "$days" \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$1.ext" -out "$1.crt" 2> /dev/null
  rm -f "$1.csr" "$1.ext"
  echo "made $1.crt"
}

certificate tls_kafka kafka
certificate tls_clickhouse clickhouse
# Kafka takes both in one file.
cat tls_kafka.key tls_kafka.crt > tls_kafka.pem
