-- tracker/store/upgrade_3.sql - from version 3 of a store to 4; views are made anew afterwards.
-- A trial may be spared. SQLite changes a CHECK by way of the schema's text (lang_altertable, 7): no row is touched.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''stale'', ''cancelled''))', '''stale'', ''cancelled'', ''spared''))')
 WHERE type = 'table' AND name = 'trial';
PRAGMA writable_schema = RESET;
PRAGMA user_version = 4;
