//! Shells around the cores: committer, reader, catalog, fetch sessions, jobs.
