-- tracker/store/upgrade_5.sql - from version 5 of a store to 6; views are made anew afterwards.
-- Of answers in pieces a bench keeps when their tokens came.
ALTER TABLE bench_point ADD COLUMN ttft_p50_ms REAL;
ALTER TABLE bench_point ADD COLUMN ttft_p99_ms REAL;
ALTER TABLE bench_point ADD COLUMN tpot_p50_ms REAL;
ALTER TABLE bench_point ADD COLUMN tpot_p99_ms REAL;
ALTER TABLE bench_point ADD COLUMN itl_p50_ms REAL;
ALTER TABLE bench_point ADD COLUMN itl_p99_ms REAL;
ALTER TABLE bench_point ADD COLUMN tokens_per_s REAL;
PRAGMA user_version = 6;
