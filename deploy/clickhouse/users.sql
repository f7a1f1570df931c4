-- Who may do what in ClickHouse. Run by the administrator, at every start: each statement leaves what
-- it finds as it should be. apply.sh puts in ${database} and the digests of the passwords.

-- --- limits -----------------------------------------------------------------------------------

-- A client such as Grafana's plugin sends max_execution_time with every query: it may choose one up
-- to the maximum, which readonly = 1 alone would refuse. Nothing else may be changed.
CREATE SETTINGS PROFILE OR REPLACE callboard_reading SETTINGS
    readonly = 1,
    max_execution_time = 30 MAX 120 CHANGEABLE_IN_READONLY,
    max_memory_usage = 4000000000 READONLY,
    max_rows_to_read = 2000000000 READONLY,
    max_result_rows = 1000000 READONLY,
    max_concurrent_queries_for_user = 20 READONLY;

CREATE SETTINGS PROFILE OR REPLACE callboard_analysing SETTINGS
    readonly = 1,
    max_execution_time = 60 MAX 120 CHANGEABLE_IN_READONLY,
    max_memory_usage = 4000000000 READONLY,
    max_rows_to_read = 2000000000 READONLY,
    max_result_rows = 1000000 READONLY,
    max_concurrent_queries_for_user = 4 READONLY;

-- --- roles ------------------------------------------------------------------------------------

CREATE ROLE IF NOT EXISTS callboard_write;
CREATE ROLE IF NOT EXISTS callboard_migrate;
CREATE ROLE IF NOT EXISTS callboard_read;
CREATE ROLE IF NOT EXISTS callboard_analyse;

ALTER ROLE callboard_read SETTINGS PROFILE 'callboard_reading';
ALTER ROLE callboard_analyse SETTINGS PROFILE 'callboard_analysing';

GRANT SELECT, INSERT ON ${database}.* TO callboard_write;

GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, ALTER TABLE, ALTER VIEW, SELECT, INSERT, SHOW ON ${database}.* TO callboard_migrate;

-- A view reads its tables with the rights of who asks: that is what makes the row policies below
-- hold within views. So readers have the tables too, and read views by custom.
GRANT SELECT ON ${database}.* TO callboard_read;
GRANT SELECT ON ${database}.* TO callboard_analyse;
REVOKE SELECT ON ${database}.schema_migrations FROM callboard_analyse;

CREATE QUOTA OR REPLACE callboard_analysts KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 2000, read_rows = 20000000000, execution_time = 1800
    TO callboard_analyse;

-- --- users ------------------------------------------------------------------------------------

CREATE USER IF NOT EXISTS callboard_writer IDENTIFIED WITH sha256_hash BY '${writer}';
ALTER USER callboard_writer IDENTIFIED WITH sha256_hash BY '${writer}';
GRANT callboard_write TO callboard_writer;

CREATE USER IF NOT EXISTS callboard_migrator IDENTIFIED WITH sha256_hash BY '${migrator}';
ALTER USER callboard_migrator IDENTIFIED WITH sha256_hash BY '${migrator}';
GRANT callboard_migrate TO callboard_migrator;

CREATE USER IF NOT EXISTS callboard_grafana IDENTIFIED WITH sha256_hash BY '${grafana}';
ALTER USER callboard_grafana IDENTIFIED WITH sha256_hash BY '${grafana}';
GRANT callboard_read TO callboard_grafana;

CREATE USER IF NOT EXISTS callboard_board IDENTIFIED WITH sha256_hash BY '${board}';
ALTER USER callboard_board IDENTIFIED WITH sha256_hash BY '${board}';
GRANT callboard_read TO callboard_board;

-- --- rows -------------------------------------------------------------------------------------

-- Policies of a table add up. Everyone but analysts sees all; an analyst nothing, until analyst.sql
-- gives a site. The second one makes that so whatever users_without_row_policies_can_read_rows says.
CREATE ROW POLICY OR REPLACE callboard_all ON
    ${tables}
    USING 1 TO ALL EXCEPT callboard_analyse;

CREATE ROW POLICY OR REPLACE callboard_none ON
    ${tables}
    USING 0 TO callboard_analyse;
