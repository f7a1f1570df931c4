-- An analyst of one site. `apply.sh analyst NAME SITE` puts in ${name}, ${site} and the digest of the
-- password, which it reads from standard input. Run again with another site it adds that site.

CREATE ROLE IF NOT EXISTS ${role};

CREATE ROW POLICY OR REPLACE ${role} ON
    ${tables}
    USING site = ${site} TO ${role};

CREATE USER IF NOT EXISTS ${name} IDENTIFIED WITH sha256_hash BY '${password}';
ALTER USER ${name} IDENTIFIED WITH sha256_hash BY '${password}';
GRANT callboard_analyse, ${role} TO ${name};
