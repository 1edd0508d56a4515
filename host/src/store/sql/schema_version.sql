-- SQLite keeps it in the file's header, where it commits with the step.
SELECT user_version FROM pragma_user_version
