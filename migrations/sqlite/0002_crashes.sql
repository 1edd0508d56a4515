-- At how many crashes of its runner the current attempt was at work: written by its watcher, who saw
-- them; counted by recovery when the job runs again.
ALTER TABLE jobs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;

PRAGMA user_version = 2;
